/** A snapshot as the API and the CLI show it. */
import type { SpaceView } from './disk-view.ts';

export interface SnapshotView {
  /** `DISK@SNAPSHOT`. */
  readonly name: string;
  readonly id: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** Bytes, as hosts see them. */
  readonly size: number;
  /** Bytes that it holds, shared or not. */
  readonly used: number;
  readonly sectorBytes: number;
  /** To be cloned from, and protected from deletion. */
  readonly template: boolean;
  /** The same for all snapshots made at one point, or null. */
  readonly group: string | null;
  /** Living disks that were cloned from it. */
  readonly clones: readonly string[];
  /** The target that it is, or null. */
  readonly exposed: ExposedView | null;
  /** Only when it was asked for: it costs a walk over the map. */
  readonly space?: SpaceView;
}

export interface ExposedView {
  readonly iqn: string;
  readonly lun: number;
  /** `naa.` and 32 hex digits. */
  readonly naa: string;
  readonly serial: string;
  readonly sessions: number;
  /** Who sees it beside hosts on loopback. */
  readonly hosts: readonly string[];
}
