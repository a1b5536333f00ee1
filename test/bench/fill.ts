/** A file of random data: nothing in it can be stored or sent as zeros. */
import { open } from 'node:fs/promises';
import type { SeededRandom } from '../kit/random.ts';

const PIECE_BYTES = 2 ** 20;

export async function writeRandomFile(
  path: string,
  sizeBytes: number,
  random: SeededRandom,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
      random.fill(piece);
      await file.write(piece, 0, Math.min(PIECE_BYTES, sizeBytes - at), at);
    }
  } finally {
    await file.close();
  }
}
