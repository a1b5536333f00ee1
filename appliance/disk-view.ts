/** A virtual disk as people see it, and what they say to make one. */
import type { FlattenProgress } from '#storage/volume/flatten.ts';
import type { AccessRule } from './access.ts';
import type { ChapView } from './chap.ts';
import type { RedirectRule } from './redirects.ts';

/** A virtual disk as the API and the CLI show it. */
export interface DiskView {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly used: number;
  readonly iqn: string;
  readonly lun: number;
  /** `naa.` and 32 hex digits. */
  readonly naa: string;
  readonly id: string;
  readonly serial: string;
  readonly sectorBytes: number;
  readonly reserved: boolean;
  /** No host may write. */
  readonly writeProtected: boolean;
  /** Hosts see a removable medium. */
  readonly removable: boolean;
  /** Hosts may protect it from writing by a mode page. */
  readonly hostProtect: boolean;
  /** Writes may complete before they are durable (WCE=1), unless the power fails. */
  readonly writeBack: boolean;
  /** Hosts may erase all of it (SANITIZE): its blocks are sealed under a key of its own. */
  readonly sanitize: boolean;
  /** Where its hosts are sent at login, or null. */
  readonly redirect: RedirectRule | null;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** How many sessions use it. */
  readonly sessions: number;
  /** Who may see it beside hosts on loopback. */
  readonly access: readonly AccessRule[];
  /** Who may log in by CHAP; without users no login needs it. */
  readonly chap: ChapView;
  readonly snapshots: number;
  /** What it was cloned from, or null. */
  readonly origin: OriginView | null;
  /** How far it is being flattened, or null. */
  readonly flatten: FlattenProgress | null;
  /** Only when it was asked for: it costs a walk over the map. */
  readonly space?: SpaceView;
  /** Only of a removed disk: when, and until when it can be restored unless the space is needed. */
  readonly removed?: string;
  readonly restorableUntil?: string;
}

export interface OriginView {
  /** `DISK@SNAPSHOT`; of one that is gone, as it was called. */
  readonly snapshot: string;
  readonly deleted: boolean;
}

/** Who holds what; bytes. */
export interface SpaceView {
  /** What hosts see. */
  readonly logical: number;
  /** What it holds, shared or not. */
  readonly used: number;
  /** Held by nobody else. */
  readonly exclusive: number;
  /** `used` less `exclusive`. */
  readonly shared: number;
  /** What deleting it gives back, a promise of room included. */
  readonly freed: number;
  /** Of a disk: what deleting it and its snapshots gives back. */
  readonly freedWithSnapshots?: number;
}

export interface NewDiskOptions {
  readonly name: string;
  readonly size: number;
  readonly reserved?: boolean;
  readonly sectorBytes?: 512 | 4096;
  readonly writeProtected?: boolean;
  readonly removable?: boolean;
  readonly hostProtect?: boolean;
  readonly writeBack?: boolean;
  readonly sanitize?: boolean;
}

/** `2026-11-21T03:38:47.236Z`. */
export const isoTime = (ms: number): string => new Date(ms).toISOString();
