/** A session as the owner of a server sees it: facts and counters, a snapshot. */
import type { Session } from './session.ts';

export interface SessionInfo {
  readonly id: number;
  readonly initiator: string;
  /** Twelve hex digits. */
  readonly isid: string;
  /** The CHAP name that was proved, or absent. */
  readonly user?: string;
  /** Null in a discovery session. */
  readonly target: string | null;
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly digests: { readonly header: boolean; readonly data: boolean };
  readonly commands: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly state: 'open' | 'closing';
}

export function sessionInfo(session: Session): SessionInfo {
  const { facts, commands } = session;
  return {
    id: facts.id,
    initiator: facts.initiator,
    isid: facts.isid,
    ...(facts.user === null ? {} : { user: facts.user }),
    target: facts.scsi === null ? null : facts.nexus.target,
    address: facts.address,
    since: facts.since,
    digests: { header: facts.parameters.headerDigest, data: facts.parameters.dataDigest },
    commands: commands.count,
    bytesRead: commands.bytesRead,
    bytesWritten: commands.bytesWritten,
    state: session.open ? 'open' : 'closing',
  };
}
