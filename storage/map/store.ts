/**
 * One server's store behind the port `Blocks`: it composes the log, the map and the keeper.
 *
 * Reads look the map up at once. What a read shows is durable: where it meets a write or an unmap
 * that is not yet, it ends when that is, so that nobody sees a value which a crash takes back. It
 * waits for nothing else. After a failed write of the disk the
 * store has failed closed: every change answers DISK_FAILED, reads of what can be read go on.
 */

import assert from 'node:assert/strict';
import { called } from '../base/called.ts';
import { type Clock, turn } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Conditioner } from '../log/conditioner.ts';
import type { Garbage } from '../log/garbage.ts';
import type { LogReader, Run } from '../log/reader.ts';
import type { Scrubber } from '../log/scrub.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Blocks, BlockUsage, Claims, Done, Extent, Redemption, StoreUsage } from './blocks.ts';
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
import { extentOf } from './extent.ts';
import type { Difference, Images } from './images.ts';
import type { Keeper } from './keeper.ts';
import { MapPlaces } from './map-places.ts';
import type { Operation, Operations } from './operations.ts';
import { leafFanout, leafOf, leafWords } from './page.ts';
import { type Missing, unreadable } from './pages.ts';
import { ReadAhead } from './read-ahead.ts';
import type { Removals } from './removals.ts';
import { isNeeded, resizeLog } from './resize.ts';
import type { Room } from './room.ts';
import { difference, exclusive } from './sharing.ts';
import type { BlocksStats } from './stats.ts';
import { WholeRead } from './whole-read.ts';

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
  readonly garbage: Garbage;
  /** Pages have come for what waits for them. */
  readonly pump: () => void;
  readonly recovery: { readonly groups: number; readonly bytes: number };
}

export class LogStore implements Blocks, Claims, Images {
  readonly #parts: StoreParts;
  readonly #ahead: ReadAhead;
  readonly #places: MapPlaces;
  #closing = false;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    const { writer, operations, keeper, conditioner } = parts;
    this.#places = new MapPlaces(parts.content);
    this.#ahead = new ReadAhead(parts.reader, this.#places);
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
      if (value === 'turn') await turn(clock);
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

  /** Clean up to `segments` segments now, those with most garbage; returns how many were cleaned. */
  async clean(segments: number): Promise<number> {
    return await this.#parts.keeper.clean(segments);
  }

  refs(): readonly number[] {
    return [...this.#parts.content.epochs.byRef.keys()];
  }

  readNow(ref: number, block: number, count: number, into: Uint8Array, at: number): boolean {
    const { reader, writer, content } = this.#parts;
    const epoch = content.space(ref);
    if (epoch === undefined) return false;
    // From the end: of what is being read ahead the end comes last, and blocks are not copied twice.
    for (let index = count - 1; index >= 0; index -= 1) {
      const to = at + index * limits.blockBytes;
      const leaf = content.trees.leaf(epoch, leafOf(block + index));
      if (leaf === undefined) return false;
      const address = leaf === null ? 0 : leaf.words[((block + index) % leafFanout) * leafWords]!;
      if (address === 0) {
        if (epoch.unmappedIn > writer.committed) return false;
        into.fill(0, to, to + limits.blockBytes);
      } else if (!writer.durableAt(address) || !reader.copy(address, into, to)) return false;
    }
    this.#ahead.saw(ref, block, count);
    return true;
  }

  read(ref: number, block: number, count: number, into: Uint8Array, at: number, done: Done): void {
    const whole = new WholeRead(done);
    const keep = !this.#ahead.passes(ref, block, count);
    this.#read({ ref, block, count, into, at, keep }, 0, whole);
    whole.started();
    this.#ahead.saw(ref, block, count);
  }

  /** Read from number `index` of the blocks on; where a page of the map is missing, later. */
  #read(wanted: WantedBlocks, from: number, whole: WholeRead): void {
    const { reader, writer, content } = this.#parts;
    const { ref, block, count, into, at, keep } = wanted;
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
        const run = this.#run(leaf!.words, block + index, count - index, address, keep);
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
        rest.complete(unreadable(reason));
      },
    );
  }

  /** The blocks of one leaf from `block` on that one disk call can read. */
  #run(words: Uint32Array, block: number, count: number, address: number, keep: boolean): Run {
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
    return { block, address, epochs, crcs, keep };
  }

  write(ref: number, block: number, data: Uint8Array, done: Done): void {
    checkRange(block, data.length / limits.blockBytes);
    this.#push(new WriteOperation(this.#parts, ref, block, data, done));
  }

  claim(blocks: number, pages: number): boolean {
    const { content, writer } = this.#parts;
    // Nothing is promised by a store that has failed.
    return writer.failure === null && content.account.claim(blocks, pages);
  }

  release(blocks: number, pages: number): void {
    this.#parts.content.account.release(blocks, pages);
  }

  redeem(write: Redemption, done: Done): void {
    const { ref, block, data } = write;
    checkRange(block, data.length / limits.blockBytes);
    this.#push(new WriteOperation(this.#parts, ref, block, data, done, write));
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
    const epoch = content.space(ref);
    if (epoch === undefined) return { mapped: false, count };
    return extentOf(content.trees, epoch, block, count);
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
    const { operations, keeper, conditioner, removals, reader, writer } = this.#parts;
    await operations.idle();
    await this.#places.stop();
    await reader.stop();
    await this.#parts.scrubber.stop();
    await conditioner.stop();
    await removals.stop();
    if (writer.failure !== null) throw writer.failure;
    await writer.durable();
    await keeper.stop();
  }

  stats(): BlocksStats {
    const { writer, checkpointer, cleaner, content, reader, operations, recovery, garbage } =
      this.#parts;
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
      garbageSheets: garbage.sheets,
      garbageReads: garbage.reads,
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
      reads: reader.calls,
      readsAhead: reader.callsAhead,
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
    return called((done) => this.#push(new RecordOperation(this.#parts, decide, done)));
  }
}

interface WantedBlocks {
  readonly ref: number;
  readonly block: number;
  readonly count: number;
  readonly into: Uint8Array;
  readonly at: number;
  /** Whether the cache is to have them. */
  readonly keep: boolean;
}

function checkCount(blocks: number): void {
  assert(Number.isSafeInteger(blocks) && blocks >= 0 && blocks <= limits.spaceBlocksMax);
}

function checkRange(block: number, count: number): void {
  assert(Number.isSafeInteger(block) && block >= 0, 'a block number');
  assert(Number.isSafeInteger(count) && count > 0, 'whole blocks, at least one');
  assert(block + count <= limits.spaceBlocksMax, 'inside a space');
}
