/**
 * The security stage of a login as a step that can be exchanged (RFC 7143 12). A policy names the
 * methods that a peer may use; a method talks in pairs until it is done or has failed.
 */
import type { Pair } from '../wire/text.ts';

export interface SecurityPeer {
  readonly initiator: string;
  readonly address: string;
  /** Null in a discovery session. */
  readonly target: string | null;
}

export interface SecurityStep {
  readonly outcome: 'more' | 'done' | 'failed';
  readonly answer: readonly Pair[];
}

export interface SecurityMethod {
  /** As in AuthMethod: None, CHAP, … */
  readonly name: string;
  /** The pairs of one request that are no other key's; called once for each request of the stage. */
  step(pairs: readonly Pair[]): SecurityStep;
}

export interface SecurityPolicy {
  /** Fresh methods for one login, the preferred first. `None` among them: no proof is needed. */
  methods(peer: SecurityPeer): readonly SecurityMethod[];
}

const none: SecurityMethod = {
  name: 'None',
  step: () => ({ outcome: 'done', answer: [] }),
};

/** Everyone who may see a target may use it: access rules are all there is. */
export const openPolicy: SecurityPolicy = { methods: () => [none] };
