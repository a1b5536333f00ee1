/**
 * The real Disk: a file or a block device through node:fs.
 *
 * Two descriptors of the same file: one opened O_DSYNC, on which one pwritev is one durable write,
 * and one for reads, plain writes and fdatasync. The first failed write or sync fails the disk for
 * good: what the kernel then holds in its cache is unknown, and a second fsync may call it clean
 * (PostgreSQL's "fsyncgate", 2018). Reads go on: the layers above check what they read.
 */
import assert from 'node:assert/strict';
import { closeSync, constants, fdatasync, fstatSync, openSync, read, writev } from 'node:fs';
import { StorageError } from '../base/errors.ts';
import type { Disk } from './disk.ts';
import { limits } from './limits.ts';

export class FileDisk implements Disk {
  readonly name: string;
  readonly size: number;
  readonly allocatesOnWrite: boolean;
  readonly #plain: number;
  readonly #durable: number;
  #failed: StorageError | null = null;
  #closed = false;
  #gone = false;
  #inFlight = 0;
  #idle: (() => void) | null = null;

  /** Takes over `plain`, a descriptor open for reading and writing. `size` in bytes. */
  constructor(name: string, plain: number, size: number) {
    assert(size > 0 && size % limits.areaUnitBytes === 0);
    this.name = name;
    this.size = size;
    this.allocatesOnWrite = fstatSync(plain).isFile();
    this.#plain = plain;
    // Through /proc, so that it is the same file even if another one has its name by now.
    const flags = constants.O_RDWR | constants.O_DSYNC;
    this.#durable = openSync(`/proc/self/fd/${plain}`, flags);
  }

  /** Cut off or removed, as a file; unplugged, as a device. Looks again when nothing is known. */
  get gone(): boolean {
    if (this.#gone || this.#closed) return this.#gone;
    const { nlink, size } = fstatSync(this.#plain);
    this.#gone = this.allocatesOnWrite && (nlink === 0 || size < this.size);
    return this.#gone;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#check(offset, into.length);
    this.#enter();
    try {
      for (let done = 0; done < into.length; ) {
        const count = await readSome(this.#plain, into.subarray(done), offset + done);
        if (count === 0) throw new Error('the file is shorter than it was');
        done += count;
      }
    } catch (cause) {
      if (unplugged.includes((cause as NodeJS.ErrnoException).code ?? '')) this.#gone = true;
      const why = cause instanceof Error ? cause.message : String(cause);
      const range = `${into.length} bytes at ${offset}`;
      throw new StorageError('MEDIUM_ERROR', `${this.name}: cannot read ${range}: ${why}`, {
        cause,
      });
    } finally {
      this.#leave();
    }
  }

  async write(offset: number, data: readonly Uint8Array[], durable: boolean): Promise<void> {
    let length = 0;
    for (const part of data) {
      assert(part.length % limits.unitBytes === 0);
      length += part.length;
    }
    this.#check(offset, length);
    this.#checkAlive();
    this.#enter();
    try {
      await writeAll(durable ? this.#durable : this.#plain, data, offset);
    } catch (cause) {
      throw this.#fail('write', cause);
    } finally {
      this.#leave();
    }
    // Another call failed meanwhile: this one may have gone the same way.
    this.#checkAlive();
  }

  async sync(): Promise<void> {
    assert(!this.#closed);
    this.#checkAlive();
    this.#enter();
    try {
      await new Promise<void>((resolve, reject) => {
        fdatasync(this.#plain, (error) => (error === null ? resolve() : reject(error)));
      });
    } catch (cause) {
      throw this.#fail('sync', cause);
    } finally {
      this.#leave();
    }
    this.#checkAlive();
  }

  /** Ends when everything in flight has; the lock on the descriptor ends with it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    closeSync(this.#durable);
    closeSync(this.#plain);
  }

  #check(offset: number, length: number): void {
    assert(!this.#closed, 'the disk is open');
    assert(offset >= 0 && offset % limits.unitBytes === 0 && length % limits.unitBytes === 0);
    assert(offset + length <= this.size, 'the range lies on the disk');
  }

  #checkAlive(): void {
    if (this.#failed !== null) throw this.#failed;
  }

  #fail(what: string, cause: unknown): StorageError {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#failed ??= new StorageError('DISK_FAILED', `${this.name}: ${what} failed: ${why}`, {
      cause,
    });
    return this.#failed;
  }

  #enter(): void {
    this.#inFlight++;
  }

  #leave(): void {
    if (--this.#inFlight === 0) this.#idle?.();
  }
}

/** What the kernel answers when there is no such device any more. */
const unplugged: readonly string[] = ['ENXIO', 'ENODEV'];

function readSome(fd: number, into: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, 0, into.length, offset, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

function writeSome(fd: number, data: readonly Uint8Array[], offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, data, offset, (error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

/** A write that stops short without an error goes on where it stopped; one that writes nothing fails. */
async function writeAll(fd: number, data: readonly Uint8Array[], offset: number): Promise<void> {
  let rest = data;
  for (let at = offset; ; ) {
    let length = 0;
    for (const part of rest) length += part.length;
    if (length === 0) return;
    const count = await writeSome(fd, rest, at);
    if (count === length) return;
    if (count === 0) throw new Error('nothing more can be written');
    rest = without(rest, count);
    at += count;
  }
}

/** `data` without its first `count` bytes. */
export function without(data: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = count;
  for (const part of data) {
    if (skip >= part.length) skip -= part.length;
    else {
      rest.push(part.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}
