/**
 * The daemon at a glance: what `GET /api/v1/status` and `petal status` show.
 */
import type { Alarm } from './alarms.ts';
import type { HostFacts } from './host.ts';
import type { PowerView } from './power.ts';

export interface StoreStatus {
  readonly path: string;
  /** Bytes of the file or device. */
  readonly size: number;
  /** Bytes that user data can ever fill. */
  readonly capacity: number;
  readonly used: number;
  /** Promised to thick disks and not yet used. */
  readonly reserved: number;
  readonly free: number;
  /** Part of `used`: held by removed disks, given back when they expire or the space is needed. */
  readonly removed: number;
  /** Sizes of all disks together, as hosts see them. */
  readonly provisioned: number;
  /** `provisioned` over `capacity`: above 1 not all of it can be filled. */
  readonly overcommit: number;
  /** Why the store takes no more writes, or null. */
  readonly failed: string | null;
}

export interface Status {
  readonly version: string;
  readonly pid: number;
  /** `degraded`: a disk of the store is lost; `failed`: reads are still answered, nothing is written. */
  readonly state: 'ok' | 'degraded' | 'failed';
  /** ISO 8601, UTC. */
  readonly started: string;
  readonly uptimeSeconds: number;
  readonly installation: string;
  readonly dataDirectory: string;
  readonly iscsi: readonly string[];
  readonly api: string;
  readonly store: StoreStatus;
  readonly power: PowerView;
  readonly disks: number;
  readonly snapshots: number;
  /** What needs somebody's attention. */
  readonly alarms: readonly Alarm[];
  readonly sessions: number;
  /** Null until the first collection has ended. */
  readonly host: HostFacts | null;
}

/** A session as the API shows it. */
export interface SessionView {
  readonly id: string;
  readonly initiator: string;
  readonly address: string;
  /** The CHAP user that was proved; null: none. */
  readonly user: string | null;
  /** The disk's name; null in a discovery session and while the disk is being taken away. */
  readonly disk: string | null;
  /** Null in a discovery session. */
  readonly target: string | null;
  readonly since: string;
  readonly commands: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}
