/**
 * Write-back over a store that can freeze, clone and compare whole contents: what was accepted before a
 * snapshot is in it, of all its disks at one point, and what is compared or reverted is all there is.
 */
import type { Blocks, Claims } from '../map/blocks.ts';
import type { Difference, Images } from '../map/images.ts';
import { WriteBack, type WriteBackPorts } from './write-back.ts';

export interface ImagesPorts extends WriteBackPorts {
  readonly store: Blocks & Claims & Images;
}

export class ImagesWriteBack extends WriteBack implements Images {
  readonly #images: Images;

  constructor(ports: ImagesPorts, budgetBytes?: number) {
    super(ports, budgetBytes);
    this.#images = ports.store;
  }

  async snapshot(pairs: readonly { readonly of: number; readonly as: number }[]): Promise<void> {
    const refs = pairs.map(({ of }) => of);
    await this.during(refs, () => this.#images.snapshot(pairs));
  }

  async clone(from: number, ref: number, reserved: number): Promise<void> {
    await this.#images.clone(from, ref, reserved);
  }

  async revert(ref: number, from: number): Promise<void> {
    await this.during([ref], () => this.#images.revert(ref, from));
  }

  isFrozen(ref: number): boolean {
    return this.#images.isFrozen(ref);
  }

  async exclusive(refs: readonly number[]): Promise<number> {
    await this.settle(refs);
    return await this.#images.exclusive(refs);
  }

  async difference(a: number, b: number, block: number, count: number): Promise<Difference> {
    await this.settle([a, b]);
    return await this.#images.difference(a, b, block, count);
  }
}
