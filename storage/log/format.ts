/**
 * Records of the log: the header of a segment, the header of a group and its entries.
 *
 * A segment is 256 blocks of 4 KiB: its header in block 0, then groups one behind the other. A log
 * address is the number of a block on the disk; segment 0 holds the superblocks, so address 0 is
 * nobody's.
 *
 *   segment header (64 bytes)             group header (64 bytes + 24 for each entry)
 *   word 0  front: 'PtSG', 1, 64, crc     word 0  front: 'PtGR', 1, length, crc
 *        4  store id                           4  store id
 *        8  segment sequence, 64 bits          8  group sequence, 64 bits
 *       10  incarnation                       10  incarnation
 *       11  next: segment that follows        11  crc of the group header before this one
 *       12  checkpoint: see group             12  address of this block
 *       13  number of this segment            13  entries (low 16 bits), data blocks (high 16)
 *       14  0                                 14  how many groups before this one are not known durable
 *       15  0                                 15  checkpoint: the newest durable superblock's sequence
 *                                             16  entries
 *
 *   entry (24 bytes)
 *   word 0  kind (8 bits), level (8), bits 32…47 of block (16)
 *        1  bits 0…31 of block
 *        2  ref
 *        3  epoch
 *        4  crc: CRC-32C of words 0…3 of this entry and then of the data block; 0 without one
 *        5  count, see the kinds
 *
 * The data blocks follow the group header in the order of their entries. Words 0…3 of an entry are
 * the block's identity, for blocks of spaces without the line, which the epoch implies, and the same
 * before and after a move: a block that is read from the wrong place never passes for the right one.
 * The constants are on disk and never change their meaning.
 */
import assert from 'node:assert/strict';
import { crc32cWord } from '../base/crc32c.ts';
import { limits } from '../base/limits.ts';
import {
  checkFrame,
  type FrameState,
  getLong,
  Magic,
  sameStore,
  sealFrame,
  setLong,
} from './frame.ts';

export const EntryKind = {
  /** A block of a space: `ref` is its line, `epoch` who wrote it; a data block follows. */
  data: 1,
  /** `count` blocks of a space from `block` on read as zeros. */
  unmap: 2,
  /** A space begins, in `epoch`; `block` is its promise in blocks. */
  create: 3,
  /** A space's promise changes to `block`. */
  reserve: 4,
  /** A space ends. */
  drop: 5,
  /** A page of the map, number `block` of its level; `ref` is its id; a data block follows. */
  page: 6,
  /** A block of a checkpoint, number `block` of it; a data block follows. */
  checkpoint: 7,
  /** As `data`: the cleaner moved the block here from address `count`. */
  move: 8,
  /** Space `ref` is frozen as space `block`, and goes on in `epoch`. */
  freeze: 9,
  /** Space `ref` begins with what frozen space `count` holds, in `epoch`; `block` is its promise. */
  branch: 10,
  /** Space `ref` becomes what frozen space `block` holds, in `epoch`. */
  revert: 11,
  /** A sheet of a checkpoint (see map/sheets.ts), number `block` of kind `level`; a data block follows. */
  sheet: 12,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

export const segmentHeaderBytes = 64;
export const groupFrontWords = 16;
export const entryWords = 6;
assert(groupFrontWords * 4 + limits.groupEntries * entryWords * 4 <= limits.blockBytes);

const withBlock: readonly boolean[] = Object.values(EntryKind).reduce<boolean[]>(
  (all, kind) => {
    all[kind] = [
      EntryKind.data,
      EntryKind.page,
      EntryKind.checkpoint,
      EntryKind.move,
      EntryKind.sheet,
    ].some((each) => each === kind);
    return all;
  },
  [false],
);

/** Whether a data block stands behind an entry of this kind. */
export const hasBlock = (kind: number): boolean => withBlock[kind] === true;

/** Word 0 of an entry. */
export const entryHead = (kind: EntryKind, level: number, block: number): number =>
  (kind | (level << 8) | (Math.floor(block / 2 ** 32) << 16)) >>> 0;

/** The sum of an identity, with which a data block's checksum begins. */
function identitySum(head: number, blockLow: number, ref: number, epoch: number): number {
  return crc32cWord(epoch, crc32cWord(ref, crc32cWord(blockLow, crc32cWord(head, 0))));
}

export interface SegmentHeader {
  readonly sequence: number;
  readonly incarnation: number;
  readonly next: number;
  readonly checkpoint: number;
  readonly segment: number;
}

/** Write a segment's header into the first block of `words`. */
export function writeSegmentHeader(
  words: Uint32Array,
  storeId: Uint32Array,
  header: SegmentHeader,
): void {
  words.fill(0, 0, limits.blockBytes / 4);
  words.set(storeId, 4);
  setLong(words, 8, header.sequence);
  words[10] = header.incarnation;
  words[11] = header.next;
  words[12] = header.checkpoint;
  words[13] = header.segment;
  sealFrame(words, 0, Magic.segment, segmentHeaderBytes);
}

/** Null: no header of this store stands there. */
export function readSegmentHeader(words: Uint32Array, storeId: Uint32Array): SegmentHeader | null {
  const state: FrameState = checkFrame(words, 0, Magic.segment, segmentHeaderBytes);
  if (state !== 'good' || !sameStore(words, 4, storeId)) return null;
  return {
    sequence: getLong(words, 8),
    incarnation: words[10]!,
    next: words[11]!,
    checkpoint: words[12]!,
    segment: words[13]!,
  };
}

export interface GroupHeader {
  readonly sequence: number;
  readonly incarnation: number;
  /** crc of the group header before this one. */
  readonly previous: number;
  /** Where this header stands, as a log address. */
  readonly address: number;
  readonly entries: number;
  /** Data blocks behind the header. */
  readonly blocks: number;
  /** All groups up to this sequence were durable when this one was made. */
  readonly committed: number;
  /** Sequence of the superblock that was durable when this one was made. */
  readonly checkpoint: number;
  readonly crc: number;
}

/** Complete the group header at word `at`, whose entries are in place; returns its crc. */
export function writeGroupHeader(
  words: Uint32Array,
  at: number,
  storeId: Uint32Array,
  header: Omit<GroupHeader, 'crc'>,
): number {
  words.set(storeId, at + 4);
  setLong(words, at + 8, header.sequence);
  words[at + 10] = header.incarnation;
  words[at + 11] = header.previous;
  words[at + 12] = header.address;
  words[at + 13] = header.entries | (header.blocks << 16);
  words[at + 14] = header.sequence - header.committed;
  words[at + 15] = header.checkpoint;
  const length = (groupFrontWords + header.entries * entryWords) * 4;
  return sealFrame(words, at, Magic.group, length);
}

/** Null: no group header of this store, made for this address, stands at word `at`. */
export function readGroupHeader(
  words: Uint32Array,
  at: number,
  address: number,
  storeId: Uint32Array,
): GroupHeader | null {
  if (checkFrame(words, at, Magic.group, groupFrontWords * 4) !== 'good') return null;
  if (!sameStore(words, at + 4, storeId) || words[at + 12] !== address) return null;
  const sequence = getLong(words, at + 8);
  const entries = words[at + 13]! & 0xffff;
  const blocks = words[at + 13]! >>> 16;
  if (words[at + 2] !== (groupFrontWords + entries * entryWords) * 4) return null;
  if (entries === 0 || blocks !== countBlocks(words, at, entries)) return null;
  return {
    sequence,
    incarnation: words[at + 10]!,
    previous: words[at + 11]!,
    address,
    entries,
    blocks,
    committed: sequence - words[at + 14]!,
    checkpoint: words[at + 15]!,
    crc: words[at + 3]!,
  };
}

/** Data blocks of the entries, or -1 when a kind is unknown. */
function countBlocks(words: Uint32Array, at: number, entries: number): number {
  let blocks = 0;
  for (let index = 0; index < entries; index += 1) {
    const kind = words[at + groupFrontWords + index * entryWords]! & 0xff;
    if (withBlock[kind] === undefined || kind === 0) return -1;
    if (withBlock[kind]) blocks += 1;
  }
  return blocks;
}

export interface Entry {
  readonly kind: EntryKind;
  readonly level: number;
  readonly ref: number;
  readonly block: number;
  readonly epoch: number;
  readonly crc: number;
  readonly count: number;
  /** Of its data block; 0 without one. */
  readonly address: number;
}

/** Write entry `index` of the group whose header stands at word `at`. */
export function writeEntry(
  words: Uint32Array,
  at: number,
  index: number,
  entry: Omit<Entry, 'address'>,
): void {
  const base = at + groupFrontWords + index * entryWords;
  words[base] = entryHead(entry.kind, entry.level, entry.block);
  words[base + 1] = entry.block % 2 ** 32;
  words[base + 2] = entry.ref;
  words[base + 3] = entry.epoch;
  words[base + 4] = entry.crc;
  words[base + 5] = entry.count;
}

/** The entries of a group whose header was read at word `at`. */
export function readEntries(words: Uint32Array, at: number, header: GroupHeader): Entry[] {
  const entries: Entry[] = [];
  let address = header.address + 1;
  for (let index = 0; index < header.entries; index += 1) {
    const base = at + groupFrontWords + index * entryWords;
    const head = words[base]!;
    const kind = (head & 0xff) as EntryKind;
    entries.push({
      kind,
      level: (head >>> 8) & 0xff,
      ref: words[base + 2]!,
      block: (head >>> 16) * 2 ** 32 + words[base + 1]!,
      epoch: words[base + 3]!,
      crc: words[base + 4]!,
      count: words[base + 5]!,
      address: hasBlock(kind) ? address : 0,
    });
    if (hasBlock(kind)) address += 1;
  }
  return entries;
}

/** With what the checksum of a block of a space begins. */
export function blockIdentity(block: number, epoch: number): number {
  return identitySum(entryHead(EntryKind.data, 0, block), block % 2 ** 32, 0, epoch);
}

/** With what the checksum of a data block begins that has these in its entry. */
export function identityOf(
  kind: EntryKind,
  level: number,
  ref: number,
  block: number,
  epoch: number,
): number {
  if (kind === EntryKind.data || kind === EntryKind.move) return blockIdentity(block, epoch);
  return identitySum(entryHead(kind, level, block), block % 2 ** 32, ref, epoch);
}

export const entryIdentity = ({ kind, level, ref, block, epoch }: Entry): number =>
  identityOf(kind, level, ref, block, epoch);
