/**
 * What a connection sends: PDUs are laid out in an arena that goes to the stream in one write.
 *
 * `reserve` makes room, the caller writes a header (and data behind it), `seal` adds what only the
 * connection knows (StatSN, ExpCmdSN, MaxCmdSN, padding, digests) and commits. Arenas come from a
 * pool shared by all connections; one that the kernel took at once goes back to it. While the peer
 * does not keep up, output gathers in one arena until that is full, and `full` tells the readers of
 * the device to wait.
 *
 * Invariant: `held` is the size of all arenas that wait for the peer, whatever they are filled with.
 */

import type { Clock } from '../clock.ts';
import { crc32c } from '../crc32c.ts';
import type { Limits } from '../limits.ts';
import { padding, putDigest, putU32 } from '../wire/bytes.ts';
import { BHS_BYTES } from '../wire/header.ts';
import type { ByteStream } from './stream.ts';
import type { CommandWindow } from './window.ts';

/** Arenas that lie idle; beyond so many they are left to the garbage collector. */
const IDLE_ARENAS = 32;

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

export interface OutputOwner {
  /** Some of what was held is gone. */
  outputDrained(): void;
}

const EMPTY = Buffer.alloc(0);

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
    if (stat !== Stat.none) {
      putU32(b, at + 24, this.statSn);
      if (stat === Stat.advance) this.statSn = (this.statSn + 1) >>> 0;
    }
    putU32(b, at + 28, this.window.expCmdSn);
    putU32(b, at + 32, this.window.maxCmdSn);
    let end = at + this.dataAt;
    if (this.#headerDigest) putDigest(b, at + BHS_BYTES, crc32c(b, at, at + BHS_BYTES));
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
    if (this.#closed) return;
    if (this.#inFlight === 0) this.flush();
    this.#owner.outputDrained();
  }
}
