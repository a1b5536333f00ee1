/**
 * The front that every record on disk has. Little-endian; records are addressed in 32-bit words.
 *
 *   word 0   magic    four letters, never zero: a zeroed block is no record
 *        1   version  of this kind of record, from 1
 *        2   length   bytes of the record, this front included, a multiple of 4
 *        3   crc      CRC-32C of words 0…2 and then of everything from word 4 to `length`
 *
 * The front is the same in every version, so that a store from the future is told from a damaged
 * one.
 */
import assert from 'node:assert/strict';
import { crc32c, crc32cWord } from '../base/crc32c.ts';
import { limits } from '../base/limits.ts';

assert.equal(
  new Uint8Array(new Uint32Array([1]).buffer)[0],
  1,
  'records are read and written in place: a little-endian machine',
);

export const blockWords = limits.blockBytes / 4;
export const frontWords = 4;

export const Magic = {
  /** 'PtSB' */
  superblock: 0x42537450,
  /** 'PtSG' */
  segment: 0x47537450,
  /** 'PtGR' */
  group: 0x52477450,
  /** 'PtCK' */
  checkpoint: 0x4b437450,
} as const;
export type Magic = (typeof Magic)[keyof typeof Magic];

/**
 * The newest version of each record that this software reads, and the one it writes. Version 1 was never
 * released.
 */
export const formatVersion = 2;
const oldestVersion = 2;

export type FrameState = 'good' | 'bad' | 'newer' | 'older';

/** View of whole words over bytes that we allocated ourselves (aligned). */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  assert(bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

export function bytesOf(words: Uint32Array, at: number, lengthBytes: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + at * 4, lengthBytes);
}

function sumOf(words: Uint32Array, at: number, lengthBytes: number): number {
  let sum = crc32cWord(words[at]!, 0);
  sum = crc32cWord(words[at + 1]!, sum);
  sum = crc32cWord(words[at + 2]!, sum);
  return crc32c(bytesOf(words, at + frontWords, lengthBytes - frontWords * 4), sum);
}

/** Write the front of the record at word `at`, whose content is in place; returns its crc. */
export function sealFrame(
  words: Uint32Array,
  at: number,
  magic: Magic,
  lengthBytes: number,
): number {
  assert(lengthBytes % 4 === 0 && lengthBytes <= limits.blockBytes);
  words[at] = magic;
  words[at + 1] = formatVersion;
  words[at + 2] = lengthBytes;
  const crc = sumOf(words, at, lengthBytes);
  words[at + 3] = crc;
  return crc;
}

/** Judge the record at word `at` of at least `minBytes`; it may be anything at all. */
export function checkFrame(
  words: Uint32Array,
  at: number,
  magic: Magic,
  minBytes: number,
): FrameState {
  if (words[at] !== magic) return 'bad';
  const length = words[at + 2]!;
  if (length < frontWords * 4 || length > limits.blockBytes || length % 4 !== 0) return 'bad';
  if (words[at + 3] !== sumOf(words, at, length)) return 'bad';
  const version = words[at + 1]!;
  if (version > formatVersion) return 'newer';
  if (version === 0 || length < minBytes) return 'bad';
  return version < oldestVersion ? 'older' : 'good';
}

/** An unsigned 64-bit number that is below 2^53, at words `at` and `at + 1`. */
export function getLong(words: Uint32Array, at: number): number {
  return words[at]! + words[at + 1]! * 2 ** 32;
}

export function setLong(words: Uint32Array, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0);
  words[at] = value % 2 ** 32;
  words[at + 1] = Math.floor(value / 2 ** 32);
}

/** Four words that name a store. */
export function sameStore(words: Uint32Array, at: number, storeId: Uint32Array): boolean {
  return (
    words[at] === storeId[0] &&
    words[at + 1] === storeId[1] &&
    words[at + 2] === storeId[2] &&
    words[at + 3] === storeId[3]
  );
}
