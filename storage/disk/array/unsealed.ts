/**
 * Segments whose parity is not written yet, in memory. Their groups lie on the data disks and, as
 * records of the journal, on the disk that will hold the parity. When a segment is full its parity is
 * computed from here, with no read; when that is durable the records are let go.
 *
 * What no group filled becomes zeros, in memory and on disk, so that the parity is of what is there.
 */

import type { Log } from '../../base/log.ts';
import { bytesIn } from '../disk.ts';
import {
  blockBytes,
  columnPlace,
  parityOf,
  parityPlace,
  piecesOf,
  segmentBlocks,
  segmentBytes,
} from './geometry.ts';
import type { Member } from './member.ts';
import type { Members } from './members.ts';
import { cut, type Zones } from './zones.ts';

interface Image {
  readonly segment: number;
  readonly bytes: Buffer;
  /** Blocks from the first on that were written in this life of the segment. */
  end: number;
  sealing: Promise<void> | null;
}

export class Unsealed {
  readonly #members: Members;
  readonly #zones: Zones;
  readonly #log: Log;
  readonly #images = new Map<number, Image>();
  readonly #spare: Buffer[] = [];

  constructor(members: Members, zones: Zones, log: Log) {
    this.#members = members;
    this.#zones = zones;
    this.#log = log;
  }

  holds(segment: number): boolean {
    return this.#images.has(segment);
  }

  /** Blocks that the segment has in memory; false: not these. */
  copy(segment: number, first: number, into: Uint8Array): boolean {
    const image = this.#images.get(segment);
    if (image === undefined || first + into.length / blockBytes > image.end) return false;
    image.bytes.copy(into, 0, first * blockBytes, first * blockBytes + into.length);
    return true;
  }

  /** What is there of a segment, zeros behind it; null: it is sealed. */
  imageOf(segment: number): { bytes: Uint8Array; end: number } | null {
    const image = this.#images.get(segment);
    if (image === undefined) return null;
    image.bytes.fill(0, image.end * blockBytes);
    return image;
  }

  /** The parity of a whole segment. */
  parity(bytes: Uint8Array): Uint8Array {
    const sum = Buffer.alloc(this.#zones.chunkBytes);
    parityOf(this.#zones.shape, bytes, sum);
    return sum;
  }

  /**
   * Note blocks that are about to be written. The segment's first block begins a new life of it: the one
   * before must have its parity by then.
   */
  async note(segment: number, start: number, data: readonly Uint8Array[]): Promise<void> {
    let image = this.#images.get(segment);
    if (start === 0 && image !== undefined) {
      await this.#seal(image);
      image = undefined;
    }
    if (image === undefined) {
      const bytes = this.#spare.pop() ?? Buffer.alloc(segmentBytes);
      image = { segment, bytes, end: 0, sealing: null };
      this.#images.set(segment, image);
    }
    let at = start * blockBytes;
    for (const part of data) {
      image.bytes.set(part, at);
      at += part.length;
    }
    image.end = Math.max(image.end, at / blockBytes);
  }

  /** The copy on the disk of the parity, durable; also on the one that it is moving to. */
  async journal(segment: number, start: number, data: readonly Uint8Array[]): Promise<void> {
    const place = parityPlace(this.#zones.shape, this.#zones.indexOf(segment));
    const writes = this.#zones
      .targets(segment, place)
      .map(({ member }) => this.record(member, segment, start, data));
    await all(writes);
  }

  async record(
    member: Member,
    segment: number,
    start: number,
    data: readonly Uint8Array[],
  ): Promise<void> {
    const { journal } = member;
    if (journal === null || !member.alive) return;
    const block = segment * segmentBlocks + start;
    const { offset, front } = await journal.record(segment, block, data);
    await this.#members.put(member, offset, [front, ...data], true);
  }

  /** Nothing is added any more: the parity is written in the background. */
  sealed(segment: number): void {
    const image = this.#images.get(segment);
    if (image === undefined) return;
    this.#seal(image).catch((err: unknown) => {
      if (this.#members.failed === null) throw err;
      this.#log.error({ segment, err }, 'the parity of a segment cannot be written');
    });
  }

  #seal(image: Image): Promise<void> {
    image.sealing ??= this.#sealNow(image);
    return image.sealing;
  }

  async #sealNow(image: Image): Promise<void> {
    const { segment, bytes } = image;
    await this.#zones.enter(segment);
    try {
      const tail = image.end;
      bytes.fill(0, tail * blockBytes);
      image.end = segmentBlocks;
      await this.writeBlocks(segment, tail, [bytes.subarray(tail * blockBytes)]);
      await this.writeParity(segment, bytes);
      if (this.#members.losing !== null) await this.#members.losing;
      if (this.#members.failed !== null) throw this.#members.failed;
    } finally {
      this.#zones.leave(segment);
    }
    for (const member of this.#members.all()) member.journal?.retire(segment);
    this.#images.delete(segment);
    if (this.#spare.length < spareMax) this.#spare.push(bytes);
  }

  /** To the data disks, durably; nothing when there is nothing. */
  async writeBlocks(segment: number, start: number, data: readonly Uint8Array[]): Promise<void> {
    const { shape } = this.#zones;
    const index = this.#zones.indexOf(segment);
    const writes: Promise<unknown>[] = [];
    for (const piece of piecesOf(shape, start, start + bytesIn(data) / blockBytes)) {
      const parts = cut(data, piece.at, piece.blocks);
      for (const target of this.#zones.targets(segment, columnPlace(shape, index, piece.column))) {
        const offset = target.offset + piece.row * blockBytes;
        writes.push(this.#members.put(target.member, offset, parts, true));
      }
    }
    await all(writes);
  }

  async writeParity(segment: number, bytes: Uint8Array): Promise<void> {
    const place = parityPlace(this.#zones.shape, this.#zones.indexOf(segment));
    const targets = this.#zones.targets(segment, place);
    if (targets.length === 0) return;
    const sum = this.parity(bytes);
    await all(targets.map(({ member, offset }) => this.#members.put(member, offset, [sum], true)));
  }

  /** Resolves when every segment that is being sealed is. */
  async settled(): Promise<void> {
    const sealing = [...this.#images.values()].map((image) => image.sealing);
    await Promise.allSettled(sealing.filter((each) => each !== null));
  }
}

/** Buffers kept for the next segment. */
const spareMax = 4;

/** All have ended: buffers are the caller's again. Rejects with the first failure. */
export async function all(calls: readonly Promise<unknown>[]): Promise<void> {
  for (const ended of await Promise.allSettled(calls)) {
    if (ended.status === 'rejected') throw ended.reason;
  }
}
