/**
 * The blocks of a checkpoint: where the map of each space begins. They stand in the log; the
 * superblock names them.
 *
 *   word 0  front: 'PtCK', 1, length, crc
 *        4  spaces in this block
 *        5  number of this block
 *        6  0
 *        7  0
 *        8  for each space, 32 bytes:
 *             +0  ref
 *             +1  height of its map; 0: empty
 *             +2  promised blocks, 64 bits
 *             +4  address of the root page
 *             +5  crc of the root page
 *             +6  epoch
 *             +7  0
 */
import { StorageError } from '../base/errors.ts';
import {
  blockWords,
  checkFrame,
  getLong,
  Magic,
  sealFrame,
  setLong,
  wordsOf,
} from '../log/frame.ts';

const fixedWords = 8;
const spaceWords = 8;
export const spacesPerBlock = (blockWords - fixedWords) / spaceWords;

export interface SpaceRoot {
  readonly ref: number;
  readonly height: number;
  readonly reserved: number;
  readonly address: number;
  readonly crc: number;
}

/** Block `number` of a checkpoint: 4 KiB. */
export function encodeRoots(number: number, roots: readonly SpaceRoot[]): Uint8Array {
  const words = new Uint32Array(blockWords);
  words[4] = roots.length;
  words[5] = number;
  roots.forEach((root, index) => {
    const at = fixedWords + index * spaceWords;
    words[at] = root.ref;
    words[at + 1] = root.height;
    setLong(words, at + 2, root.reserved);
    words[at + 4] = root.address;
    words[at + 5] = root.crc;
  });
  sealFrame(words, 0, Magic.checkpoint, (fixedWords + roots.length * spaceWords) * 4);
  return new Uint8Array(words.buffer);
}

/** CORRUPT when it is not block `number` of a checkpoint; TOO_NEW. */
export function decodeRoots(block: Uint8Array, number: number): SpaceRoot[] {
  const words = wordsOf(block);
  const state = checkFrame(words, 0, Magic.checkpoint, fixedWords * 4);
  if (state === 'newer') {
    throw new StorageError('TOO_NEW', `the checkpoint has format ${words[1]}`);
  }
  const count = words[4]!;
  const whole = words[2] === (fixedWords + count * spaceWords) * 4 && words[5] === number;
  if (state === 'bad' || !whole) {
    throw new StorageError('CORRUPT', `block ${number} of the checkpoint is damaged`);
  }
  const roots: SpaceRoot[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = fixedWords + index * spaceWords;
    roots.push({
      ref: words[at]!,
      height: words[at + 1]!,
      reserved: getLong(words, at + 2),
      address: words[at + 4]!,
      crc: words[at + 5]!,
    });
  }
  return roots;
}
