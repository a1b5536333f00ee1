/** Write-back over blocks in memory, with time that passes when told, for tests of single promises. */
import type { StorageError } from '#storage/base/errors.ts';
import { silentLog } from '#storage/base/log.ts';
import { WriteBack } from '#storage/volume/write-back.ts';
import { ManualClock } from '#test/sim/manual-clock.ts';
import { MemoryBlocks, type MemoryBlocksOptions } from '#test/sim/memory-blocks.ts';

export class Bench {
  readonly clock = new ManualClock();
  readonly store: MemoryBlocks;
  readonly cache: WriteBack;
  /** What the store was given, in order: `write 5+3`, `unmap 0+16`. */
  readonly given: string[] = [];

  constructor(options: MemoryBlocksOptions = {}, budgetBytes = 2 ** 20) {
    const { clock } = this;
    this.store = new MemoryBlocks(options);
    for (const ref of [1, 2]) this.store.spaces.set(ref, { content: new Map(), reserved: 0 });
    this.#watch();
    this.cache = new WriteBack({ store: this.store, clock, log: silentLog }, budgetBytes);
    void this.cache.setWriteBack(1, true);
  }

  #watch(): void {
    const { store, given } = this;
    const { write, redeem, unmap } = store;
    store.write = (ref, block, data, done) => {
      given.push(`write ${block}+${data.length / 4096}`);
      write.call(store, ref, block, data, done);
    };
    store.redeem = (what, done) => {
      given.push(`flush ${what.block}+${what.data.length / 4096}`);
      redeem.call(store, what, done);
    };
    store.unmap = (ref, block, count, done) => {
      given.push(`unmap ${block}+${count}`);
      unmap.call(store, ref, block, count, done);
    };
  }

  /** Null: completed before the call returned; else a promise of it. */
  write(block: number, value: number, count = 1, durable = false): Outcome {
    const data = new Uint8Array(count * 4096).fill(value);
    return outcome((done) => this.cache.write(1, block, data, done, durable));
  }

  unmap(block: number, count: number): Outcome {
    return outcome((done) => this.cache.unmap(1, block, count, done));
  }

  flush(): Outcome {
    return outcome((done) => this.cache.flush(done, 1));
  }

  /** First byte of a block, or the code of the error. */
  read(block: number): number | string {
    const into = new Uint8Array(4096).fill(0xaa);
    const { ended, error } = outcome((done) => this.cache.read(1, block, 1, into, 0, done));
    if (!ended) return 'waits';
    return error === null ? into[0]! : error.code;
  }

  /** First byte of a block as the store has it. */
  stored(block: number): number {
    return this.store.spaces.get(1)!.content.get(block)?.[0] ?? 0;
  }
}

export interface Outcome {
  ended: boolean;
  error: StorageError | null;
}

function outcome(start: (done: { complete(error: StorageError | null): void }) => void): Outcome {
  const seen: Outcome = { ended: false, error: null };
  start({
    complete: (error) => {
      if (seen.ended) throw new Error('completed twice');
      seen.ended = true;
      seen.error = error;
    },
  });
  return seen;
}
