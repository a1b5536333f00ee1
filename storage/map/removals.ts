/**
 * What an epoch alone saw is given back when it was removed: its map is compared, leaf by leaf, with that of
 * the epoch that follows it; what its parent sees as well is passed over, and so is every page that both
 * share, with all that is below it. So the work depends on what changed between neighbours, not on sizes.
 *
 * One epoch at a time; how far it got is part of every checkpoint (`cursor`), and a crash costs nothing but
 * what was done since. With two children or more the removed epoch stays as a ghost: what none of them
 * shares any more is given back, the rest when one child is left.
 */
import { type Clock, pause, turn } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Content } from './content.ts';
import type { Epoch } from './epochs.ts';
import { Looker, type Pause } from './looker.ts';
import { innerFanout, lastLeafOf, leafFanout, leafWords, type Page } from './page.ts';
import type { Room } from './room.ts';

export interface RemovalPorts {
  readonly clock: Clock;
  readonly content: Content;
  readonly log: Log;
  /** When it has failed nothing is given back any more. */
  readonly writer: LogWriter;
  /** Something was given back. */
  readonly progress: () => void;
  readonly room: Room;
}

/** Leaves remembered for a ghost; with more it is looked through whole. */
const looseMax = 4096;
/** Time between two looks whether there is room. */
const roomMs = 5;
/** Time in which changes are gathered before ghosts are looked at. */
const looseMs = 250;

/** Pages of which nothing more than this is looked at in one turn. */
const pagesPerTurn = 16;

export class Removals {
  readonly #ports: RemovalPorts;
  #queue: Epoch[] = [];
  readonly #waiting = new Map<Epoch, (() => void)[]>();
  #running: Promise<void> | null = null;
  #stopped = false;
  readonly #loose = new Set<Epoch>();
  #timer: (() => void) | null = null;

  constructor(ports: RemovalPorts) {
    this.#ports = ports;
    ports.content.loosened = (ghost, leaf) => this.#loosened(ghost, leaf);
  }

  /** At open: those that a crash left. */
  resume(): void {
    const left = [...this.#ports.content.epochs.byNumber.values()].filter(
      (epoch) => epoch.state === 'doomed' || epoch.state === 'ghost',
    );
    // One that was begun is ended first.
    left.sort((a, b) => b.cursor - a.cursor || a.number - b.number);
    for (const epoch of left) this.#enqueue(epoch);
  }

  /** Resolves when what only this doomed epoch saw is given back, or the store has failed or is closing. */
  add(epoch: Epoch): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(epoch);
      if (waiting === undefined) this.#waiting.set(epoch, [resolve]);
      else waiting.push(resolve);
      this.#enqueue(epoch);
    });
  }

  #enqueue(epoch: Epoch): void {
    if (!this.#queue.includes(epoch)) this.#queue.push(epoch);
    this.#start();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      // What came while this was ending.
      if (this.#queue.length > 0 && !this.#over) this.#start();
    });
  }

  /** Somebody less sees through the ghosts from here upwards. */
  #sweepBefore(epoch: Epoch | null): void {
    for (let at = epoch; at !== null && !at.sees; at = at.parent) {
      if (at.state === 'ghost') this.#sweep(at);
    }
  }

  #sweep(ghost: Epoch): void {
    ghost.loose = null;
    this.#enqueue(ghost);
  }

  #loosened(ghost: Epoch, leaf: number): void {
    if (ghost.loose === null) return;
    ghost.loose.add(leaf);
    if (ghost.loose.size > looseMax) ghost.loose = null;
    this.#loose.add(ghost);
    this.#timer ??= this.#ports.clock.after(looseMs, () => {
      this.#timer = null;
      for (const each of this.#loose) this.#enqueue(each);
      this.#loose.clear();
    });
  }

  /** Ends what is under way; the rest is done after the next open. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.();
    await this.#running;
    for (const waiting of this.#waiting.values()) for (const resolve of waiting) resolve();
    this.#waiting.clear();
  }

  get #over(): boolean {
    return this.#stopped || this.#ports.writer.failure !== null;
  }

  async #run(): Promise<void> {
    await turn(this.#ports.clock);
    while (!this.#over) {
      const epoch = this.#queue.shift();
      if (epoch === undefined) return;
      try {
        await this.#remove(epoch);
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        // Its map cannot be read: what it saw is not given back before it can.
        this.#ports.log.error({ epoch: epoch.number, err: error }, 'a removal has stopped');
      }
      for (const resolve of this.#waiting.get(epoch) ?? []) resolve();
      this.#waiting.delete(epoch);
      this.#ports.progress();
    }
  }

  async #remove(epoch: Epoch): Promise<void> {
    const { content } = this.#ports;
    if (content.epochs.byNumber.get(epoch.number) !== epoch) return;
    if (epoch.children.size > 1) {
      if (epoch.state !== 'ghost') this.#sweepBefore(epoch.parent);
      epoch.state = 'ghost';
      await this.#draw(new Sweep(content, epoch).steps());
      return;
    }
    epoch.state = 'doomed';
    if (!(await this.#draw(new Walk(content, epoch).steps()))) return;
    this.#splice(epoch);
  }

  #splice(epoch: Epoch): void {
    const { epochs, account } = this.#ports.content;
    const { parent } = epoch;
    const [child] = epoch.children;
    epochs.splice(epoch);
    if (child?.state === 'ghost') this.#sweep(child);
    this.#sweepBefore(parent);
    if (child !== undefined && child.parent === null) {
      // Nobody before it is left: all that it maps counts as its own.
      account.without(child);
      child.own = child.mapped;
      account.with(child);
    }
  }

  /** False: stopped before its end. */
  async #draw(steps: Generator<Pause>): Promise<boolean> {
    const { clock, content, progress } = this.#ports;
    let pages = 0;
    for (;;) {
      if (this.#over) return false;
      await this.#roomy();
      const { value, done } = steps.next();
      if (done) return true;
      if (value !== 'turn') {
        await content.pages.load(value);
        continue;
      }
      pages += 1;
      if (pages % pagesPerTurn !== 0) continue;
      progress();
      await turn(clock);
    }
  }

  /** What is given back dirties pages, and those need room before they need it. */
  async #roomy(): Promise<void> {
    const { clock, room, content, progress } = this.#ports;
    while (!this.#over && (content.pages.crowded || !room.forRemoval())) {
      progress();
      // Not in the next turn: what makes room is the disk's to end.
      await pause(clock, roomMs);
    }
  }
}

/** Over what one epoch sees. */
class Own extends Looker {
  protected readonly epoch: Epoch;

  constructor(content: Content, epoch: Epoch) {
    super(content);
    this.epoch = epoch;
  }

  /** What carries this number or a lower one is seen by an epoch before. */
  protected get floor(): number {
    return this.epoch.parent?.number ?? 0;
  }
}

/** A doomed epoch with at most one child. */
class Walk extends Own {
  *steps(): Generator<Pause> {
    const { epoch } = this;
    if (epoch.root !== 0) yield* this.#page(epoch.root, epoch.height, 0);
    epoch.cursor = Number.MAX_SAFE_INTEGER;
    epoch.root = 0;
    epoch.height = 0;
  }

  *#page(id: number, level: number, index: number): Generator<Pause> {
    const { epoch, content } = this;
    // Before the page is looked for: it may have gone with what was done.
    if (lastLeafOf(level, index) < epoch.cursor) return;
    const [child] = epoch.children;
    const [first, other] = yield* this.both(id, level, index, child);
    let page = first;
    if (page.birth <= this.floor || other?.id === id) {
      epoch.cursor = page.lastLeaf + 1;
      return;
    }
    if (level === 1) yield* this.#leaf(id, index);
    else {
      for (let slot = 0; slot < innerFanout; slot += 1) {
        page = yield* this.here(id, level, index);
        const below = page.words[slot * 2]!;
        if (below !== 0) yield* this.#page(below, level - 1, index * innerFanout + slot);
      }
    }
    page = yield* this.here(id, level, index);
    epoch.cursor = page.lastLeaf + 1;
    content.pages.free(page);
    yield 'turn';
  }

  *#leaf(id: number, index: number): Generator<Pause> {
    const { epoch, content, floor } = this;
    const [child] = epoch.children;
    const [page, other] = yield* this.both(id, 1, index, child);
    for (let word = 0; word < leafFanout * leafWords; word += leafWords) {
      const address = page.words[word]!;
      if (address === 0 || page.words[word + 1]! <= floor) continue;
      if (other?.words[word] !== address) content.died(address);
    }
  }
}

/**
 * A ghost: what nobody sees any more through it is taken out of its leaves, and out of those of the ghosts
 * behind it.
 */
class Sweep extends Own {
  /** Those behind it that see for themselves, and the ghosts between. */
  readonly #seers: Epoch[] = [];
  readonly #ghosts: Epoch[] = [];

  constructor(content: Content, epoch: Epoch) {
    super(content, epoch);
    this.#gather(epoch);
  }

  #gather(ghost: Epoch): void {
    for (const child of ghost.children) {
      if (child.state !== 'ghost') this.#seers.push(child);
      else {
        this.#ghosts.push(child);
        this.#gather(child);
      }
    }
  }

  *steps(): Generator<Pause> {
    const { epoch } = this;
    const { loose } = epoch;
    epoch.loose = new Set();
    if (loose === null) {
      if (epoch.root !== 0) yield* this.#page(epoch.root, epoch.height, 0);
      return;
    }
    for (const index of loose) {
      const page = yield* this.there(epoch, 1, index);
      if (page !== null && page.birth > this.floor) yield* this.#leaf(page.id, index);
    }
  }

  *#page(id: number, level: number, index: number): Generator<Pause> {
    let page = yield* this.here(id, level, index);
    if (page.birth <= this.floor) return;
    for (const seer of this.#seers) {
      if ((yield* this.there(seer, level, index))?.id === id) return;
    }
    if (level === 1) {
      yield* this.#leaf(id, index);
      return;
    }
    for (let slot = 0; slot < innerFanout; slot += 1) {
      page = yield* this.here(id, level, index);
      const below = page.words[slot * 2]!;
      if (below !== 0) yield* this.#page(below, level - 1, index * innerFanout + slot);
    }
    yield 'turn';
  }

  /** What is found to be seen may be so no more a moment later, never the other way round. */
  *#leaf(id: number, index: number): Generator<Pause> {
    const seen = new Uint8Array(leafFanout);
    for (const seer of this.#seers) {
      const [page, other] = yield* this.both(id, 1, index, seer);
      if (other?.id === id) return;
      for (let slot = 0; slot < leafFanout; slot += 1) {
        const address = page.words[slot * leafWords]!;
        if (address !== 0 && other?.words[slot * leafWords] === address) seen[slot] = 1;
      }
    }
    // The ghosts between take them out first: what they name must not outlive it.
    for (const ghost of this.#ghosts) {
      const [page, other] = yield* this.both(id, 1, index, ghost);
      if (other !== null && other.id !== id) this.#clear(page, other, ghost, seen);
    }
    const page = yield* this.here(id, 1, index);
    this.#clear(page, page, this.epoch, seen);
    yield 'turn';
  }

  /** Take out of `from`, which `owner` has, what `page` has too and nobody sees. */
  #clear(page: Page, from: Page, owner: Epoch, seen: Uint8Array): void {
    const { content, floor } = this;
    for (let slot = 0; slot < leafFanout; slot += 1) {
      const word = slot * leafWords;
      const address = page.words[word]!;
      if (address === 0 || seen[slot] === 1 || page.words[word + 1]! <= floor) continue;
      if (from.words[word] !== address) continue;
      if (from === page) content.died(address);
      content.pages.change(from);
      from.words.fill(0, word, word + leafWords);
      from.used -= 1;
      owner.mapped -= 1;
    }
  }
}
