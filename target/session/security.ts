/**
 * The security stage of a login as a step that can be exchanged (RFC 7143 12): a method talks in
 * pairs until it is done or has failed. Which methods a peer may use follows from the CHAP policy of
 * what it logs in to: with one, only CHAP; without one, only None.
 */
import type { Pair } from '../wire/text.ts';
import { ChapExchange, type ChapPolicy, type ChapProof } from './chap-exchange.ts';

export type SecurityStep =
  | { readonly outcome: 'more' | 'done'; readonly answer: readonly Pair[] }
  /** `reason` is for the log; the peer is told nothing of it. */
  | { readonly outcome: 'failed'; readonly reason: string };

export interface SecurityMethod {
  /** As in AuthMethod: None, CHAP, … */
  readonly name: string;
  /** Who was proved, once it is done; null: nobody in particular. */
  readonly proof: ChapProof | null;
  /** The pairs of one request that are no other key's; called once for each request of the stage. */
  step(pairs: readonly Pair[]): SecurityStep;
}

const none: SecurityMethod = {
  name: 'None',
  proof: null,
  step: () => ({ outcome: 'done', answer: [] }),
};

/** Fresh methods for one login. */
export function methodsFor(policy: ChapPolicy | null): readonly SecurityMethod[] {
  return policy === null ? [none] : [new ChapExchange(policy)];
}
