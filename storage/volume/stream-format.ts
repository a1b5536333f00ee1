/**
 * The stream in which a snapshot leaves one store and comes into another: a file or a pipe of records, one `begin`,
 * then `data` and `hole` in ascending order, one `end`. Integers are little-endian. What it does not mention reads as
 * zeros in a full stream, and as the base does in an incremental one.
 *
 *   every record
 *    0  magic, 4            50 54 4c 53 "PTLS"
 *    4  version, 2          1
 *    6  type, 2             1 begin, 2 data, 3 hole, 4 end; zero is none
 *    8  length, 4           of the body, in bytes
 *   12  CRC-32C, 4          of bytes 0…11 and the body
 *   16  body
 *
 *   begin
 *    0  size, 8             of the disk in bytes, a multiple of 4096
 *    8  sector size, 4      512 or 4096
 *   12  flags, 4            bit 0: incremental
 *   16  content, 16         id of the content, the same wherever it is kept
 *   32  base, 16            incremental: content id of the snapshot it goes on from; else zeros
 *   48  base digest, 32     incremental: digest of that content (content-sum.ts); else zeros
 *   80  created, 8          milliseconds since 1970 UTC
 *   88  name                DISK@SNAPSHOT where it was exported, UTF-8, to the end of the body
 *
 *   data                                        hole: blocks that read as zeros, unlike in the base
 *    0  offset, 8           multiple of 4096     0  offset, 8
 *    8  content             whole 4 KiB blocks   8  length, 8
 *
 *   end
 *    0  records, 8          how many came before this one
 *    8  content digest, 32  of the whole content that results
 *   40  stream digest, 32   SHA-256 of every byte before this record
 */
import { createHash, type Hash } from 'node:crypto';
import { crc32c } from '../base/crc32c.ts';
import { StorageError } from '../base/errors.ts';
import { blockBytes } from '../map/blocks.ts';
import { limits } from './limits.ts';
import { nameFault, sizeFault } from './record.ts';

const magic = 0x534c5450;
const version = 1;
const headBytes = 16;
const beginBytes = 88;
const endBytes = 72;

const RecordType = { begin: 1, data: 2, hole: 3, end: 4 } as const;

export interface Begin {
  readonly type: 'begin';
  readonly size: number;
  readonly sectorBytes: 512 | 4096;
  /** 32 hex digits. */
  readonly content: string;
  /** Null: the stream is full. */
  readonly base: { readonly content: string; readonly digest: string } | null;
  readonly created: number;
  readonly disk: string;
  readonly snapshot: string;
}

export interface Data {
  readonly type: 'data';
  readonly offset: number;
  /** Valid until the next record is asked for. */
  readonly data: Uint8Array;
}

export interface Hole {
  readonly type: 'hole';
  readonly offset: number;
  readonly length: number;
}

export interface End {
  readonly type: 'end';
  /** 64 hex digits. */
  readonly digest: string;
}

export type StreamRecord = Begin | Data | Hole | End;

/** Makes the bytes of a stream, record by record. */
export class StreamWriter {
  readonly #hash: Hash = createHash('sha256');
  #records = 0;

  begin(begin: Omit<Begin, 'type'>): Uint8Array {
    const name = Buffer.from(`${begin.disk}@${begin.snapshot}`, 'utf8');
    const body = Buffer.alloc(beginBytes + name.length);
    body.writeBigUInt64LE(BigInt(begin.size), 0);
    body.writeUInt32LE(begin.sectorBytes, 8);
    body.writeUInt32LE(begin.base === null ? 0 : 1, 12);
    body.set(Buffer.from(begin.content, 'hex'), 16);
    if (begin.base !== null) {
      body.set(Buffer.from(begin.base.content, 'hex'), 32);
      body.set(Buffer.from(begin.base.digest, 'hex'), 48);
    }
    body.writeBigUInt64LE(BigInt(Math.max(0, Math.floor(begin.created))), 80);
    body.set(name, beginBytes);
    return this.#record(RecordType.begin, body);
  }

  data(offset: number, data: Uint8Array): Uint8Array {
    const body = Buffer.allocUnsafe(8 + data.length);
    body.writeBigUInt64LE(BigInt(offset), 0);
    body.set(data, 8);
    return this.#record(RecordType.data, body);
  }

  hole(offset: number, length: number): Uint8Array {
    const body = Buffer.alloc(16);
    body.writeBigUInt64LE(BigInt(offset), 0);
    body.writeBigUInt64LE(BigInt(length), 8);
    return this.#record(RecordType.hole, body);
  }

  end(digest: string): Uint8Array {
    const body = Buffer.alloc(endBytes);
    body.writeBigUInt64LE(BigInt(this.#records), 0);
    body.set(Buffer.from(digest, 'hex'), 8);
    body.set(this.#hash.digest(), 40);
    return frame(RecordType.end, body);
  }

  #record(type: number, body: Uint8Array): Uint8Array {
    const record = frame(type, body);
    this.#hash.update(record);
    this.#records++;
    return record;
  }
}

function frame(type: number, body: Uint8Array): Uint8Array {
  const record = Buffer.allocUnsafe(headBytes + body.length);
  record.writeUInt32LE(magic, 0);
  record.writeUInt16LE(version, 4);
  record.writeUInt16LE(type, 6);
  record.writeUInt32LE(body.length, 8);
  record.set(body, headBytes);
  record.writeUInt32LE(crc32c(record.subarray(headBytes), crc32c(record.subarray(0, 12))), 12);
  return record;
}

/**
 * The records of a stream, each checked before it is given out; the last is `end`, and a stream that ends before it,
 * goes on behind it or was altered anywhere is CORRUPT. TOO_NEW. Holds one record at most.
 */
export async function* readStream(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<StreamRecord, void, undefined> {
  const input = new Input(source);
  const hash = createHash('sha256');
  let records = 0;
  let begin: Begin | null = null;
  let reached = 0;
  for (;;) {
    const head = await input.take(headBytes);
    const { type, length } = readHead(head, records);
    const record = await input.more(length);
    if (crc32c(record.subarray(headBytes), crc32c(record.subarray(0, 12))) !== u32(record, 12)) {
      throw corrupt(`record ${records} was altered`);
    }
    const body = record.subarray(headBytes);
    if ((type === RecordType.begin) !== (begin === null)) throw corrupt('begin comes first, once');
    if (begin === null) {
      begin = readBegin(body);
      yield begin;
    } else if (type === RecordType.end) {
      if (u64(body, 0) !== records) throw corrupt('records are missing');
      if (hash.digest('hex') !== hex(body, 40, 72)) throw corrupt('the stream was altered');
      if (!(await input.ended())) throw corrupt('something follows its end');
      yield { type: 'end', digest: hex(body, 8, 40) };
      return;
    } else {
      const extent = type === RecordType.data ? readData(body) : readHole(body, begin);
      const end = extent.offset + (extent.type === 'data' ? extent.data.length : extent.length);
      if (extent.offset < reached) throw corrupt(`record ${records} goes back`);
      if (end > begin.size) throw corrupt(`record ${records} is past the end of the disk`);
      reached = end;
      yield extent;
    }
    hash.update(record);
    records++;
  }
}

function readHead(head: Uint8Array, index: number): { type: number; length: number } {
  if (u32(head, 0) !== magic) {
    throw corrupt(index === 0 ? 'this is no stream of Petal' : `record ${index} is none`);
  }
  const found = u16(head, 4);
  if (found > version) {
    const text = `the stream was written by a newer version of Petal (format ${found})`;
    throw new StorageError('TOO_NEW', text);
  }
  const [type, length] = [u16(head, 6), u32(head, 8)];
  const [least, most] = bodyLengths[type] ?? [1, 0];
  if (found !== version || length < least || length > most)
    throw corrupt(`record ${index} is none`);
  return { type, length };
}

/** Least and most, by type. */
const bodyLengths: Readonly<Record<number, readonly [number, number]>> = {
  [RecordType.begin]: [beginBytes, beginBytes + 2 * limits.nameLength + 1],
  [RecordType.data]: [8 + blockBytes, 8 + limits.streamPieceBytes],
  [RecordType.hole]: [16, 16],
  [RecordType.end]: [endBytes, endBytes],
};

function readBegin(body: Uint8Array): Begin {
  const size = u64(body, 0);
  const sectorBytes = u32(body, 8);
  const flags = u32(body, 12);
  const [disk, snapshot, ...rest] = Buffer.from(body.subarray(beginBytes)).toString().split('@');
  if (sizeFault(size) !== null) throw corrupt('bad size');
  if (sectorBytes !== 512 && sectorBytes !== 4096) throw corrupt('bad sector size');
  if (flags > 1) throw corrupt('unknown flags');
  if (disk === undefined || snapshot === undefined || rest.length > 0) throw corrupt('bad name');
  if (nameFault(disk) !== null || nameFault(snapshot) !== null) throw corrupt('bad name');
  const base = flags === 1 ? { content: hex(body, 32, 48), digest: hex(body, 48, 80) } : null;
  const created = u64(body, 80);
  return {
    type: 'begin',
    size,
    sectorBytes,
    content: hex(body, 16, 32),
    base,
    created,
    disk,
    snapshot,
  };
}

function readData(body: Uint8Array): Data {
  const offset = u64(body, 0);
  const data = body.subarray(8);
  if (offset % blockBytes !== 0 || data.length % blockBytes !== 0) throw corrupt('no whole blocks');
  return { type: 'data', offset, data };
}

function readHole(body: Uint8Array, begin: Begin): Hole {
  const [offset, length] = [u64(body, 0), u64(body, 8)];
  if (begin.base === null) throw corrupt('a full stream has no holes to tell of');
  if (length === 0 || offset % blockBytes !== 0 || length % blockBytes !== 0) {
    throw corrupt('no whole blocks');
  }
  return { type: 'hole', offset, length };
}

/** Bytes in pieces of any length, out of which records are cut. */
class Input {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);
  readonly #record = Buffer.alloc(headBytes + 8 + limits.streamPieceBytes);
  #filled = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** The next `length` bytes, the first of a record. */
  async take(length: number): Promise<Uint8Array> {
    this.#filled = 0;
    return await this.more(length);
  }

  /** All of the record so far, with `length` bytes more. */
  async more(length: number): Promise<Uint8Array> {
    const wanted = this.#filled + length;
    while (this.#filled < wanted) {
      if (this.#rest.length === 0 && !(await this.#next())) {
        throw corrupt('the stream ends too early');
      }
      const part = this.#rest.subarray(0, wanted - this.#filled);
      this.#record.set(part, this.#filled);
      this.#filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return this.#record.subarray(0, wanted);
  }

  async ended(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#next());
  }

  async #next(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return false;
      this.#rest = value;
    }
    return true;
  }
}

const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const u16 = (bytes: Uint8Array, at: number): number => view(bytes).getUint16(at, true);
const u32 = (bytes: Uint8Array, at: number): number => view(bytes).getUint32(at, true);
const hex = (bytes: Uint8Array, from: number, to: number): string =>
  Buffer.from(bytes.subarray(from, to)).toString('hex');

function u64(bytes: Uint8Array, at: number): number {
  const value = view(bytes).getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt('a number is too large');
  return Number(value);
}

const corrupt = (what: string): StorageError => new StorageError('CORRUPT', `import: ${what}`);
