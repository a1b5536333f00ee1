/**
 * What a session is made of and what it needs around it: who has logged in, and the connection and
 * server that it lives in.
 */
import type { Clock } from '../clock.ts';
import type { Limits } from '../limits.ts';
import type { Nexus } from '../scsi/nexus.ts';
import type { ScsiTarget } from '../scsi/scsi-target.ts';
import type { Pair } from '../wire/text.ts';
import type { BufferPool, WriteBudget } from './buffers.ts';
import type { ChapProof } from './chap-exchange.ts';
import type { Parameters } from './keys.ts';
import type { Output } from './output.ts';
import type { Receiver } from './receiver.ts';
import type { Session } from './session.ts';

/** What a session needs of its connection and of the server. */
export interface SessionHost {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly pool: BufferPool;
  readonly budget: WriteBudget;
  readonly out: Output;
  readonly receiver: Receiver;
  warn(object: object, message: string): void;
  /** End the connection once all output has gone. */
  endConnection(): void;
  dropConnection(reason: string): void;
  /** SendTargets for this initiator. */
  targets(which: string, session: Session): readonly Pair[];
  siblings(session: Session): Iterable<Session>;
}

export interface SessionFacts {
  readonly id: number;
  readonly tsih: number;
  readonly initiator: string;
  /** The CHAP name that was proved, or null. */
  readonly user: string | null;
  readonly proof: ChapProof | null;
  readonly isid: string;
  readonly cid: number;
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly parameters: Parameters;
  /** Null in a discovery session. */
  readonly scsi: ScsiTarget | null;
  readonly nexus: Nexus;
}
