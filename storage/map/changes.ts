/**
 * The operations that change a store, each as its turn in `Operations`: have the pages of the map, decide,
 * append, wait for durability.
 */
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { EntryKind } from '../log/format.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Done } from './blocks.ts';
import type { Content } from './content.ts';
import type { Epoch } from './epochs.ts';
import { Fetch } from './fetch.ts';
import type { Operation, Step } from './operations.ts';
import { leafFanout, leafOf, leafWords, type Page } from './page.ts';
import type { Missing } from './pages.ts';
import type { Room } from './room.ts';

export interface ChangePorts {
  readonly content: Content;
  readonly writer: LogWriter;
  readonly room: Room;
  /** Pages have come for what waits for them. */
  readonly pump: () => void;
}

export const unknownSpace = (ref: number): StorageError =>
  new StorageError('NOT_FOUND', `there is no space ${ref}`);

export const noSpace = (): StorageError => new StorageError('NO_SPACE', 'the store is full');

const frozen = (ref: number): StorageError =>
  new StorageError('INVALID', `space ${ref} is frozen: it never changes`);

/** The epoch that a change of `ref` goes to, or why there is none. */
function writableSpace(content: Content, ref: number): Epoch | StorageError {
  const epoch = content.space(ref);
  if (epoch === undefined) return unknownSpace(ref);
  return epoch.writable ? epoch : frozen(ref);
}

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
  readonly #fetch: Fetch;
  #data: Uint8Array;
  /** Blocks staged; -1: not admitted yet. */
  #staged = -1;

  constructor(ports: ChangePorts, ref: number, block: number, data: Uint8Array, done: Done) {
    this.#ports = ports;
    this.#ref = ref;
    this.#block = block;
    this.#data = data;
    this.#done = done;
    this.#fetch = new Fetch(ports.content.pages, () => this.#missing(), ports.pump);
  }

  #missing(): Missing | null {
    const { content } = this.#ports;
    const epoch = content.space(this.#ref);
    if (epoch === undefined) return null;
    const last = this.#block + this.#data.length / limits.blockBytes - 1;
    for (let block = this.#block + Math.max(0, this.#staged); ; block += leafFanout) {
      const missing = content.missing(epoch, Math.min(block, last));
      if (missing !== null || block >= last) return missing;
    }
  }

  prefetch(): void {
    this.#fetch.ready();
  }

  step(): Step {
    const { content, writer, room } = this.#ports;
    const epoch = writableSpace(content, this.#ref);
    if (epoch instanceof StorageError) return this.#refuse(epoch);
    if (this.#fetch.error !== null) return this.#refuse(this.#fetch.error);
    if (!this.#fetch.ready()) return 'load';
    const count = this.#data.length / limits.blockBytes;
    if (this.#staged < 0) {
      if (!this.#admitted(epoch, count)) return this.#refuse(noSpace());
      this.#staged = 0;
    }
    const atomic = count > 1 && inOneRun(this.#block, count);
    while (this.#staged < count) {
      const some = Math.min(count - this.#staged, stride);
      // Kept together they may leave the end of a segment empty.
      const taken = atomic ? some + limits.atomicBlocks : some;
      if (!room.forWriter(taken, this.#pages(epoch, some))) return 'room';
      if (content.pages.crowded || !writer.accepts(taken)) return 'busy';
      if (atomic) writer.together(some);
      this.#stage(epoch, some);
    }
    writer.await(this.#done);
    writer.kick();
    return 'done';
  }

  #pages(epoch: Epoch, count: number): number {
    const first = this.#block + this.#staged;
    return this.#ports.content.trees.most(epoch, leafOf(first), leafOf(first + count - 1));
  }

  #stage(epoch: Epoch, count: number): void {
    const { content, writer } = this.#ports;
    const { data } = EntryKind;
    const { number } = epoch;
    const line = epoch.line.id;
    for (let end = this.#staged + count; this.#staged < end; this.#staged += 1) {
      const block = this.#block + this.#staged;
      const at = this.#staged * limits.blockBytes;
      const address = writer.append(data, 0, line, block, number, this.#data, at);
      content.set(epoch, block, address, writer.crc);
    }
    writer.userBlocks += count;
    writer.kick();
  }

  #admitted(epoch: Epoch, count: number): boolean {
    const { trees, epochs, account } = this.#ports.content;
    const end = this.#block + count;
    let fresh = 0;
    let copied = 0;
    for (let block = this.#block; block < end; ) {
      const index = leafOf(block);
      const leaf = trees.leaf(epoch, index)!;
      if (leaf === null || !epochs.alone(epoch, leaf.birth, index)) copied += 1;
      for (const to = Math.min(end, (index + 1) * leafFanout); block < to; block += 1) {
        const word = (block % leafFanout) * leafWords;
        const free = leaf !== null && leaf.words[word] !== 0;
        if (!free || !epochs.alone(epoch, leaf.words[word + 1]!, index)) fresh += 1;
      }
    }
    if (fresh === 0 && copied === 0) return true;
    const pages = copied === 0 ? 0 : trees.most(epoch, leafOf(this.#block), leafOf(end - 1));
    return account.admits(epoch, fresh, pages);
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
  readonly #fetch: Fetch;
  #at: number;

  constructor(ports: ChangePorts, ref: number, block: number, count: number, done: Done) {
    this.#ports = ports;
    this.#ref = ref;
    this.#at = block;
    this.#end = block + count;
    this.#done = done;
    this.#fetch = new Fetch(ports.content.pages, () => this.#missing(), ports.pump);
  }

  #missing(): Missing | null {
    const { content } = this.#ports;
    const epoch = content.space(this.#ref);
    if (epoch === undefined) return null;
    return this.#leaves(epoch) === undefined ? content.trees.wanted : null;
  }

  /** Those of one turn; undefined: a page has to be loaded. */
  #leaves(epoch: Epoch): Page[] | undefined {
    const leaves: Page[] = [];
    const last = leafOf(this.#end - 1);
    for (let from = leafOf(this.#at); leaves.length < limits.leavesPerTurn; ) {
      const page = this.#ports.content.trees.next(epoch, from, last);
      if (page === undefined) return undefined;
      if (page === null) break;
      leaves.push(page);
      from = page.index + 1;
    }
    return leaves;
  }

  prefetch(): void {
    this.#fetch.ready();
  }

  step(): Step {
    const { content, writer, room } = this.#ports;
    const epoch = writableSpace(content, this.#ref);
    if (epoch instanceof StorageError) return this.#refuse(epoch);
    if (this.#fetch.error !== null) return this.#refuse(this.#fetch.error);
    if (!this.#fetch.ready()) return 'load';
    const leaves = this.#leaves(epoch)!;
    if (leaves.length > 0) {
      if (!room.forWriter(1, leaves.length + 2 * epoch.height + 2)) return 'room';
      if (content.pages.crowded || !writer.accepts(1)) return 'busy';
      const end = Math.min(this.#end, (leaves.at(-1)!.index + 1) * leafFanout);
      let cleared = 0;
      for (const leaf of leaves) cleared += content.clear(epoch, leaf, this.#at, end);
      if (cleared > 0) {
        writer.note(EntryKind.unmap, this.#ref, this.#at, 0, end - this.#at);
        epoch.unmappedIn = writer.newest;
      }
      this.#at = end;
      writer.kick();
      if (end < this.#end) return 'later';
    }
    // What was unmapped before may not be durable yet: wait for it even if nothing was left to do.
    writer.await(this.#done);
    writer.kick();
    return 'done';
  }

  #refuse(error: StorageError): Step {
    this.#done.complete(error);
    return 'done';
  }

  keep(): number {
    return 0;
  }

  fail(error: StorageError): void {
    this.#done.complete(error);
  }
}

/** Records: `decide` refuses with an error, or changes the content and says what to note. */
export class RecordOperation implements Operation {
  readonly #ports: ChangePorts;
  readonly #decide: () => StorageError | (() => void);
  readonly #done: Done;

  constructor(ports: ChangePorts, decide: () => StorageError | (() => void), done: Done) {
    this.#ports = ports;
    this.#decide = decide;
    this.#done = done;
  }

  prefetch(): void {}

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

type Decision = StorageError | (() => void);

/** What refuses a new space, or null. */
function newSpace(content: Content, ref: number, more = 1): StorageError | null {
  if (content.space(ref) !== undefined)
    return new StorageError('EXISTS', `there is a space ${ref}`);
  if (content.epochs.byNumber.size + more <= limits.spaces) return null;
  return new StorageError('NO_SPACE', `a store has at most ${limits.spaces} disks and snapshots`);
}

/** The records of a space's life, each with what must hold for it. */
export function createSpace({ content, writer }: ChangePorts, ref: number, reserved: number) {
  return (): Decision => {
    const refusal = newSpace(content, ref);
    if (refusal !== null) return refusal;
    if (!content.account.mayPromise(null, reserved)) return noSpace();
    return () => {
      const number = content.epochs.next;
      writer.note(EntryKind.create, ref, reserved, number, 0);
      content.create(ref, reserved, number);
    };
  };
}

export function reserveSpace({ content, writer }: ChangePorts, ref: number, reserved: number) {
  return (): Decision => {
    const epoch = writableSpace(content, ref);
    if (epoch instanceof StorageError) return epoch;
    if (!content.account.mayPromise(epoch, reserved)) return noSpace();
    return () => {
      writer.note(EntryKind.reserve, ref, reserved, 0, 0);
      content.promise(epoch, reserved);
    };
  };
}

/** `removed` gets the epoch that nothing leads to any more. */
export function dropSpace(
  { content, writer }: ChangePorts,
  ref: number,
  removed: (epoch: Epoch) => void,
) {
  return (): Decision => {
    const epoch = content.space(ref);
    if (epoch === undefined) return unknownSpace(ref);
    return () => {
      writer.note(EntryKind.drop, ref, 0, 0, 0);
      content.drop(epoch);
      removed(epoch);
    };
  };
}

export interface Freeze {
  readonly of: number;
  readonly as: number;
}

/** All in one group: a crash takes all of them or none. */
export function freezeSpaces({ content, writer }: ChangePorts, pairs: readonly Freeze[]) {
  return (): Decision => {
    const epochs: Epoch[] = [];
    const refs = new Set(pairs.flatMap(({ of, as }) => [of, as]));
    if (refs.size !== 2 * pairs.length || pairs.length === 0) {
      return new StorageError('INVALID', 'a snapshot is of different spaces, at least one');
    }
    if (pairs.length > limits.snapshotSpaces) {
      const most = limits.snapshotSpaces;
      return new StorageError('INVALID', `at most ${most} disks have a snapshot at once`);
    }
    for (const { of, as } of pairs) {
      const epoch = writableSpace(content, of);
      if (epoch instanceof StorageError) return epoch;
      epochs.push(epoch);
      const refusal = newSpace(content, as, pairs.length);
      if (refusal !== null) return refusal;
    }
    if (!content.account.mayFreeze(epochs)) return noSpace();
    return () => {
      writer.together(0, pairs.length);
      for (const { of, as } of pairs) {
        const number = content.epochs.next;
        writer.note(EntryKind.freeze, of, as, number, 0);
        content.freeze(of, as, number);
      }
    };
  };
}

export function branchSpace(
  { content, writer }: ChangePorts,
  from: number,
  ref: number,
  reserved: number,
) {
  return (): Decision => {
    const refusal = frozenSpace(content, from) ?? newSpace(content, ref);
    if (refusal !== null) return refusal;
    if (!content.account.mayPromise(null, reserved)) return noSpace();
    return () => {
      const number = content.epochs.next;
      writer.note(EntryKind.branch, ref, reserved, number, from);
      content.branch(from, ref, reserved, number);
    };
  };
}

function frozenSpace(content: Content, ref: number): StorageError | null {
  const epoch = content.space(ref);
  if (epoch === undefined) return unknownSpace(ref);
  if (epoch.state === 'frozen') return null;
  return new StorageError('INVALID', `space ${ref} is not frozen`);
}

/** `removed` gets the epoch that `ref` led to before. */
export function revertSpace(
  { content, writer }: ChangePorts,
  ref: number,
  from: number,
  removed: (epoch: Epoch) => void,
) {
  return (): Decision => {
    const refusal = frozenSpace(content, from);
    if (refusal !== null) return refusal;
    const before = writableSpace(content, ref);
    if (before instanceof StorageError) return before;
    if (!content.account.mayFreeze([before])) return noSpace();
    return () => {
      const number = content.epochs.next;
      writer.note(EntryKind.revert, ref, from, number, 0);
      content.revert(ref, from, number);
      removed(before);
    };
  };
}
