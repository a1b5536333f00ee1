/**
 * The log of dm-log-writes (Linux, drivers/md/dm-log-writes.c), little-endian; a sector has the size
 * that the log's own superblock says:
 *
 *   sector 0   superblock: magic 64 bits, version 64, number of entries 64, sector size 32
 *          1…  entries, one behind the other, each a sector and its data:
 *              byte 0  sector of the device, 64 bits
 *                   8  sectors, 64 bits
 *                  16  flags, 64 bits: 1 FLUSH, 2 FUA, 4 DISCARD, 8 MARK, 16 METADATA
 *                  24  length of a mark's text, 64 bits
 *                  32  the text, if any
 *              the data of a write, whole sectors; a discard and a mark have none
 *
 * Entries are in the order of their completion; writes that were not flushed come with the FLUSH
 * that covers them, in front of it. What no FLUSH covers is not in the log.
 */
import { closeSync, openSync, readSync } from 'node:fs';

export const Flag = { flush: 1, fua: 2, discard: 4, mark: 8, metadata: 16 } as const;
export const logMagic = 0x6a736677736872n;
export const logVersion = 1n;
export const entryBytes = 32;
const superblockBytes = 28;
const sectorBytesMax = 4096;

export interface LogEntry {
  /** Bytes, on the device. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
  readonly flags: number;
  /** Of a write; empty where there is none. */
  readonly data: Uint8Array;
  /** Of a mark. */
  readonly text: string;
}

/** Throws when the file holds no such log. */
export function* readLog(path: string): Generator<LogEntry> {
  const fd = openSync(path, 'r');
  try {
    const head = readAt(fd, 0, superblockBytes);
    const [magic, version] = [head.readBigUInt64LE(0), head.readBigUInt64LE(8)];
    const [count, sectorBytes] = [Number(head.readBigUInt64LE(16)), head.readUInt32LE(24)];
    if (magic !== logMagic || version !== logVersion) throw new Error(`${path}: no log of writes`);
    if (sectorBytes < 512 || sectorBytes > sectorBytesMax) {
      throw new Error(`${path}: sectors of ${sectorBytes} bytes`);
    }
    let at = sectorBytes;
    for (let index = 0; index < count; index += 1) {
      const entry = readEntry(fd, at, sectorBytes);
      yield entry;
      at += sectorBytes + entry.data.length;
    }
  } finally {
    closeSync(fd);
  }
}

function readEntry(fd: number, at: number, sectorBytes: number): LogEntry {
  const sector = readAt(fd, at, sectorBytes);
  const word = (index: number): number => Number(sector.readBigUInt64LE(index * 8));
  const [flags, textLength] = [word(2), word(3)];
  const length = word(1) * sectorBytes;
  const empty = (flags & (Flag.discard | Flag.mark)) !== 0;
  return {
    offset: word(0) * sectorBytes,
    length,
    flags,
    data: readAt(fd, at + sectorBytes, empty ? 0 : length),
    text: sector.toString('latin1', entryBytes, entryBytes + textLength).replace(/\0+$/, ''),
  };
}

function readAt(fd: number, at: number, length: number): Buffer {
  const into = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const count = readSync(fd, into, done, length - done, at + done);
    if (count === 0) throw new Error(`the log ends at ${at + done}, within an entry`);
    done += count;
  }
  return into;
}

/** The mark that all up to this point was acknowledged: one word, as the device takes it. */
export const markOf = (point: number): string => `acknowledged:${point}`;

/** The point of such a mark; null: it is another one. */
export function pointOf(text: string): number | null {
  const found = /^acknowledged:(\d+)$/.exec(text);
  return found === null ? null : Number(found[1]);
}
