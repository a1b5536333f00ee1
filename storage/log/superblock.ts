/**
 * The superblock: where the newest checkpoint is. Two slots of 64 KiB at the front of the disk are
 * written in turn, so that the older one stands until the newer is durable; each slot holds the
 * record twice, 32 KiB apart, so that one bad sector does not cost a slot.
 *
 *   word 0   front: 'PtSB', 1, length, crc
 *        4   store id
 *        8   sequence, from 1
 *        9   incarnation: the highest ever used by an open
 *       10   segments behind segment 0
 *       11   spaces in the checkpoint
 *       12   position of the log when the checkpoint began: segment (0: there is none yet)
 *       13     block within it
 *       14     sequence of the group that begins there, 64 bits
 *       16     crc of the group header before it
 *       17     incarnation
 *       18     sequence of the segment, 64 bits
 *       20   the checkpoint is whole when the log is, up to this group, 64 bits
 *       22   checkpoint blocks
 *       23   segments above this number were never written (since format)
 *       24   for each checkpoint block: address, crc
 */
import assert from 'node:assert/strict';
import { StorageError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import { readable } from '../disk/read.ts';
import {
  blockWords,
  checkFrame,
  getLong,
  Magic,
  sameStore,
  sealFrame,
  setLong,
  wordsOf,
} from './frame.ts';

export const slotBytes = 64 * 1024;
const copyBytes = 32 * 1024;
const fixedWords = 24;
/** Blocks that a checkpoint may have. */
export const checkpointBlocksMax = (blockWords - fixedWords) / 2;

/** A place between two groups, and what must stand there. */
export interface LogPosition {
  readonly segment: number;
  readonly block: number;
  readonly groupSequence: number;
  readonly previous: number;
  readonly incarnation: number;
  readonly segmentSequence: number;
}

export interface Superblock {
  readonly sequence: number;
  readonly incarnation: number;
  readonly segments: number;
  readonly spaces: number;
  /** Null: freshly formatted. */
  readonly position: LogPosition | null;
  readonly wholeAt: number;
  readonly touched: number;
  readonly blocks: readonly { readonly address: number; readonly crc: number }[];
}

/** One 4 KiB record. */
export function encodeSuperblock(storeId: Uint32Array, superblock: Superblock): Uint8Array {
  const words = new Uint32Array(blockWords);
  const { position, blocks } = superblock;
  assert(blocks.length <= checkpointBlocksMax && superblock.sequence < 2 ** 32);
  words.set(storeId, 4);
  words[8] = superblock.sequence;
  words[9] = superblock.incarnation;
  words[10] = superblock.segments;
  words[11] = superblock.spaces;
  if (position !== null) {
    words[12] = position.segment;
    words[13] = position.block;
    setLong(words, 14, position.groupSequence);
    words[16] = position.previous;
    words[17] = position.incarnation;
    setLong(words, 18, position.segmentSequence);
  }
  setLong(words, 20, superblock.wholeAt);
  words[22] = blocks.length;
  words[23] = superblock.touched;
  blocks.forEach((block, index) => {
    words[fixedWords + index * 2] = block.address;
    words[fixedWords + index * 2 + 1] = block.crc;
  });
  sealFrame(words, 0, Magic.superblock, (fixedWords + blocks.length * 2) * 4);
  return new Uint8Array(words.buffer);
}

/** Null: not a superblock. TOO_NEW: one of a later version. */
export function decodeSuperblock(
  record: Uint8Array,
): { storeId: Uint32Array; superblock: Superblock } | null {
  const words = wordsOf(record);
  const state = checkFrame(words, 0, Magic.superblock, fixedWords * 4);
  if (state === 'newer') {
    throw new StorageError('TOO_NEW', `the store has format ${words[1]}; this software is older`);
  }
  if (state === 'older') {
    const message = `the store has format ${words[1]}, of a version that was never released`;
    throw new StorageError('INVALID', message);
  }
  const count = words[22]!;
  if (state === 'bad' || words[2] !== (fixedWords + count * 2) * 4) return null;
  const blocks: { address: number; crc: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = fixedWords + index * 2;
    blocks.push({ address: words[at]!, crc: words[at + 1]! });
  }
  const position: LogPosition = {
    segment: words[12]!,
    block: words[13]!,
    groupSequence: getLong(words, 14),
    previous: words[16]!,
    incarnation: words[17]!,
    segmentSequence: getLong(words, 18),
  };
  return {
    storeId: words.slice(4, 8),
    superblock: {
      sequence: words[8]!,
      incarnation: words[9]!,
      segments: words[10]!,
      spaces: words[11]!,
      position: position.segment === 0 ? null : position,
      wholeAt: getLong(words, 20),
      touched: words[23]!,
      blocks,
    },
  };
}

/** Write the slot whose turn it is; durable when it resolves. */
export async function writeSuperblock(
  disk: Disk,
  storeId: Uint32Array,
  superblock: Superblock,
): Promise<void> {
  const slot = Buffer.alloc(slotBytes);
  const record = encodeSuperblock(storeId, superblock);
  slot.set(record, 0);
  slot.set(record, copyBytes);
  await disk.write((superblock.sequence % 2) * slotBytes, [slot], true);
}

/** Zero both slots: whatever was here is no store any more. Durable when it resolves. */
export async function eraseSuperblocks(disk: Disk): Promise<void> {
  await disk.write(0, [Buffer.alloc(2 * slotBytes)], true);
}

/**
 * The newest superblock. CORRUPT when there is none, or when copies of several stores stand there.
 */
export async function readSuperblock(
  disk: Disk,
): Promise<{ storeId: Uint32Array; superblock: Superblock }> {
  let newest: { storeId: Uint32Array; superblock: Superblock } | null = null;
  for (let offset = 0; offset < 2 * slotBytes; offset += copyBytes) {
    const record = Buffer.alloc(limits.blockBytes);
    const found = (await readable(disk, offset, record)) ? decodeSuperblock(record) : null;
    if (found === null) continue;
    if (newest !== null && !sameStore(found.storeId, 0, newest.storeId)) {
      throw new StorageError('CORRUPT', `${disk.name}: superblocks of two different stores`);
    }
    if (newest === null || found.superblock.sequence > newest.superblock.sequence) newest = found;
  }
  if (newest === null) throw new StorageError('CORRUPT', `${disk.name}: no superblock of a store`);
  return newest;
}
