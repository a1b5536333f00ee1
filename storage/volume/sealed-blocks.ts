/**
 * Blocks of one disk under a key of its own, so that forgetting the key erases the disk at once: a log
 * never overwrites in place, and what was overwritten lies on the medium until its segment is filled anew.
 *
 *   on disk   AES-256-XTS of the 4 KiB block (IEEE Std 1619: one data unit a block)
 *   tweak     block number, 16 bytes little-endian
 *   key       64 random bytes: the two AES keys
 *
 * The key stands beside the disk's record in the Directory, so this keeps nothing from who has the whole
 * store; it is for erasing. A hole is zeros below and above: no block of ciphertext is all zeros
 * (chance 2^-32768), so zeros read are a hole.
 */
import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv } from 'node:crypto';
import {
  type Blocks,
  type BlockUsage,
  blockBytes,
  type Done,
  type Extent,
  type StoreUsage,
} from '../map/blocks.ts';

const algorithm = 'aes-256-xts';
export const cipherKeyBytes = 64;

/** `blocks` as the disk with `key` (128 hex digits) sees them. */
export class SealedBlocks implements Blocks {
  readonly #blocks: Blocks;
  readonly #key: Uint8Array;

  constructor(blocks: Blocks, key: string) {
    this.#blocks = blocks;
    this.#key = Buffer.from(key, 'hex');
    assert.equal(this.#key.length, cipherKeyBytes);
  }

  readNow(ref: number, block: number, count: number, into: Uint8Array, at: number): boolean {
    if (!this.#blocks.readNow(ref, block, count, into, at)) return false;
    this.#open(block, count, into, at);
    return true;
  }

  read(ref: number, block: number, count: number, into: Uint8Array, at: number, done: Done): void {
    this.#blocks.read(ref, block, count, into, at, {
      complete: (error) => {
        if (error === null) this.#open(block, count, into, at);
        done.complete(error);
      },
    });
  }

  write(ref: number, block: number, data: Uint8Array, done: Done): void {
    const sealed = new Uint8Array(data.length);
    for (let at = 0; at < data.length; at += blockBytes) {
      const cipher = createCipheriv(algorithm, this.#key, tweakOf(block + at / blockBytes));
      sealed.set(cipher.update(data.subarray(at, at + blockBytes)), at);
    }
    this.#blocks.write(ref, block, sealed, done);
  }

  #open(block: number, count: number, into: Uint8Array, at: number): void {
    for (let index = 0; index < count; index++) {
      const bytes = into.subarray(at + index * blockBytes, at + (index + 1) * blockBytes);
      if (isHole(bytes)) continue;
      const decipher = createDecipheriv(algorithm, this.#key, tweakOf(block + index));
      bytes.set(decipher.update(bytes));
    }
  }

  create(ref: number, reserved: number): Promise<void> {
    return this.#blocks.create(ref, reserved);
  }

  reserve(ref: number, reserved: number): Promise<void> {
    return this.#blocks.reserve(ref, reserved);
  }

  drop(ref: number): Promise<void> {
    return this.#blocks.drop(ref);
  }

  refs(): readonly number[] {
    return this.#blocks.refs();
  }

  unmap(ref: number, block: number, count: number, done: Done): void {
    this.#blocks.unmap(ref, block, count, done);
  }

  flush(done: Done): void {
    this.#blocks.flush(done);
  }

  extent(ref: number, block: number, count: number): Promise<Extent> {
    return this.#blocks.extent(ref, block, count);
  }

  extentNow(ref: number, block: number, count: number): Extent | null {
    return this.#blocks.extentNow(ref, block, count);
  }

  usage(ref: number): BlockUsage {
    return this.#blocks.usage(ref);
  }

  total(): StoreUsage {
    return this.#blocks.total();
  }

  close(): Promise<void> {
    return this.#blocks.close();
  }
}

function tweakOf(block: number): Uint8Array {
  const tweak = Buffer.alloc(16);
  tweak.writeBigUInt64LE(BigInt(block));
  return tweak;
}

function isHole(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}
