/**
 * One server's store behind the port `Blocks`: it composes the log, the map and the keeper.
 *
 * Reads look the map up at once. What a read shows is durable: where it meets a write or an unmap
 * that is not yet, it ends when that is, so that nobody sees a value which a crash takes back. It
 * waits for nothing else. After a failed write of the disk the
 * store has failed closed: every change answers DISK_FAILED, reads of what can be read go on.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Conditioner } from '../log/conditioner.ts';
import type { LogReader, Run } from '../log/reader.ts';
import type { Scrubber } from '../log/scrub.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Blocks, BlockUsage, Done, Extent, StoreUsage } from './blocks.ts';
import {
  branchSpace,
  createSpace,
  dropSpace,
  type Freeze,
  freezeSpaces,
  RecordOperation,
  reserveSpace,
  revertSpace,
  UnmapOperation,
  unknownSpace,
  WriteOperation,
} from './changes.ts';
import type { Checkpointer } from './checkpoint.ts';
import type { Cleaner } from './cleaner.ts';
import type { Content } from './content.ts';
import type { Epoch } from './epochs.ts';
import type { Difference, Images } from './images.ts';
import type { Keeper } from './keeper.ts';
import type { Operation, Operations } from './operations.ts';
import { leafFanout, leafOf, leafWords, type Page } from './page.ts';
import type { Missing } from './pages.ts';
import type { Removals } from './removals.ts';
import { isNeeded, resizeLog } from './resize.ts';
import type { Room } from './room.ts';
import { difference, exclusive } from './sharing.ts';
import type { BlocksStats } from './stats.ts';

export interface StoreParts {
  readonly clock: Clock;
  readonly content: Content;
  readonly writer: LogWriter;
  readonly reader: LogReader;
  readonly room: Room;
  readonly checkpointer: Checkpointer;
  readonly cleaner: Cleaner;
  readonly operations: Operations;
  readonly keeper: Keeper;
  readonly conditioner: Conditioner;
  readonly scrubber: Scrubber;
  readonly removals: Removals;
  /** Pages have come for what waits for them. */
  readonly pump: () => void;
  readonly recovery: { readonly groups: number; readonly bytes: number };
}

export class LogStore implements Blocks, Images {
  readonly #parts: StoreParts;
  #closing = false;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    const { writer, operations, keeper, conditioner } = parts;
    writer.settled = () => {
      operations.pump();
      keeper.wake();
      conditioner.wake();
    };
    writer.broke = (failure) => operations.failAll(failure);
    conditioner.wake();
  }

  async create(ref: number, reserved: number): Promise<void> {
    checkCount(reserved);
    await this.#record(createSpace(this.#parts, ref, reserved));
  }

  async reserve(ref: number, reserved: number): Promise<void> {
    checkCount(reserved);
    await this.#record(reserveSpace(this.#parts, ref, reserved));
  }

  async drop(ref: number): Promise<void> {
    let removed: Promise<void> = Promise.resolve();
    await this.#record(
      dropSpace(this.#parts, ref, (epoch) => {
        removed = this.#parts.removals.add(epoch);
      }),
    );
    await removed;
  }

  async snapshot(pairs: readonly Freeze[]): Promise<void> {
    await this.#record(freezeSpaces(this.#parts, pairs));
  }

  async clone(from: number, ref: number, reserved: number): Promise<void> {
    checkCount(reserved);
    await this.#record(branchSpace(this.#parts, from, ref, reserved));
  }

  async revert(ref: number, from: number): Promise<void> {
    let removed: Promise<void> = Promise.resolve();
    await this.#record(
      revertSpace(this.#parts, ref, from, (epoch) => {
        removed = this.#parts.removals.add(epoch);
      }),
    );
    await removed;
  }

  isFrozen(ref: number): boolean {
    return this.#space(ref).state === 'frozen';
  }

  async exclusive(refs: readonly number[]): Promise<number> {
    const { content, clock } = this.#parts;
    const steps = exclusive(content, new Set(refs.map((ref) => this.#space(ref))));
    for (;;) {
      const { value, done } = steps.next();
      if (done) return value;
      if (value === 'turn') await new Promise<void>((resolve) => clock.soon(resolve));
      else await content.pages.load(value);
    }
  }

  async difference(a: number, b: number, block: number, count: number): Promise<Difference> {
    checkRange(block, count);
    const { content } = this.#parts;
    return await this.#looked(() => {
      return difference(content, this.#space(a), this.#space(b), block, count);
    });
  }

  /** Look until no page is missing. */
  async #looked<T>(look: () => T | undefined): Promise<T> {
    const { pages, trees } = this.#parts.content;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      await pages.load(trees.wanted);
    }
  }

  #space(ref: number): Epoch {
    const epoch = this.#parts.content.space(ref);
    if (epoch === undefined) throw unknownSpace(ref);
    return epoch;
  }

  refs(): readonly number[] {
    return [...this.#parts.content.epochs.byRef.keys()];
  }

  readNow(ref: number, block: number, count: number, into: Uint8Array, at: number): boolean {
    const { reader, writer, content } = this.#parts;
    const epoch = content.space(ref);
    if (epoch === undefined) return false;
    for (let index = 0; index < count; index += 1) {
      const to = at + index * limits.blockBytes;
      const leaf = content.trees.leaf(epoch, leafOf(block + index));
      if (leaf === undefined) return false;
      const address = leaf === null ? 0 : leaf.words[((block + index) % leafFanout) * leafWords]!;
      if (address === 0) {
        if (epoch.unmappedIn > writer.committed) return false;
        into.fill(0, to, to + limits.blockBytes);
      } else if (!writer.durableAt(address) || !reader.copy(address, into, to)) return false;
    }
    return true;
  }

  read(ref: number, block: number, count: number, into: Uint8Array, at: number, done: Done): void {
    const whole = new WholeRead(done);
    this.#read({ ref, block, count, into, at }, 0, whole);
    whole.started();
  }

  /** Read from number `index` of the blocks on; where a page of the map is missing, later. */
  #read(wanted: WantedBlocks, from: number, whole: WholeRead): void {
    const { reader, writer, content } = this.#parts;
    const { ref, block, count, into, at } = wanted;
    const epoch = content.space(ref);
    if (epoch === undefined) {
      whole.part().complete(unknownSpace(ref));
      return;
    }
    let index = from;
    while (index < count) {
      const to = at + index * limits.blockBytes;
      const leaf = content.trees.leaf(epoch, leafOf(block + index));
      if (leaf === undefined) {
        this.#readLater(wanted, index, whole, content.trees.wanted);
        return;
      }
      const address = leaf === null ? 0 : leaf.words[((block + index) % leafFanout) * leafWords]!;
      if (address === 0) {
        into.fill(0, to, to + limits.blockBytes);
        if (epoch.unmappedIn > writer.committed) writer.awaitGroup(epoch.unmappedIn, whole.part());
      } else if (reader.copy(address, into, to)) {
        if (!writer.durableAt(address)) writer.awaitAt(address, whole.part());
      } else {
        const run = this.#run(leaf!.words, block + index, count - index, address);
        reader.read(run, into, to, whole.part());
        index += run.crcs.length;
        continue;
      }
      index += 1;
    }
  }

  #readLater(wanted: WantedBlocks, index: number, whole: WholeRead, missing: Missing): void {
    const rest = whole.part();
    this.#parts.content.pages.load(missing).then(
      () => {
        this.#read(wanted, index, whole);
        rest.complete(null);
      },
      (reason: unknown) => {
        const known = reason instanceof StorageError;
        const error = known ? reason : new StorageError('MEDIUM_ERROR', 'the map cannot be read');
        rest.complete(error);
      },
    );
  }

  /** The blocks of one leaf from `block` on that one disk call can read. */
  #run(words: Uint32Array, block: number, count: number, address: number): Run {
    const epochs: number[] = [];
    const crcs: number[] = [];
    const first = block % leafFanout;
    const max = Math.min(count, limits.readRunBlocks, leafFanout - first);
    for (let index = 0; index < max; index += 1) {
      const word = (first + index) * leafWords;
      if (words[word] !== address + index) break;
      epochs.push(words[word + 1]!);
      crcs.push(words[word + 2]!);
    }
    return { block, address, epochs, crcs };
  }

  write(ref: number, block: number, data: Uint8Array, done: Done): void {
    checkRange(block, data.length / limits.blockBytes);
    this.#push(new WriteOperation(this.#parts, ref, block, data, done));
  }

  unmap(ref: number, block: number, count: number, done: Done): void {
    checkRange(block, count);
    this.#push(new UnmapOperation(this.#parts, ref, block, count, done));
  }

  flush(done: Done): void {
    const { writer } = this.#parts;
    this.#push({
      prefetch() {},
      step() {
        writer.await(done);
        writer.kick();
        return 'done';
      },
      keep: () => 0,
      fail: (error) => done.complete(error),
    });
  }

  async extent(ref: number, block: number, count: number): Promise<Extent> {
    checkRange(block, count);
    return await this.#looked(() => this.extentNow(ref, block, count) ?? undefined);
  }

  extentNow(ref: number, block: number, count: number): Extent | null {
    checkRange(block, count);
    const { content } = this.#parts;
    const { trees } = content;
    const epoch = content.space(ref);
    if (epoch === undefined) return { mapped: false, count };
    const end = block + count;
    const first = trees.next(epoch, leafOf(block), leafOf(end - 1));
    if (first === undefined) return null;
    if (first === null) return { mapped: false, count };
    const mapped = isMapped(first, block);
    let at = sameUntil(first, block, end, mapped);
    // On into the leaves behind it, as far as they are in memory.
    for (let looked = 0; at < end && at % leafFanout === 0; looked += 1) {
      const leaf = trees.next(epoch, leafOf(at), leafOf(end - 1));
      if (leaf === undefined || looked === limits.leavesPerTurn) break;
      if (leaf === null) {
        if (!mapped) at = end;
        break;
      }
      if (isMapped(leaf, at) !== mapped) break;
      at = sameUntil(leaf, at, end, mapped);
    }
    return { mapped, count: at - block };
  }

  usage(ref: number): BlockUsage {
    const { mapped, reserved } = this.#space(ref);
    return { mapped, reserved };
  }

  total(): StoreUsage {
    return this.#parts.content.account.usage();
  }

  get scrubber(): Scrubber {
    return this.#parts.scrubber;
  }

  resize(bytes: number): void {
    resizeLog(this.#parts.content, bytes);
    this.#parts.operations.pump();
  }

  needs(segment: number): boolean {
    return isNeeded(this.#parts.content, segment);
  }

  /** After a failure of the disk it rejects with DISK_FAILED: no last checkpoint was written. */
  async close(): Promise<void> {
    assert(!this.#closing, 'a store is closed once');
    this.#closing = true;
    const { operations, keeper, conditioner, removals, writer } = this.#parts;
    await operations.idle();
    await this.#parts.scrubber.stop();
    await conditioner.stop();
    await removals.stop();
    if (writer.failure !== null) throw writer.failure;
    await writer.durable();
    await keeper.stop();
  }

  stats(): BlocksStats {
    const { writer, checkpointer, cleaner, content, reader, operations, recovery } = this.#parts;
    const { segments } = content;
    return {
      groups: writer.groups,
      syncs: writer.groups + checkpointer.count,
      userBlocks: writer.userBlocks,
      cleanerBlocks: cleaner.moved,
      mapBlocks: checkpointer.mapBlocks,
      headerBlocks: writer.groups + writer.segmentsOpened,
      segments: segments.count,
      segmentsFree: segments.free,
      segmentsCleaned: cleaner.cleaned,
      segmentsDamaged: segments.damaged,
      checkpoints: checkpointer.count,
      recoveryGroups: recovery.groups,
      recoveryBytes: recovery.bytes,
      blocksUsed: content.account.physical,
      mapPages: content.pages.table.used,
      mapPagesHere: content.pages.count,
      mapLoads: content.pages.loads,
      cacheHits: reader.cache.hits,
      cacheMisses: reader.cache.misses,
      badBlocks: reader.badBlocks + cleaner.badBlocks,
      waiting: operations.count,
      failed: writer.failure !== null,
    };
  }

  #push(operation: Operation): void {
    const { writer, operations, keeper } = this.#parts;
    if (writer.failure !== null) operation.fail(writer.failure);
    else if (this.#closing) operation.fail(new StorageError('BUSY', 'the store is closing'));
    else {
      operations.push(operation);
      if (operations.starving) keeper.wake();
    }
  }

  #record(decide: () => StorageError | (() => void)): Promise<void> {
    return new Promise((resolve, reject) => {
      const done: Done = { complete: (error) => (error === null ? resolve() : reject(error)) };
      this.#push(new RecordOperation(this.#parts, decide, done));
    });
  }
}

interface WantedBlocks {
  readonly ref: number;
  readonly block: number;
  readonly count: number;
  readonly into: Uint8Array;
  readonly at: number;
}

/** A read of several parts: told once, when the last has ended, with the first error. */
class WholeRead {
  readonly #done: Done;
  #pending = 1;
  #error: StorageError | null = null;

  constructor(done: Done) {
    this.#done = done;
  }

  part(): Done {
    this.#pending += 1;
    return { complete: (error) => this.#ended(error) };
  }

  started(): void {
    this.#ended(null);
  }

  #ended(error: StorageError | null): void {
    this.#error ??= error;
    this.#pending -= 1;
    if (this.#pending === 0) this.#done.complete(this.#error);
  }
}

/** `leaf` is the first at or behind the one that has `block`. */
function isMapped(leaf: Page, block: number): boolean {
  return leaf.index === leafOf(block) && leaf.words[(block % leafFanout) * leafWords] !== 0;
}

/** The first block behind `block` in `leaf`, or its end, that is not as said; at most `end`. */
function sameUntil(leaf: Page, block: number, end: number, mapped: boolean): number {
  const base = leaf.index * leafFanout;
  let at = Math.max(block, base);
  const to = Math.min(end, base + leafFanout);
  while (at < to && (leaf.words[(at - base) * leafWords] !== 0) === mapped) at += 1;
  return at;
}

function checkCount(blocks: number): void {
  assert(Number.isSafeInteger(blocks) && blocks >= 0 && blocks <= limits.spaceBlocksMax);
}

function checkRange(block: number, count: number): void {
  assert(Number.isSafeInteger(block) && block >= 0, 'a block number');
  assert(Number.isSafeInteger(count) && count > 0, 'whole blocks, at least one');
  assert(block + count <= limits.spaceBlocksMax, 'inside a space');
}
