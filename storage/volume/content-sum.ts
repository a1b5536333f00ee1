/**
 * The digest of a whole content: the sum, modulo 2^256, of SHA-256(block number, 8 bytes little-endian; the block's
 * 4096 bytes) over all blocks that are not zeros. It does not depend on how the content came about, and changes of
 * some blocks change it by what these were and are, so no incremental copy reads the whole.
 *
 * It tells a content from another that came about by mistake. Who may forge a stream may forge its digest, too.
 */
import { createHash } from 'node:crypto';
import { blockBytes } from '../map/blocks.ts';

const modulus = 1n << 256n;
const zeros = Buffer.alloc(blockBytes);

export const isZero = (block: Uint8Array): boolean =>
  zeros.compare(block, 0, block.length, 0, block.length) === 0;

export class ContentSum {
  #sum: bigint;
  readonly #number = Buffer.alloc(8);

  /** `from`: 64 hex digits; without it, of a content of zeros. */
  constructor(from = '0') {
    this.#sum = BigInt(`0x${from}`);
  }

  /** The blocks that `data` holds are part of the content now; zeros count for nothing. */
  add(offset: number, data: Uint8Array): void {
    this.#each(offset, data, (hash) => {
      this.#sum = (this.#sum + hash) % modulus;
    });
  }

  /** They are no longer. */
  subtract(offset: number, data: Uint8Array): void {
    this.#each(offset, data, (hash) => {
      this.#sum = (this.#sum - hash + modulus) % modulus;
    });
  }

  #each(offset: number, data: Uint8Array, count: (hash: bigint) => void): void {
    for (let at = 0; at < data.length; at += blockBytes) {
      const block = data.subarray(at, at + blockBytes);
      if (isZero(block)) continue;
      this.#number.writeBigUInt64LE(BigInt((offset + at) / blockBytes));
      const hash = createHash('sha256').update(this.#number).update(block).digest('hex');
      count(BigInt(`0x${hash}`));
    }
  }

  toString(): string {
    return this.#sum.toString(16).padStart(64, '0');
  }
}
