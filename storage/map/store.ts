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
import { SegmentState } from '../log/segments.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Blocks, BlockUsage, Done, StoreUsage } from './blocks.ts';
import {
  createSpace,
  dropSpace,
  RecordOperation,
  reserveSpace,
  UnmapOperation,
  unknownSpace,
  WriteOperation,
} from './changes.ts';
import type { Checkpointer } from './checkpoint.ts';
import type { Cleaner } from './cleaner.ts';
import type { Content, Space } from './content.ts';
import type { Keeper } from './keeper.ts';
import type { Operation, Operations } from './operations.ts';
import { fanout, type Page } from './page.ts';
import type { Room } from './room.ts';
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
  readonly recovery: { readonly groups: number; readonly bytes: number };
}

export class LogStore implements Blocks {
  readonly #parts: StoreParts;
  #closing = false;
  /** Walks of dropped spaces under way. */
  readonly #walks = new Set<Promise<void>>();

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
    let walk: Promise<void> = Promise.resolve();
    await this.#record(
      dropSpace(this.#parts, ref, (steps) => {
        walk = this.#walk(steps);
      }),
    );
    await walk;
  }

  refs(): readonly number[] {
    return [...this.#parts.content.spaces.keys()];
  }

  readNow(ref: number, block: number, count: number, into: Uint8Array, at: number): boolean {
    const space = this.#parts.content.spaces.get(ref);
    if (space === undefined) return false;
    const { reader, writer } = this.#parts;
    for (let index = 0; index < count; index += 1) {
      const to = at + index * limits.blockBytes;
      const address = addressOf(space, block + index);
      if (address === 0) {
        if (space.unmappedIn > writer.committed) return false;
        into.fill(0, to, to + limits.blockBytes);
      } else if (!writer.durableAt(address) || !reader.copy(address, into, to)) return false;
    }
    return true;
  }

  read(ref: number, block: number, count: number, into: Uint8Array, at: number, done: Done): void {
    const space = this.#parts.content.spaces.get(ref);
    if (space === undefined) {
      done.complete(unknownSpace(ref));
      return;
    }
    const { reader, writer } = this.#parts;
    const whole = new WholeRead(done);
    let index = 0;
    while (index < count) {
      const to = at + index * limits.blockBytes;
      const address = addressOf(space, block + index);
      if (address === 0) {
        into.fill(0, to, to + limits.blockBytes);
        if (space.unmappedIn > writer.committed) writer.awaitGroup(space.unmappedIn, whole.part());
      } else if (reader.copy(address, into, to)) {
        if (!writer.durableAt(address)) writer.awaitAt(address, whole.part());
      } else {
        const run = this.#run(space, block + index, count - index, address);
        reader.read(run, into, to, whole.part());
        index += run.crcs.length;
        continue;
      }
      index += 1;
    }
    whole.started();
  }

  /** The blocks from `block` on that one disk call can read. */
  #run(space: Space, block: number, count: number, address: number): Run {
    const crcs: number[] = [];
    const max = Math.min(count, limits.readRunBlocks);
    for (let index = 0; index < max; index += 1) {
      const leaf = space.tree.leaf(block + index);
      const word = ((block + index) % fanout) * 2;
      if (leaf === null || leaf.words[word] !== address + index) break;
      crcs.push(leaf.words[word + 1]!);
    }
    return { ref: space.ref, block, address, crcs };
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
      step() {
        writer.await(done);
        writer.kick();
        return 'done';
      },
      keep: () => 0,
      fail: (error) => done.complete(error),
    });
  }

  extent(ref: number, block: number, count: number): { mapped: boolean; count: number } {
    checkRange(block, count);
    const space = this.#parts.content.spaces.get(ref);
    if (space === undefined) return { mapped: false, count };
    if (addressOf(space, block) === 0) {
      for (const leaf of space.tree.leaves(block, count)) {
        const found = firstWhere(leaf, block, block + count, true);
        if (found >= 0) return { mapped: false, count: found - block };
      }
      return { mapped: false, count };
    }
    let at = block;
    const end = block + count;
    while (at < end) {
      const leaf = space.tree.leaf(at);
      if (leaf === null) break;
      const found = firstWhere(leaf, at, end, false);
      at = found >= 0 ? found : Math.min(end, (leaf.index + 1) * fanout);
      if (found >= 0) break;
    }
    return { mapped: true, count: at - block };
  }

  usage(ref: number): BlockUsage {
    const space = this.#parts.content.spaces.get(ref);
    if (space === undefined) throw unknownSpace(ref);
    return { mapped: space.share.mapped, reserved: space.share.reserved };
  }

  total(): StoreUsage {
    return this.#parts.content.account.usage();
  }

  get scrubber(): Scrubber {
    return this.#parts.scrubber;
  }

  resize(bytes: number): void {
    const { segments, account } = this.#parts.content;
    const before = segments.count;
    const count = Math.floor(bytes / limits.segmentBytes) - 1;
    if (count === before) return;
    if (!account.resize(count)) {
      throw new StorageError('NO_SPACE', 'what the store holds and has promised would not fit');
    }
    if (!segments.resize(count)) {
      account.resize(before);
      throw new StorageError('NO_SPACE', 'the log has been where the store would end');
    }
    this.#parts.operations.pump();
  }

  needs(segment: number): boolean {
    const { segments } = this.#parts.content;
    return segment <= segments.count && segments.state(segment) !== SegmentState.free;
  }

  /** After a failure of the disk it rejects with DISK_FAILED: no last checkpoint was written. */
  async close(): Promise<void> {
    assert(!this.#closing, 'a store is closed once');
    this.#closing = true;
    const { operations, keeper, conditioner, writer } = this.#parts;
    await operations.idle();
    await this.#parts.scrubber.stop();
    await conditioner.stop();
    await Promise.all(this.#walks);
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
      mapPages: content.pages.pages,
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

  /** Draw the iterator in turns. */
  #walk(steps: Generator<void>): Promise<void> {
    const { clock, operations } = this.#parts;
    const walk = (async () => {
      for (;;) {
        for (let step = 0; step < limits.leavesPerTurn; step += 1) {
          if (steps.next().done) return;
        }
        await new Promise<void>((resolve) => clock.soon(resolve));
      }
    })();
    this.#walks.add(walk);
    return walk.finally(() => {
      this.#walks.delete(walk);
      operations.pump();
    });
  }
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

function addressOf(space: Space, block: number): number {
  const leaf = space.tree.leaf(block);
  return leaf === null ? 0 : leaf.words[(block % fanout) * 2]!;
}

/** First block of `leaf` in [first, end) that is mapped, or is not; -1: none. */
function firstWhere(leaf: Page, first: number, end: number, mapped: boolean): number {
  const base = leaf.index * fanout;
  const to = Math.min(end - base, fanout);
  for (let slot = Math.max(first - base, 0); slot < to; slot += 1) {
    if ((leaf.words[slot * 2] !== 0) === mapped) return base + slot;
  }
  return -1;
}

function checkCount(blocks: number): void {
  assert(Number.isSafeInteger(blocks) && blocks >= 0 && blocks <= limits.spaceBlocksMax);
}

function checkRange(block: number, count: number): void {
  assert(Number.isSafeInteger(block) && block >= 0, 'a block number');
  assert(Number.isSafeInteger(count) && count > 0, 'whole blocks, at least one');
  assert(block + count <= limits.spaceBlocksMax, 'inside a space');
}
