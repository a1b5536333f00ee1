/**
 * One write of whole blocks on its way into the store. On NO_SPACE it makes removed disks give way
 * and tries once more. A lock that it carries is let go as soon as the blocks have accepted it,
 * because whatever is accepted later wins; who reads in order to write also waits for its end
 * (changes.ts).
 */
import { StorageError } from '../base/errors.ts';
import { type Blocks, blockBytes, type Done } from '../map/blocks.ts';
import type { Change, Changes } from './changes.ts';
import type { Lock, RangeLocks } from './locks.ts';

/** Who can make room: the catalog, by purging removed disks. */
export interface SpaceMaker {
  reclaimable(): boolean;
  /** Rises with everything given back. */
  readonly purges: number;
  /** True: room was made since `seen`; try again. */
  reclaim(bytes: number, seen: number): Promise<boolean>;
}

/** What a write needs of the volume it belongs to. */
export interface WriteHost {
  readonly blocks: Blocks;
  readonly locks: RangeLocks;
  readonly changes: Changes;
  readonly space: SpaceMaker;
  readonly ref: number;
  /** Why blocks up to `last` cannot be written any more (removed, shrunk), or null. */
  refusal(last: number): StorageError | null;
}

export class WholeWrite implements Done, Change {
  readonly first: number;
  readonly last: number;
  readonly #host: WriteHost;
  readonly #done: Done;
  /** Null once it is borrowed no longer. */
  #data: Uint8Array | null;
  /** The data are a copy of our own. */
  #owned: boolean;
  #lock: Lock | null;
  /** Not before it is durable, whatever the disk may hold back. */
  readonly #durable: boolean;
  #tried = 0;
  #waiting = false;

  /** `data` is copied before `submit` returns, or already ours when `owned`. */
  constructor(
    host: WriteHost,
    block: number,
    data: Uint8Array,
    owned: boolean,
    lock: Lock | null,
    done: Done,
    durable = false,
  ) {
    this.#host = host;
    this.first = block;
    this.last = block + data.length / blockBytes - 1;
    this.#data = data;
    this.#owned = owned;
    this.#lock = lock;
    this.#done = done;
    this.#durable = durable;
  }

  submit(): void {
    const { blocks, changes, ref } = this.#host;
    const data = this.#data!;
    const refusal = this.#host.refusal(this.last);
    if (refusal !== null) {
      this.#end(refusal);
      return;
    }
    this.#tried++;
    changes.add(this);
    blocks.write(ref, this.first, data, this, this.#durable);
    if (this.#waiting) return;
    if (!this.#owned) this.#data = null;
    this.#letGo();
  }

  complete(error: StorageError | null): void {
    this.#host.changes.remove(this);
    const again =
      error?.code === 'NO_SPACE' &&
      this.#tried === 1 &&
      this.#data !== null &&
      this.#host.space.reclaimable();
    if (again) this.#makeRoom(error);
    else this.#end(error);
  }

  #makeRoom(full: StorageError): void {
    if (!this.#owned) this.#data = new Uint8Array(this.#data!);
    this.#owned = true;
    this.#waiting = true;
    const { space } = this.#host;
    space.reclaim(this.#data!.length, space.purges).then(
      (made) => (made ? this.#again() : this.#end(full)),
      (cause: unknown) => this.#end(new StorageError('NO_SPACE', full.message, { cause })),
    );
  }

  #again(): void {
    this.#waiting = false;
    if (this.#lock !== null) {
      this.submit();
      return;
    }
    // Someone may be reading these blocks in order to write them: wait for one's turn again.
    this.#host.locks.acquire(this.first, this.last, (lock) => {
      this.#lock = lock;
      this.submit();
    });
  }

  #end(error: StorageError | null): void {
    this.#waiting = false;
    this.#data = null;
    this.#done.complete(error);
    this.#letGo();
  }

  #letGo(): void {
    const lock = this.#lock;
    this.#lock = null;
    if (lock !== null) this.#host.locks.release(lock);
  }
}
