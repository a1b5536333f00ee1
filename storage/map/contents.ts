/**
 * Checkpoint blocks: where the sheets of a checkpoint are. They stand in the log; the superblock names
 * them.
 *
 *   word 0  front: 'PtCK', version, length, crc
 *        4  sheets in this block
 *        5  number of this block
 *        6  first id of a page that was never used
 *        7  first of the chain of free ids
 *        8  pages in use
 *        9  number that the next epoch gets
 *       10  blocks that anybody sees, 64 bits
 *       12  0 … 15 0
 *       16  for each sheet: its kind (high 4 bits) and number, its address, its crc
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
import type { SheetKind } from './sheets.ts';

const fixedWords = 16;
const sheetWords = 3;
export const sheetsPerBlock = (blockWords - fixedWords) / sheetWords;
const numberBits = 28;

/** One number for a kind and a number of it. */
export const sheetKey = (kind: SheetKind, number: number): number =>
  ((kind << numberBits) | number) >>> 0;

export interface SheetPlace {
  readonly kind: SheetKind;
  readonly number: number;
  readonly address: number;
  readonly crc: number;
}

/** Counters of the map, as the checkpoint has them. */
export interface Counters {
  readonly nextId: number;
  readonly freeHead: number;
  readonly pages: number;
  readonly nextEpoch: number;
  readonly physical: number;
}

/** Block `number` of a checkpoint: 4 KiB. */
export function encodeContents(
  number: number,
  counters: Counters,
  sheets: readonly SheetPlace[],
): Uint8Array {
  const words = new Uint32Array(blockWords);
  words[4] = sheets.length;
  words[5] = number;
  words[6] = counters.nextId;
  words[7] = counters.freeHead;
  words[8] = counters.pages;
  words[9] = counters.nextEpoch;
  setLong(words, 10, counters.physical);
  sheets.forEach((sheet, index) => {
    const at = fixedWords + index * sheetWords;
    words[at] = sheetKey(sheet.kind, sheet.number);
    words[at + 1] = sheet.address;
    words[at + 2] = sheet.crc;
  });
  sealFrame(words, 0, Magic.checkpoint, (fixedWords + sheets.length * sheetWords) * 4);
  return new Uint8Array(words.buffer);
}

/** CORRUPT when it is not block `number` of a checkpoint; TOO_NEW. */
export function decodeContents(
  block: Uint8Array,
  number: number,
): { counters: Counters; sheets: SheetPlace[] } {
  const words = wordsOf(block);
  const state = checkFrame(words, 0, Magic.checkpoint, fixedWords * 4);
  if (state === 'newer') {
    throw new StorageError('TOO_NEW', `the checkpoint has format ${words[1]}`);
  }
  const count = words[4]!;
  const whole = words[2] === (fixedWords + count * sheetWords) * 4 && words[5] === number;
  if (state !== 'good' || !whole) {
    throw new StorageError('CORRUPT', `block ${number} of the checkpoint is damaged`);
  }
  const sheets: SheetPlace[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = fixedWords + index * sheetWords;
    sheets.push({
      kind: (words[at]! >>> numberBits) as SheetKind,
      number: words[at]! & (2 ** numberBits - 1),
      address: words[at + 1]!,
      crc: words[at + 2]!,
    });
  }
  const counters = {
    nextId: words[6]!,
    freeHead: words[7]!,
    pages: words[8]!,
    nextEpoch: words[9]!,
    physical: getLong(words, 10),
  };
  return { counters, sheets };
}
