/**
 * The blocks of a segment in every way in which they can be had: from their place, from the other
 * copy, from the memory of a segment whose parity is not written yet, or as the XOR of the others.
 */
import { isMediumError, StorageError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import {
  blockBytes,
  columnBlocks,
  columnPlace,
  type Piece,
  parityPlace,
  piecesOf,
  segmentBytes,
  xorInto,
} from './geometry.ts';
import type { Members } from './members.ts';
import { all, type Unsealed } from './unsealed.ts';
import type { Target, Zones } from './zones.ts';

/** Read rows of a place, or of what stands for it; rejects with MEDIUM_ERROR. */
type Way = (segment: number, piece: Piece, into: Uint8Array) => Promise<void>;

export class Copies {
  readonly #members: Members;
  readonly #zones: Zones;
  readonly #unsealed: Unsealed;
  readonly #log: Log;

  constructor(members: Members, zones: Zones, unsealed: Unsealed, log: Log) {
    this.#members = members;
    this.#zones = zones;
    this.#unsealed = unsealed;
    this.#log = log;
  }

  /**
   * Blocks [start, …) of a segment, unverified. `heal`: what cannot be read where it lies is written
   * anew there. MEDIUM_ERROR.
   */
  async read(segment: number, start: number, into: Uint8Array, heal = true): Promise<void> {
    const pieces = piecesOf(this.#zones.shape, start, start + into.length / blockBytes);
    if (pieces.length === 1) {
      await this.#piece(segment, pieces[0]!, into, heal);
      return;
    }
    await all(pieces.map((piece) => this.#piece(segment, piece, partOf(piece, into), heal)));
  }

  /** The place it is read from when all is well first; block by block what that cannot give. */
  async #piece(segment: number, piece: Piece, into: Uint8Array, heal: boolean): Promise<void> {
    const ways = this.#ways(segment, piece);
    if (ways.length === 0) throw this.#nowhere(segment, piece);
    try {
      await ways[0]!(segment, piece, into);
      return;
    } catch (error) {
      if (ways.length === 1 && piece.blocks === 1) throw error;
      mediumOnly(error);
    }
    for (let index = 0; index < piece.blocks; index += 1) {
      const one = { ...piece, row: piece.row + index, blocks: 1, at: 0 };
      const block = into.subarray(index * blockBytes, (index + 1) * blockBytes);
      await this.#block(segment, one, block, heal);
    }
  }

  async #block(segment: number, piece: Piece, into: Uint8Array, heal: boolean): Promise<void> {
    const ways = this.#ways(segment, piece);
    for (const [number, way] of ways.entries()) {
      try {
        await way(segment, piece, into);
        if (number > 0 && heal) await this.#heal(segment, piece, into);
        return;
      } catch (error) {
        mediumOnly(error);
      }
    }
    throw this.#nowhere(segment, piece);
  }

  #nowhere(segment: number, piece: Piece): StorageError {
    const where = `block ${piece.column * this.#zones.shape.chunkBlocks + piece.row}`;
    return new StorageError('MEDIUM_ERROR', `no disk can give ${where} of segment ${segment}`);
  }

  /** The ways to a piece, the usual one first. */
  #ways(segment: number, { column }: Piece): Way[] {
    const { shape } = this.#zones;
    const index = this.#zones.indexOf(segment);
    if (!this.#zones.isFormed(segment)) return [zeros];
    const ways: Way[] = [];
    for (const place of this.#placesOf(segment, column)) {
      if (this.#zones.place(segment, place) !== null) ways.push(this.#direct(place));
    }
    if (this.#unsealed.holds(segment)) ways.push(this.#memory);
    else if (parityPlace(shape, index) >= 0) ways.push(this.#xor);
    return ways;
  }

  /** Where copies of a column lie; mirrors take turns by segment. */
  #placesOf(segment: number, column: number): number[] {
    const { shape } = this.#zones;
    if (shape.layout === 'mirrored') return segment % 2 === 0 ? [0, 1] : [1, 0];
    return [columnPlace(shape, this.#zones.indexOf(segment), column)];
  }

  #direct(place: number): Way {
    return async (segment, piece, into) => {
      const target = this.#zones.place(segment, place);
      if (target === null) throw this.#nowhere(segment, piece);
      await this.readAt(target, piece.row, into);
    };
  }

  readonly #memory: Way = async (segment, piece, into) => {
    const first = piece.column * this.#zones.shape.chunkBlocks + piece.row;
    if (!this.#unsealed.copy(segment, first, into)) throw this.#nowhere(segment, piece);
  };

  /** Every other place of the row; what is lost leads nowhere. */
  readonly #xor: Way = async (segment, piece, into) => {
    const { shape } = this.#zones;
    const index = this.#zones.indexOf(segment);
    const parity = this.#zones.place(segment, parityPlace(shape, index));
    if (parity === null) throw this.#nowhere(segment, piece);
    const sum = Buffer.alloc(into.length);
    const reads = [this.readAt(parity, piece.row, sum)];
    const others: Uint8Array[] = [];
    for (let column = 0; column < shape.columns; column += 1) {
      const rows = Math.min(piece.blocks, columnBlocks(shape, column) - piece.row);
      if (column === piece.column || rows <= 0) continue;
      const target = this.#zones.place(segment, columnPlace(shape, index, column));
      if (target === null) throw this.#nowhere(segment, piece);
      const other = Buffer.alloc(rows * blockBytes);
      others.push(other);
      reads.push(this.readAt(target, piece.row, other));
    }
    const ended = await Promise.allSettled(reads);
    for (const read of ended) if (read.status === 'rejected') throw read.reason;
    for (const other of others) xorInto(sum, other);
    into.set(sum);
  };

  /** Rows of one place. A disk that has gone is lost. */
  async readAt({ member, offset }: Target, row: number, into: Uint8Array): Promise<void> {
    try {
      await member.disk.read(offset + row * blockBytes, into);
    } catch (error) {
      member.readErrors += 1;
      const lost = member.disk.gone === true;
      if (lost) await this.#members.lost(member, error).catch(() => {});
      if (isMediumError(error)) throw error;
      throw new StorageError('MEDIUM_ERROR', `${member.disk.name} cannot be read`, {
        cause: error,
      });
    }
  }

  /** See `Redundancy.recover`. */
  async recover(
    segment: number,
    start: number,
    into: Uint8Array,
    good: (bytes: Uint8Array) => boolean,
  ): Promise<boolean> {
    const pieces = piecesOf(this.#zones.shape, start, start + into.length / blockBytes);
    const most = Math.max(...pieces.map((piece) => this.#ways(segment, piece).length));
    for (let number = 0; number < most; number += 1) {
      if (!(await this.#tryWay(segment, pieces, number, into)) || !good(into)) continue;
      for (const piece of pieces) await this.#heal(segment, piece, partOf(piece, into));
      return true;
    }
    return false;
  }

  async #tryWay(
    segment: number,
    pieces: readonly Piece[],
    number: number,
    into: Uint8Array,
  ): Promise<boolean> {
    try {
      for (const piece of pieces) {
        const ways = this.#ways(segment, piece);
        const way = ways[Math.min(number, ways.length - 1)];
        if (way === undefined) return false;
        await way(segment, piece, partOf(piece, into));
      }
      return true;
    } catch (error) {
      mediumOnly(error);
      return false;
    }
  }

  /** Write a piece anew in each of its places that does not hold it; how many blocks differed. */
  async #heal(segment: number, piece: Piece, bytes: Uint8Array): Promise<number> {
    let healed = 0;
    await this.#zones.enter(segment);
    try {
      for (const place of this.#placesOf(segment, piece.column)) {
        for (const target of this.#zones.targets(segment, place)) {
          healed += await this.healAt(segment, target, piece.row, bytes);
        }
      }
    } finally {
      this.#zones.leave(segment);
    }
    return healed;
  }

  /** Block by block: what is good there is left alone. */
  async healAt(segment: number, target: Target, row: number, bytes: Uint8Array): Promise<number> {
    const { member, offset } = target;
    let healed = 0;
    const here = Buffer.alloc(blockBytes);
    const whole = Buffer.alloc(bytes.length);
    const alike = await this.readAt(target, row, whole).then(
      () => Buffer.compare(whole, bytes) === 0,
      () => false,
    );
    if (alike) return 0;
    for (let at = 0; at < bytes.length && member.alive; at += blockBytes) {
      const block = bytes.subarray(at, at + blockBytes);
      const state = await this.readAt(target, row + at / blockBytes, here).then(
        () => (Buffer.compare(here, block) === 0 ? 'same' : 'other'),
        () => 'unreadable',
      );
      if (state === 'same') continue;
      if (state === 'other') member.checksumErrors += 1;
      if (!(await this.#members.put(member, offset + row * blockBytes + at, [block], true))) break;
      healed += 1;
      member.repairedBlocks += 1;
      const facts = { disk: member.disk.name, segment, row: row + at / blockBytes };
      this.#log.warn(facts, 'a bad block was written anew from what is kept of it elsewhere');
    }
    return healed;
  }

  /**
   * Everything kept of these blocks says `bytes` afterwards; how many blocks did not. Of the parity only
   * the rows of these blocks: what stands in other rows was not looked at.
   */
  async agree(segment: number, start: number, bytes: Uint8Array): Promise<number> {
    const { shape } = this.#zones;
    const place = parityPlace(shape, this.#zones.indexOf(segment));
    const pieces = piecesOf(shape, start, start + bytes.length / blockBytes);
    const whole = place < 0 ? null : await this.#image(segment);
    let healed = 0;
    for (const piece of pieces) healed += await this.#heal(segment, piece, partOf(piece, bytes));
    if (whole === null || this.#unsealed.holds(segment)) return healed;
    whole.set(bytes, start * blockBytes);
    const sum = this.#unsealed.parity(whole);
    const [first, ...more] = pieces;
    const from = more.length > 0 ? 0 : first!.row;
    const to = more.length > 0 ? shape.chunkBlocks : first!.row + first!.blocks;
    await this.#zones.enter(segment);
    try {
      for (const target of this.#zones.targets(segment, place)) {
        const rows = sum.subarray(from * blockBytes, to * blockBytes);
        healed += await this.healAt(segment, target, from, rows);
      }
    } finally {
      this.#zones.leave(segment);
    }
    return healed;
  }

  /** A segment as it can be had; what no disk can give is zeros. */
  async #image(segment: number): Promise<Buffer> {
    const whole = Buffer.alloc(segmentBytes);
    await this.readLenient(segment, 0, whole, true);
    return whole;
  }

  /** As `read`, zeros for what no disk can give; how many blocks that were. */
  async readLenient(
    segment: number,
    start: number,
    into: Uint8Array,
    heal: boolean,
  ): Promise<number> {
    try {
      await this.read(segment, start, into, heal);
      return 0;
    } catch (error) {
      mediumOnly(error);
    }
    let bad = 0;
    for (let at = 0; at < into.length; at += blockBytes) {
      const block = into.subarray(at, at + blockBytes);
      await this.read(segment, start + at / blockBytes, block, heal).catch((error: unknown) => {
        mediumOnly(error);
        block.fill(0);
        bad += 1;
      });
    }
    return bad;
  }
}

const zeros: Way = async (_segment, _piece, into) => {
  into.fill(0);
};

const partOf = (piece: Piece, whole: Uint8Array): Uint8Array =>
  whole.subarray(piece.at * blockBytes, (piece.at + piece.blocks) * blockBytes);

function mediumOnly(error: unknown): void {
  if (!isMediumError(error)) throw error;
}
