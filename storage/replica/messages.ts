/**
 * What the servers of a group and their clients say to each other. A call is answered once or not at all;
 * both may be lost, late or doubled, and every handler bears that.
 */
import type { Arrival } from './arrivals.ts';
import type { Configuration } from './configuration.ts';
import type { WriteNumber } from './number.ts';
import type { Chunk, ChunkCopy, ChunkWrite } from './store.ts';

/** To somebody who does not know the configuration, or knows a later one: this is mine; version 0: none yet. */
export interface Redirect {
  readonly kind: 'redirect';
  readonly configuration: Configuration;
}

/** Not now; the same call may succeed later. */
export interface Unready {
  readonly kind: 'unready';
}

export interface Done {
  readonly kind: 'done';
}

export interface WriteCall {
  readonly group: string;
  readonly version: number;
  readonly chunk: Chunk;
  readonly offset: number;
  readonly data: Uint8Array;
  readonly client: string;
  readonly sequence: number;
  readonly lowest: number;
  /** On the server's clock; `incarnation` is the server's, by which it was translated. */
  readonly arrival: Arrival;
  readonly incarnation: string;
}

/** Too old, overtaken, or without a stamp of this incarnation: to be sent anew, if at all. */
export interface Refused {
  readonly kind: 'refused';
  readonly why: 'expired' | 'overtaken' | 'too old';
}

export interface ReadCall {
  readonly group: string;
  readonly version: number;
  readonly chunk: Chunk;
  readonly offset: number;
  readonly length: number;
}

export interface ReplicateCall {
  readonly group: string;
  readonly version: number;
  readonly write: ChunkWrite;
  /** Of the joining that it is forwarded for; null: to a member in sync. */
  readonly session: number | null;
}

export interface GroupCall {
  readonly group: string;
  readonly version: number;
}

export interface Calls {
  write: { call: WriteCall; reply: Done | Redirect | Unready | Refused };
  read: {
    call: ReadCall;
    reply: { readonly kind: 'data'; readonly data: Uint8Array } | Redirect | Unready;
  };
  /** The clock of a server, and its incarnation. */
  clock: { call: null; reply: { readonly now: number; readonly incarnation: string } };
  /** The write before it is missing: `gap`. */
  replicate: { call: ReplicateCall; reply: Done | Redirect | Unready | { readonly kind: 'gap' } };
  committed: {
    call: GroupCall & { readonly upTo: readonly (readonly [Chunk, WriteNumber])[] };
    reply: Done | Redirect;
  };
  heartbeat: {
    call: GroupCall;
    reply: { readonly granted: boolean; readonly version: number };
  };
  /** Two members in sync at a new version: what is busy at the one that answers. */
  exchange: {
    call: GroupCall;
    reply:
      | { readonly kind: 'busy'; readonly chunks: readonly (readonly [Chunk, WriteNumber])[] }
      | Redirect
      | Unready;
  };
  fetch: {
    call: GroupCall & { readonly chunk: Chunk };
    reply: { readonly kind: 'copy'; readonly copy: ChunkCopy } | Redirect | Unready;
  };
  /** Answered when the one that answers has taken over what was newer elsewhere. */
  settled: { call: GroupCall; reply: Done | Redirect | Unready };
  /** A server that is out wants in; `busy` are its own busy chunks, null: it has nothing. */
  join: {
    call: GroupCall & { readonly store: string; readonly busy: readonly Chunk[] | null };
    reply: { readonly kind: 'joining'; readonly session: number } | Redirect | Unready;
  };
  install: {
    call: GroupCall & {
      readonly session: number;
      readonly chunk: Chunk;
      readonly copy: ChunkCopy;
    };
    reply: Done | Redirect | Unready;
  };
}

export type Kind = keyof Calls;
export type CallOf<K extends Kind> = Calls[K]['call'];
export type ReplyOf<K extends Kind> = Calls[K]['reply'];

/** The way to other servers. */
export interface Peers {
  /** BUSY: no answer in time; it may have been heard and done all the same. */
  call<K extends Kind>(
    peer: string,
    kind: K,
    call: CallOf<K>,
    timeoutMs: number,
  ): Promise<ReplyOf<K>>;
}
