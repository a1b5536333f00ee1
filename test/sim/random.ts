/** The port to chance, from a seed. */
import type { Random } from '../../storage/base/random.ts';
import { SeededRandom } from '../kit/random.ts';

export class SimRandom extends SeededRandom implements Random {
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
