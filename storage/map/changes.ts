/**
 * The operations that change a store, each as its turn in `Operations`: decide, append, wait for
 * durability.
 */
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { EntryKind } from '../log/format.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Done } from './blocks.ts';
import type { Content, Space } from './content.ts';
import type { Operation, Step } from './operations.ts';
import { fanout } from './page.ts';
import type { Room } from './room.ts';

export interface ChangePorts {
  readonly content: Content;
  readonly writer: LogWriter;
  readonly room: Room;
}

/** Blocks and map pages. */
export interface Claim {
  readonly blocks: number;
  readonly pages: number;
}

export const unknownSpace = (ref: number): StorageError =>
  new StorageError('NOT_FOUND', `there is no space ${ref}`);

const noSpace = (): StorageError => new StorageError('NO_SPACE', 'the store is full');

/** Whether blocks are inside one aligned run of those that are kept together. */
function inOneRun(block: number, count: number): boolean {
  return (block % limits.atomicBlocks) + count <= limits.atomicBlocks;
}

/** Blocks appended between two looks at the room that is left. */
const stride = 128;

/**
 * Whole blocks, perhaps in several turns. Space is decided in the first, before anything is staged.
 */
export class WriteOperation implements Operation {
  readonly #ports: ChangePorts;
  readonly #ref: number;
  readonly #block: number;
  readonly #done: Done;
  #data: Uint8Array;
  /** Room that was set aside for it. */
  readonly #claim: Claim | null;
  /** Blocks staged; -1: not admitted yet. */
  #staged = -1;

  constructor(
    ports: ChangePorts,
    ref: number,
    block: number,
    data: Uint8Array,
    done: Done,
    claim: Claim | null = null,
  ) {
    this.#ports = ports;
    this.#ref = ref;
    this.#block = block;
    this.#data = data;
    this.#done = done;
    this.#claim = claim;
  }

  step(): Step {
    const { content, writer, room } = this.#ports;
    const space = content.spaces.get(this.#ref);
    if (space === undefined) return this.#refuse(unknownSpace(this.#ref));
    const count = this.#data.length / limits.blockBytes;
    if (this.#staged < 0) {
      if (this.#claim === null && !this.#admitted(space, count)) return this.#refuse(noSpace());
      this.#staged = 0;
    }
    const atomic = count > 1 && inOneRun(this.#block, count);
    while (this.#staged < count) {
      const some = Math.min(count - this.#staged, stride);
      // Kept together they may leave the end of a segment empty.
      const taken = atomic ? some + limits.atomicBlocks : some;
      if (!room.forWriter(taken, 6 + 2 * Math.ceil(some / fanout))) return 'room';
      if (!writer.accepts(taken)) return 'busy';
      if (atomic) writer.together(some);
      this.#stage(space, some);
    }
    if (this.#claim !== null) content.account.release(this.#claim.blocks, this.#claim.pages);
    writer.await(this.#done);
    writer.kick();
    return 'done';
  }

  #stage(space: Space, count: number): void {
    const { content, writer } = this.#ports;
    for (let end = this.#staged + count; this.#staged < end; this.#staged += 1) {
      const block = this.#block + this.#staged;
      const at = this.#staged * limits.blockBytes;
      const address = writer.append(EntryKind.data, 0, this.#ref, block, this.#data, at);
      content.set(space, block, address, writer.crc);
    }
    writer.userBlocks += count;
    writer.kick();
  }

  #admitted(space: Space, count: number): boolean {
    let fresh = 0;
    for (let block = this.#block; block < this.#block + count; block += 1) {
      const leaf = space.tree.leaf(block);
      if (leaf === null || leaf.words[(block % fanout) * 2] === 0) fresh += 1;
    }
    return fresh === 0 || space.share.admits(fresh, space.tree.missing(this.#block, count));
  }

  #refuse(error: StorageError): Step {
    this.#done.complete(error);
    return 'done';
  }

  keep(): number {
    this.#data = Uint8Array.from(this.#data);
    return this.#data.length;
  }

  fail(error: StorageError): void {
    this.#done.complete(error);
  }
}

/** A range is given back, a number of leaves each turn. */
export class UnmapOperation implements Operation {
  readonly #ports: ChangePorts;
  readonly #ref: number;
  readonly #end: number;
  readonly #done: Done;
  #at: number;

  constructor(ports: ChangePorts, ref: number, block: number, count: number, done: Done) {
    this.#ports = ports;
    this.#ref = ref;
    this.#at = block;
    this.#end = block + count;
    this.#done = done;
  }

  step(): Step {
    const { content, writer, room } = this.#ports;
    const space = content.spaces.get(this.#ref);
    if (space === undefined) {
      this.#done.complete(unknownSpace(this.#ref));
      return 'done';
    }
    const leaves = [];
    for (const leaf of space.tree.leaves(this.#at, this.#end - this.#at)) {
      leaves.push(leaf);
      if (leaves.length === limits.leavesPerTurn) break;
    }
    if (leaves.length > 0) {
      if (!room.forWriter(1, 3 * leaves.length + 6)) return 'room';
      if (!writer.accepts(1)) return 'busy';
      const end = Math.min(this.#end, (leaves.at(-1)!.index + 1) * fanout);
      let cleared = 0;
      for (const leaf of leaves) cleared += content.clear(space, leaf, this.#at, end);
      if (cleared > 0) {
        writer.note(EntryKind.unmap, this.#ref, this.#at, end - this.#at);
        space.unmappedIn = writer.newest;
      }
      this.#at = end;
      writer.kick();
      if (end < this.#end) return 'later';
    }
    // What was unmapped before may not be durable yet: wait for it even if nothing was left to do.
    writer.await(this.#done);
    return 'done';
  }

  keep(): number {
    return 0;
  }

  fail(error: StorageError): void {
    this.#done.complete(error);
  }
}

/** One record: `decide` refuses with an error, or changes the content and says what to note. */
export class RecordOperation implements Operation {
  readonly #ports: ChangePorts;
  readonly #decide: () => StorageError | (() => void);
  readonly #done: Done;

  constructor(ports: ChangePorts, decide: () => StorageError | (() => void), done: Done) {
    this.#ports = ports;
    this.#decide = decide;
    this.#done = done;
  }

  step(): Step {
    const { writer, room } = this.#ports;
    const decided = this.#decide();
    if (decided instanceof StorageError) {
      this.#done.complete(decided);
      return 'done';
    }
    if (!room.forWriter(1, 6)) return 'room';
    if (!writer.accepts(1)) return 'busy';
    decided();
    writer.await(this.#done);
    writer.kick();
    return 'done';
  }

  keep(): number {
    return 0;
  }

  fail(error: StorageError): void {
    this.#done.complete(error);
  }
}

/** The three records of a space's life, each with what must hold for it. */
export function createSpace(ports: ChangePorts, ref: number, reserved: number) {
  const { content, writer } = ports;
  return (): StorageError | (() => void) => {
    if (content.spaces.has(ref)) return new StorageError('EXISTS', `there is a space ${ref}`);
    if (content.spaces.size >= limits.spaces) {
      return new StorageError('NO_SPACE', `a store has at most ${limits.spaces} spaces`);
    }
    if (!content.propose(ref).share.mayPromise(reserved)) return noSpace();
    return () => {
      writer.note(EntryKind.create, ref, reserved, 0);
      content.create(ref, reserved);
    };
  };
}

export function reserveSpace(ports: ChangePorts, ref: number, reserved: number) {
  const { content, writer } = ports;
  return (): StorageError | (() => void) => {
    const space = content.spaces.get(ref);
    if (space === undefined) return unknownSpace(ref);
    if (!space.share.mayPromise(reserved)) return noSpace();
    return () => {
      writer.note(EntryKind.reserve, ref, reserved, 0);
      space.share.promise(reserved);
    };
  };
}

/** `walk` gets the iterator that gives the blocks back. */
export function dropSpace(ports: ChangePorts, ref: number, walk: (steps: Generator<void>) => void) {
  const { content, writer } = ports;
  return (): StorageError | (() => void) => {
    const space = content.spaces.get(ref);
    if (space === undefined) return unknownSpace(ref);
    return () => {
      writer.note(EntryKind.drop, ref, 0, 0);
      walk(content.drop(space));
    };
  };
}
