/**
 * An open virtual disk: bytes above, whole blocks below (Petal's client side).
 *
 * - Calls on whole blocks go straight through. A call that touches part of a block, or compares,
 *   waits for the changes there that are in flight (changes.ts), reads the block and writes it whole;
 *   meanwhile whoever else writes there waits in order (locks.ts).
 * - Reads never wait: a block changes whole, by one write, so a reader gets each block before or
 *   after it, never between.
 * - Data is copied before a call returns; a write completes when the blocks below say so: when it is
 *   durable, or with write-back (write-back.ts) when it is in memory.
 */
import assert from 'node:assert/strict';
import { StorageError, storageError } from '../base/errors.ts';
import { type Blocks, blockBytes, type Done } from '../map/blocks.ts';
import { type Change, Changes } from './changes.ts';
import { Join } from './join.ts';
import { limits } from './limits.ts';
import { type Lock, RangeLocks } from './locks.ts';
import { SealedBlocks } from './sealed-blocks.ts';
import type { Allocation, DiskRecord, Volume, VolumeListener } from './volume.ts';
import { type SpaceMaker, WholeWrite, type WriteHost } from './writes.ts';

const zeroes = new Uint8Array(limits.zeroPieceBytes);

/** Blocks that hold part of `offset`…`end`-1: the first and the last, included. */
const firstBlock = (offset: number): number => Math.floor(offset / blockBytes);
const lastBlock = (end: number): number => Math.ceil(end / blockBytes) - 1;
const whole = (offset: number, length: number): boolean =>
  offset % blockBytes === 0 && length % blockBytes === 0;

export class OpenVolume implements Volume, WriteHost {
  readonly #store: Blocks;
  #blocks: Blocks;
  readonly locks = new RangeLocks();
  readonly changes = new Changes();
  readonly space: SpaceMaker;
  readonly ref: number;
  readonly #listeners = new Set<VolumeListener>();
  /** For the sync path only: one block that is read in part. */
  readonly #scratch = new Uint8Array(blockBytes);
  #record: DiskRecord;
  #size: number;
  #ended = false;

  constructor(record: DiskRecord, blocks: Blocks, space: SpaceMaker) {
    this.#record = record;
    this.#size = record.size;
    this.ref = record.ref;
    this.#store = blocks;
    this.#blocks = this.#sealed(record);
    this.space = space;
  }

  /** For copying blocks as they lie. */
  get raw(): WriteHost {
    const { locks, changes, space, ref } = this;
    const refusal = (last: number) => this.refusal(last);
    return { blocks: this.#store, locks, changes, space, ref, refusal };
  }

  /** As this disk sees them. */
  get blocks(): Blocks {
    return this.#blocks;
  }

  #sealed({ cipherKey }: DiskRecord): Blocks {
    return cipherKey === undefined ? this.#store : new SealedBlocks(this.#store, cipherKey);
  }

  get record(): DiskRecord {
    return this.#record;
  }

  /** The record changed in the Directory, and perhaps all of the content; a new size shows at once. */
  update(record: DiskRecord, content = false): void {
    assert.equal(record.id, this.#record.id);
    if (record.cipherKey !== this.#record.cipherKey) this.#blocks = this.#sealed(record);
    this.#record = record;
    const resized = record.size !== this.#size;
    this.#size = record.size;
    if (resized) this.#tell('size');
    if (content) this.#tell('content');
  }

  /** Resolves when no change is in flight; none begins before the function that it gives is called. */
  still(): Promise<() => void> {
    const { locks, changes } = this;
    return new Promise((resolve) => {
      locks.acquire(0, Number.MAX_SAFE_INTEGER, (lock) => {
        changes.whenNone(lock, () => resolve(() => locks.release(lock)));
      });
    });
  }

  /** The disk is removed: every call from here on, and what still waits, is refused. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#tell('removed');
    this.#listeners.clear();
  }

  listen(listener: VolumeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(change: 'size' | 'content' | 'removed'): void {
    for (const listener of [...this.#listeners]) listener.changed(change);
  }

  refusal(last: number): StorageError | null {
    if (this.#ended) return new StorageError('NOT_FOUND', 'the disk is removed');
    if ((last + 1) * blockBytes <= this.#size) return null;
    return new StorageError('INVALID', 'the range is past the end of the disk');
  }

  /**
   * The caller has checked the range, but data may arrive after a shrink or a removal: that is
   * refused. A range that is not made of sectors is a bug.
   */
  #refused(offset: number, length: number, done: Done): boolean {
    const inside = !this.#ended && offset + length <= this.#size;
    if (inside && this.#sectors(offset, length) && length > 0) return false;
    // Nothing of nothing is done at once.
    done.complete(inside ? null : this.refusal(lastBlock(offset + length)));
    return true;
  }

  #sectors(offset: number, length: number): boolean {
    const { sectorBytes } = this.#record;
    assert(offset >= 0 && offset % sectorBytes === 0, `offset ${offset} is no sector`);
    assert(length >= 0 && length % sectorBytes === 0, `length ${length} is not made of sectors`);
    return true;
  }

  readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    if (this.#ended || offset + length > this.#size) return false;
    if (!this.#sectors(offset, length) || length === 0) return true;
    const { blocks, ref } = this;
    if (whole(offset, length)) {
      return blocks.readNow(ref, offset / blockBytes, length / blockBytes, into, at);
    }
    const end = offset + length;
    for (let from = offset; from < end; ) {
      const block = firstBlock(from);
      const to = Math.min(end, (block + 1) * blockBytes);
      const skip = from - block * blockBytes;
      const wholes = skip === 0 ? Math.floor((end - from) / blockBytes) : 0;
      if (wholes > 0) {
        if (!blocks.readNow(ref, block, wholes, into, at + from - offset)) return false;
        from += wholes * blockBytes;
        continue;
      }
      if (!blocks.readNow(ref, block, 1, this.#scratch, 0)) return false;
      into.set(this.#scratch.subarray(skip, skip + to - from), at + from - offset);
      from = to;
    }
    return true;
  }

  read(offset: number, length: number, into: Uint8Array, at: number, done: Done): void {
    if (this.#refused(offset, length, done)) return;
    const { blocks, ref } = this;
    if (whole(offset, length)) {
      blocks.read(ref, offset / blockBytes, length / blockBytes, into, at, done);
      return;
    }
    const first = firstBlock(offset);
    const count = lastBlock(offset + length) - first + 1;
    const bounce = new Uint8Array(count * blockBytes);
    blocks.read(ref, first, count, bounce, 0, {
      complete: (error) => {
        const skip = offset - first * blockBytes;
        if (error === null) into.set(bounce.subarray(skip, skip + length), at);
        done.complete(error);
      },
    });
  }

  write(offset: number, data: Uint8Array, done: Done, durable = false): void {
    if (this.#refused(offset, data.length, done)) return;
    if (!whole(offset, data.length)) {
      this.#writePart(offset, data, done, durable);
      return;
    }
    const first = offset / blockBytes;
    const last = first + data.length / blockBytes - 1;
    if (this.locks.count === 0 || !this.locks.overlaps(first, last)) {
      new WholeWrite(this, first, data, false, null, done, durable).submit();
      return;
    }
    const copy = new Uint8Array(data);
    this.locks.acquire(first, last, (lock) => {
      new WholeWrite(this, first, copy, true, lock, done, durable).submit();
    });
  }

  flush(done: Done): void {
    if (this.#ended) done.complete(new StorageError('NOT_FOUND', 'the disk is removed'));
    else this.blocks.flush(done, this.ref);
  }

  /** Sectors that leave a block incomplete: the rest of the block is read, then it is written whole. */
  #writePart(offset: number, data: Uint8Array, done: Done, durable = false): void {
    const end = offset + data.length;
    const first = firstBlock(offset);
    const last = lastBlock(end);
    const buffer = new Uint8Array((last - first + 1) * blockBytes);
    const skip = offset - first * blockBytes;
    const to = skip + data.length;
    buffer.set(data, skip);
    this.locks.acquire(first, last, (lock) => {
      const write = (error: StorageError | null): void => {
        if (error !== null) this.#fail(lock, error, done);
        else new WholeWrite(this, first, buffer, true, lock, done, durable).submit();
      };
      this.changes.whenNone(lock, () => this.#fillEdges(first, buffer, skip, to, write));
    });
  }

  /** Fill `buffer` outside of `from`…`to`-1 with what the disk holds there. */
  #fillEdges(
    first: number,
    buffer: Uint8Array,
    from: number,
    to: number,
    then: (error: StorageError | null) => void,
  ): void {
    const edges: number[] = [];
    if (from % blockBytes !== 0) edges.push(firstBlock(from));
    if (to % blockBytes !== 0 && edges[0] !== firstBlock(to)) edges.push(firstBlock(to));
    const join = new Join({ complete: then });
    for (const edge of edges) {
      const fill = (content: Uint8Array): void => {
        const start = edge * blockBytes;
        const head = Math.max(0, from - start);
        const tail = Math.min(blockBytes, to - start);
        buffer.set(content.subarray(0, head), start);
        buffer.set(content.subarray(tail), start + tail);
      };
      if (this.blocks.readNow(this.ref, first + edge, 1, this.#scratch, 0)) {
        fill(this.#scratch);
        continue;
      }
      const content = new Uint8Array(blockBytes);
      join.add();
      this.blocks.read(this.ref, first + edge, 1, content, 0, {
        complete: (error) => {
          if (error === null) fill(content);
          join.complete(error);
        },
      });
    }
    join.complete(null);
  }

  #fail(lock: Lock, error: StorageError, done: Done): void {
    done.complete(error);
    this.locks.release(lock);
  }

  compareAndWrite(offset: number, compare: Uint8Array, write: Uint8Array, done: Done): void {
    assert.equal(compare.length, write.length);
    if (this.#refused(offset, compare.length, done)) return;
    const first = firstBlock(offset);
    const last = lastBlock(offset + compare.length);
    const skip = offset - first * blockBytes;
    const buffer = new Uint8Array((last - first + 1) * blockBytes);
    const decide = (lock: Lock, wanted: Uint8Array, next: Uint8Array): void => {
      const difference = firstDifference(buffer.subarray(skip, skip + wanted.length), wanted);
      if (difference >= 0) {
        const miss = new StorageError('MISCOMPARE', 'other data', { offset: difference });
        this.#fail(lock, miss, done);
        return;
      }
      buffer.set(next, skip);
      new WholeWrite(this, first, buffer, true, lock, done).submit();
    };
    // The caller may reuse its buffers once this returns: a copy is made unless all is over by then.
    let [wanted, next] = [compare, write];
    let decided = false;
    const read = (lock: Lock): void => {
      const { blocks, ref } = this;
      if (blocks.readNow(ref, first, last - first + 1, buffer, 0)) {
        decided = true;
        decide(lock, wanted, next);
        return;
      }
      blocks.read(ref, first, last - first + 1, buffer, 0, {
        complete: (error) => {
          decided = true;
          if (error === null) decide(lock, wanted, next);
          else this.#fail(lock, error, done);
        },
      });
    };
    this.locks.acquire(first, last, (lock) => this.changes.whenNone(lock, () => read(lock)));
    if (!decided) [wanted, next] = [new Uint8Array(compare), new Uint8Array(write)];
  }

  unmap(offset: number, length: number, done: Done): void {
    if (this.#refused(offset, length, done)) return;
    const end = offset + length;
    const inner = Math.ceil(offset / blockBytes) * blockBytes;
    const outer = Math.floor(end / blockBytes) * blockBytes;
    const join = new Join(done);
    if (inner > outer) {
      this.#zeroPart(offset, length, join.add());
    } else {
      if (offset < inner) this.#zeroPart(offset, inner - offset, join.add());
      if (outer < end) this.#zeroPart(outer, end - outer, join.add());
      if (inner < outer) this.#unmapWhole(firstBlock(inner), lastBlock(outer), join.add());
    }
    join.complete(null);
  }

  #unmapWhole(first: number, last: number, done: Done): void {
    const change: Change = { first, last };
    const end = (error: StorageError | null): void => {
      this.changes.remove(change);
      done.complete(error);
    };
    this.locks.acquire(first, last, (lock) => {
      const refusal = this.refusal(last);
      if (refusal !== null) {
        this.#fail(lock, refusal, done);
        return;
      }
      this.changes.add(change);
      const step = (at: number): void => {
        const count = Math.min(last - at + 1, limits.unmapPieceBlocks);
        const rest = at + count <= last;
        this.blocks.unmap(this.ref, at, count, {
          complete: (error) => {
            // Gone or shrunk meanwhile: what is left of this must not land behind what comes then.
            const stop = error ?? this.refusal(last);
            if (!rest) end(error);
            else if (stop === null) step(at + count);
            else {
              end(stop);
              this.locks.release(lock);
            }
          },
        });
        if (!rest) this.locks.release(lock);
      };
      step(first);
    });
  }

  /** Part of one block becomes zeros; a hole is zeros already and stays a hole. */
  #zeroPart(offset: number, length: number, done: Done): void {
    const block = firstBlock(offset);
    if (!this.locks.overlaps(block, block)) {
      const extent = this.blocks.extentNow(this.ref, block, 1);
      if (extent === null) {
        const again = (): void => this.#zeroPart(offset, length, done);
        this.locate(offset, length, {
          complete: (error) => (error === null ? again() : done.complete(error)),
        });
        return;
      }
      if (!extent.mapped) {
        done.complete(null);
        return;
      }
    }
    this.#writePart(offset, zeroes.subarray(0, length), done);
  }

  writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Done): void {
    // A thick disk keeps its promise of room when blocks are unmapped, so it may always unmap.
    if (mayUnmap || this.#record.reserved) {
      this.unmap(offset, length, done);
      return;
    }
    if (this.#refused(offset, length, done)) return;
    const end = offset + length;
    const join = new Join(done);
    let at = offset;
    let inFlight = 0;
    let pumping = false;
    const piece: Done = {
      complete: (error) => {
        inFlight--;
        join.complete(error);
        pump();
      },
    };
    // A loop, not recursion: a piece may complete before `write` returns.
    const pump = (): void => {
      if (pumping) return;
      pumping = true;
      while (at < end && inFlight < limits.zeroPieces && !join.failed) {
        const to = Math.min(
          end,
          (Math.floor(at / limits.zeroPieceBytes) + 1) * limits.zeroPieceBytes,
        );
        const from = at;
        at = to;
        inFlight++;
        join.add();
        this.write(from, zeroes.subarray(0, to - from), piece);
      }
      pumping = false;
      if ((at >= end || join.failed) && !sealed) {
        sealed = true;
        join.complete(null);
      }
    };
    let sealed = false;
    pump();
  }

  allocation(offset: number, length: number): Allocation | null {
    const { reserved } = this.#record;
    if (reserved || this.#ended || length === 0) return { mapped: reserved, length };
    const first = firstBlock(offset);
    const count = lastBlock(offset + length) - first + 1;
    const extent = this.blocks.extentNow(this.ref, first, count);
    if (extent === null) return null;
    const reach = (first + extent.count) * blockBytes - offset;
    return { mapped: extent.mapped, length: Math.min(length, reach) };
  }

  locate(offset: number, length: number, done: Done): void {
    if (this.#refused(offset, length, done)) return;
    const first = firstBlock(offset);
    const count = lastBlock(offset + length) - first + 1;
    this.blocks.extent(this.ref, first, count).then(
      () => done.complete(null),
      (reason: unknown) => {
        done.complete(storageError(reason, 'MEDIUM_ERROR', 'the map cannot be read'));
      },
    );
  }
}

/** Index of the first byte that differs, or -1. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (Buffer.compare(a, b) === 0) return -1;
  for (let index = 0; index < b.length; index++) if (a[index] !== b[index]) return index;
  return -1;
}
