/**
 * What a connection sends: PDUs are laid out in an arena that goes to the stream in one write.
 *
 * `reserve` makes room, the caller writes a header (and data behind it), `seal` adds what only the
 * connection knows (StatSN, ExpCmdSN, MaxCmdSN, padding, digests) and commits. Arenas come from a
 * pool shared by all connections, and go back as soon as the kernel has taken what is in them. While
 * the peer does not keep up, output gathers in one arena until that is full, and `full` tells the readers
 * of the device to wait. A long data segment that the device lends is sent from where it lies
 * (`sealLent`), in one write with what gathered before it.
 *
 * Invariant: `held` is the size of all arenas that wait for the peer, whatever they are filled with, and
 * of all that was lent and waits.
 */

import type { Clock } from '../clock.ts';
import { crc32c } from '../crc32c.ts';
import type { Limits } from '../limits.ts';
import { padding, putDigest, putU32 } from '../wire/bytes.ts';
import { BHS_BYTES } from '../wire/header.ts';
import type { ByteStream } from './stream.ts';
import type { CommandWindow } from './window.ts';

/** Arenas that lie idle, at most: what one slow peer holds. (A connection has one only while it fills it,
 *  or while its peer is slow.) More are left to the garbage collector. */
const IDLE_ARENAS = 16;

export class ArenaPool {
  readonly bytes: number;
  readonly #idle: Buffer[] = [];

  constructor(bytes: number) {
    this.bytes = bytes;
  }

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.alloc(this.bytes);
  }

  give(arena: Buffer): void {
    if (this.#idle.length < IDLE_ARENAS) this.#idle.push(arena);
  }
}

/** What a PDU does with StatSN (RFC 7143 11.4.4, 11.7.4, 11.8). */
export const Stat = {
  /** The field is reserved. */
  none: 0,
  /** A response: the number is used up. */
  advance: 1,
  /** The next number is shown and not used up (R2T, an unsolicited NOP-In). */
  show: 2,
} as const;
export type Stat = (typeof Stat)[keyof typeof Stat];

/** Whose memory is sent without a copy. */
export interface Lender {
  takeBack(slice: Uint8Array): void;
}

export interface OutputOwner {
  /** Some of what was held is gone. */
  outputDrained(): void;
}

const EMPTY = Buffer.alloc(0);
/** A few headers. */
const SMALL_BYTES = 256;

export class Output {
  /** The arena being filled; valid between `reserve` and `seal`. */
  bytes: Buffer = EMPTY;
  /** Where the data segment of a PDU starts, counted from its header. */
  dataAt: number = BHS_BYTES;
  /** Next StatSN. */
  statSn = 1;
  /** Set at full-feature phase; until then the login fills in the numbers itself. */
  window: CommandWindow;
  held = 0;
  /** True while one chunk of input is being handled: its end flushes. */
  corked = false;
  #used = 0;
  #inFlight = 0;
  #closed = false;
  #soon = false;
  #headerDigest = false;
  #dataDigest = false;
  readonly #limits: Limits;
  readonly #pool: ArenaPool;
  readonly #stream: ByteStream;
  readonly #owner: OutputOwner;
  readonly #clock: Clock;
  readonly #flushSoon = (): void => {
    this.#soon = false;
    this.flush();
  };

  constructor(options: {
    readonly limits: Limits;
    readonly pool: ArenaPool;
    readonly stream: ByteStream;
    readonly owner: OutputOwner;
    readonly clock: Clock;
    readonly window: CommandWindow;
  }) {
    this.#limits = options.limits;
    this.#pool = options.pool;
    this.#stream = options.stream;
    this.#owner = options.owner;
    this.#clock = options.clock;
    this.window = options.window;
  }

  /** No new read of the device is to be started now. */
  get full(): boolean {
    return this.held >= this.#limits.heldBytes;
  }

  /** Not even input is to be taken now. */
  get stopped(): boolean {
    return this.held >= this.#limits.heldBytesStop;
  }

  /** The longest data segment that fits an arena beside its header and digests. */
  get segmentBytesMax(): number {
    return this.#pool.bytes - BHS_BYTES - 12;
  }

  setDigests(header: boolean, data: boolean): void {
    this.#headerDigest = header;
    this.#dataDigest = data;
    this.dataAt = header ? BHS_BYTES + 4 : BHS_BYTES;
  }

  /** Room for a PDU with `dataLength` bytes of data; returns where its header starts. */
  reserve(dataLength: number): number {
    const need = dataLength + BHS_BYTES + 12;
    if (this.#used + need > this.bytes.length) {
      this.#write();
      if (this.bytes.length === 0) this.bytes = this.#pool.take();
    }
    return this.#used;
  }

  /** Ends the PDU at `at`, which `reserve` returned. */
  seal(at: number, dataLength: number, stat: Stat): void {
    const b = this.bytes;
    this.#sealHeader(at, stat);
    let end = at + this.dataAt;
    if (dataLength !== 0) {
      const start = end;
      end += dataLength;
      for (let pad = padding(dataLength); pad > 0; pad--) b[end++] = 0;
      if (this.#dataDigest) {
        putDigest(b, end, crc32c(b, start, end));
        end += 4;
      }
    }
    this.#used = end;
    if (!this.corked && !this.#soon) {
      this.#soon = true;
      this.#clock.soon(this.#flushSoon);
    }
  }

  /**
   * As `seal`, for a PDU of which `reserve(0)` made room and whose data are `slices`. Sends it; `lender`
   * has the slices back when that is done.
   */
  sealLent(at: number, slices: Uint8Array[], stat: Stat, lender: Lender): void {
    this.#sealHeader(at, stat);
    const b = this.bytes;
    const start = at + this.dataAt;
    let length = 0;
    let crc = 0;
    for (const slice of slices) {
      length += slice.length;
      if (this.#dataDigest) crc = crc32c(slice, 0, slice.length, crc);
    }
    let end = start;
    for (let pad = padding(length); pad > 0; pad--) b[end++] = 0;
    if (this.#dataDigest) {
      putDigest(b, end, crc32c(b, start, end, crc));
      end += 4;
    }
    this.#used = 0;
    if (!this.#closed) this.#writeLent(start, end, slices, length, lender);
    else for (const slice of slices) lender.takeBack(slice);
  }

  #writeLent(
    start: number,
    end: number,
    slices: Uint8Array[],
    length: number,
    lender: Lender,
  ): void {
    const arena = this.bytes;
    // Behind other output it may wait long: a copy of the few bytes around the data, no whole arena.
    const copied = this.#inFlight !== 0 && end <= SMALL_BYTES;
    const around = copied ? Buffer.from(arena.subarray(0, end)) : arena;
    const bytes = length + (copied ? SMALL_BYTES : arena.length);
    if (!copied) this.bytes = EMPTY;
    this.#inFlight++;
    this.held += bytes;
    const parts = [around.subarray(0, start), ...slices];
    if (end !== start) parts.push(around.subarray(start, end));
    const ended = (): void => {
      this.#inFlight--;
      this.held -= bytes;
      if (!copied) this.#pool.give(arena);
      for (const slice of slices) lender.takeBack(slice);
    };
    const taken = this.#stream.writeAll(parts, () => {
      ended();
      this.#drained();
    });
    if (taken) ended();
  }

  /** What only the connection knows of a header. */
  #sealHeader(at: number, stat: Stat): void {
    const b = this.bytes;
    if (stat !== Stat.none) {
      putU32(b, at + 24, this.statSn);
      if (stat === Stat.advance) this.statSn = (this.statSn + 1) >>> 0;
    }
    putU32(b, at + 28, this.window.expCmdSn);
    putU32(b, at + 32, this.window.maxCmdSn);
    if (this.#headerDigest) putDigest(b, at + BHS_BYTES, crc32c(b, at, at + BHS_BYTES));
  }

  /** Sends what has gathered, unless the peer still has to take what was sent before. */
  flush(): void {
    if (this.#used !== 0 && this.#inFlight === 0) this.#write();
  }

  /** Sends what has gathered even behind other output, for the last words of a connection. */
  flushAll(): void {
    this.#write();
  }

  /** The stream is gone: nothing more is sent. */
  close(): void {
    this.#closed = true;
    if (this.bytes.length !== 0) this.#pool.give(this.bytes);
    this.bytes = EMPTY;
    this.#used = 0;
  }

  #write(): void {
    const arena = this.bytes;
    const used = this.#used;
    if (used === 0) return;
    this.#used = 0;
    if (this.#closed) return;
    this.#inFlight++;
    this.held += arena.length;
    this.bytes = EMPTY;
    const taken = this.#stream.write(used === arena.length ? arena : arena.subarray(0, used), () =>
      this.#sent(arena),
    );
    if (!taken) return;
    this.#inFlight--;
    this.held -= arena.length;
    // Not kept for the next time: thousands of connections that are silent now would hold one each.
    this.#pool.give(arena);
  }

  #sent(arena: Buffer): void {
    this.#inFlight--;
    this.held -= arena.length;
    this.#pool.give(arena);
    this.#drained();
  }

  #drained(): void {
    if (this.#closed) return;
    if (this.#inFlight === 0) this.flush();
    this.#owner.outputDrained();
  }
}
