/** The port to chance. Real: the kernel's generator. Simulated: a seeded one. */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** `length` bytes that nobody can predict (real) or that follow from the seed (simulated). */
  bytes(length: number): Uint8Array;
}

export const realRandom: Random = {
  bytes: (length) => randomBytes(length),
};
