/**
 * Makes clones stand alone: all that a disk holds is written once more, so that it shares nothing with what it was
 * cloned from. In the background, at a bounded pace, while hosts use the disk.
 *
 * - A piece is read and written under its lock, as every change that reads first is: a write or an unmap that comes
 *   meanwhile waits its turn and wins.
 * - How far it is stands in the disk's record, behind what is durable; who opens the store goes on from there.
 * - It shares blocks again with snapshots that are made of it while it runs: those are its own.
 */
import { type Clock, turn } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { blockBytes } from '../map/blocks.ts';
import type { ImageBlocks } from '../map/images.ts';
import type { Catalog } from './catalog.ts';
import { flushed } from './intents.ts';
import { limits } from './limits.ts';
import type { DiskRecord } from './volume.ts';
import { WholeWrite, type WriteHost } from './writes.ts';

export interface FlattenerPorts {
  readonly catalog: Catalog;
  readonly blocks: ImageBlocks;
  readonly clock: Clock;
  readonly log: Log;
  /** The way to write to a living disk. */
  host(id: string): WriteHost;
}

export interface FlattenProgress {
  /** Bytes from the start of the disk that were looked at. */
  readonly position: number;
  readonly size: number;
  readonly bytesPerSecond: number;
  /** Why it stands still until it is started again, or null. */
  readonly stopped: string | null;
}

interface Run {
  next: number;
  error: StorageError | null;
  cancelled: boolean;
  /** Ends its pause. */
  wake: () => void;
  ended: Promise<void>;
}

export class Flattener {
  readonly #ports: FlattenerPorts;
  readonly #runs = new Map<string, Run>();
  #closed = false;

  constructor(ports: FlattenerPorts) {
    this.#ports = ports;
    for (const record of ports.catalog.list()) this.resume(record);
    ports.catalog.listen((change, record) => {
      if (change === 'restored') this.resume(record);
    });
  }

  /** A disk that was being flattened when it was last open. */
  resume(record: DiskRecord): void {
    if (record.flatten !== undefined && !this.#closed) this.#run(record);
  }

  /** Begins, or goes on at another pace. NOT_FOUND, NO_SPACE. False: the disk shares nothing already. */
  async start(id: string, bytesPerSecond: number): Promise<boolean> {
    const { catalog, blocks } = this.#ports;
    const record = catalog.get(id);
    if (record === null) throw new StorageError('NOT_FOUND', `there is no disk ${id}`);
    await this.#halt(id);
    const { ref, reserved, flatten } = record;
    const shared = blocks.usage(ref).mapped - (await blocks.exclusive([ref]));
    if (shared === 0) {
      await catalog.setFlatten(id, 'done');
      return false;
    }
    const { free } = blocks.total();
    if (!reserved && shared * blockBytes > free) {
      const text = `disk "${record.name}" shares ${shared * blockBytes} bytes, and ${free} are free`;
      throw new StorageError('NO_SPACE', text);
    }
    this.#run(await catalog.setFlatten(id, { next: flatten?.next ?? 0, bytesPerSecond }));
    return true;
  }

  /** What was copied stays copied. */
  async cancel(id: string): Promise<void> {
    await this.#halt(id);
    this.#runs.delete(id);
    await this.#ports.catalog.setFlatten(id, null);
  }

  /** Null: it is not being flattened. */
  progress({ id, size, flatten }: DiskRecord): FlattenProgress | null {
    if (flatten === undefined) return null;
    const run = this.#runs.get(id);
    return {
      position: Math.min(size, (run?.next ?? flatten.next) * blockBytes),
      size,
      bytesPerSecond: flatten.bytesPerSecond,
      stopped: run?.error?.message ?? null,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#runs.keys()].map((id) => this.#halt(id)));
  }

  async #halt(id: string): Promise<void> {
    const run = this.#runs.get(id);
    if (run === undefined) return;
    run.cancelled = true;
    run.wake();
    await run.ended;
  }

  #run({ id, name, flatten }: DiskRecord): void {
    const run: Run = {
      ...{ next: flatten!.next, error: null, cancelled: false, wake: () => {} },
      ended: Promise.resolve(),
    };
    this.#runs.set(id, run);
    run.ended = this.#copy(id, run, flatten!.bytesPerSecond).then(
      () => {
        if (!run.cancelled) this.#runs.delete(id);
      },
      (error: unknown) => {
        if (!(error instanceof StorageError)) throw error;
        if (this.#ports.catalog.get(id)?.removed !== null) return;
        run.error = error;
        this.#ports.log.error({ err: error, disk: name }, 'a disk cannot be flattened further');
      },
    );
  }

  async #pause(run: Run, ms: number): Promise<void> {
    let stop = (): void => {};
    await new Promise<void>((resolve) => {
      run.wake = resolve;
      stop = this.#ports.clock.after(ms, resolve);
    });
    stop();
  }

  async #copy(id: string, run: Run, bytesPerSecond: number): Promise<void> {
    const { catalog, blocks, clock } = this.#ports;
    let noted = run.next;
    let rest = 0;
    for (;;) {
      const record = catalog.get(id);
      if (run.cancelled || this.#closed || record === null || record.removed !== null) return;
      const end = record.size / blockBytes;
      if (run.next >= end) break;
      const { mapped, count } = await blocks.extent(record.ref, run.next, end - run.next);
      let step = count;
      if (mapped) {
        const most = Math.min(count, limits.flattenPieceBlocks);
        step = await rewrite(this.#ports.host(id), run.next, most);
        if (!run.cancelled) await this.#pause(run, (step * blockBytes * 1000) / bytesPerSecond);
      } else if (++rest % limits.extentsPerTurn === 0) {
        await turn(clock);
      }
      run.next += step;
      if (run.next - noted >= limits.flattenNoteBlocks) {
        await flushed(blocks, record.ref);
        noted = run.next;
        if (!run.cancelled) await catalog.setFlatten(id, { next: noted, bytesPerSecond });
      }
    }
    const { ref } = catalog.get(id)!;
    await flushed(blocks, ref);
    await catalog.setFlatten(id, 'done');
  }
}

/**
 * Write what the blocks from `first` on hold once more, up to `count` of them; holes stay holes. Gives how many
 * were seen to: the first run of mapped blocks, or the hole before it.
 */
export function rewrite(host: WriteHost, first: number, count: number): Promise<number> {
  const { blocks, locks, changes, ref } = host;
  return new Promise((resolve, reject) => {
    locks.acquire(first, first + count - 1, (lock) => {
      const fail = (error: unknown): void => {
        locks.release(lock);
        reject(error);
      };
      const copy = async (): Promise<void> => {
        const extent = await blocks.extent(ref, first, count);
        if (!extent.mapped) {
          locks.release(lock);
          resolve(extent.count);
          return;
        }
        const data = new Uint8Array(extent.count * blockBytes);
        const write = (error: StorageError | null): void => {
          if (error !== null) {
            fail(error);
            return;
          }
          const complete = (failed: StorageError | null): void =>
            failed === null ? resolve(extent.count) : reject(failed);
          new WholeWrite(host, first, data, true, lock, { complete }).submit();
        };
        blocks.read(ref, first, extent.count, data, 0, { complete: write });
      };
      changes.whenNone(lock, () => void copy().catch(fail));
    });
  });
}
