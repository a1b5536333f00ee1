/**
 * The port to what one server keeps of the chunks that it has copies of: their content, and what replication
 * has to remember of them.
 *
 * Calls take effect in the order in which they are made, and are visible at once; what they return resolves
 * when that is durable. A crash keeps all calls up to some point, and none behind it. DISK_FAILED: nothing
 * more will ever be durable here.
 */
import type { Executed } from './executed.ts';
import type { WriteNumber } from './number.ts';

/** disk · 2³² + index of the chunk on the disk. */
export type Chunk = number;

export const chunkOf = (disk: number, index: number): Chunk => disk * 2 ** 32 + index;
export const indexOf = (chunk: Chunk): number => chunk % 2 ** 32;

/** The part of a write that lies in one chunk: one record of the log, whole or absent. */
export interface ChunkWrite {
  readonly chunk: Chunk;
  readonly number: WriteNumber;
  /** Of the write on top of which it goes. */
  readonly previous: WriteNumber;
  readonly client: string;
  readonly sequence: number;
  /** The lowest sequence that the client may still send again. */
  readonly lowest: number;
  /** Byte offset within the chunk. */
  readonly offset: number;
  readonly data: Uint8Array;
}

/** All of a chunk: what a server that comes back gets in place of its own. */
export interface ChunkCopy {
  readonly number: WriteNumber;
  readonly data: Uint8Array;
  readonly executed: Executed;
}

export interface ChunkStore {
  /** Of this store: a new one after its disks were lost. */
  readonly id: string;
  /** The highest version seen of a group: it never falls. */
  setVersion(group: string, version: number, member: boolean): Promise<void>;
  /** Whether this store was in sync under any version: else it has nothing, whatever it holds. */
  wasMember(group: string): boolean;
  /** Resolves when all calls so far are durable. */
  flush(): Promise<void>;

  number(chunk: Chunk): WriteNumber;
  /** What was executed there. */
  executed(chunk: Chunk): Executed;
  read(chunk: Chunk, offset: number, length: number): Promise<Uint8Array>;
  /** The record is the chunk's busy mark as well, until `settle`. */
  append(group: string, write: ChunkWrite): Promise<void>;
  /** All up to `number` is committed everywhere: no longer busy if that is all. May become durable late. */
  settle(chunk: Chunk, number: WriteNumber): void;
  /** Chunks of a group that are busy. */
  busy(group: string): readonly Chunk[];

  copy(chunk: Chunk): Promise<ChunkCopy>;
  /** Replace the chunk, records and number included. */
  install(group: string, chunk: Chunk, copy: ChunkCopy, busy: boolean): Promise<void>;

  /** Chunks of a group that a server which is out has not got. */
  stale(group: string, server: string): ReadonlySet<Chunk>;
  addStale(group: string, server: string, chunks: readonly Chunk[]): Promise<void>;
  dropStale(group: string, server: string): Promise<void>;
}
