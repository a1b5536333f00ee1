/**
 * The records of the log are these bytes, both ways; a changed bit or a foreign record does not
 * pass.
 */
import test from 'ava';
import { limits } from '../../../storage/base/limits.ts';
import {
  EntryKind,
  readEntries,
  readGroupHeader,
  readSegmentHeader,
  writeEntry,
  writeGroupHeader,
  writeSegmentHeader,
} from '../../../storage/log/format.ts';
import {
  decodeSuperblock,
  encodeSuperblock,
  type Superblock,
} from '../../../storage/log/superblock.ts';

const storeId = new Uint32Array([0x11111111, 0x22222222, 0x33333333, 0x44444444]);
const words = () => new Uint32Array(limits.blockBytes / 4);
const hex = (from: Uint32Array, bytes: number) =>
  Buffer.from(from.buffer, 0, bytes).toString('hex');

const segmentHeader = { sequence: 2 ** 32 + 5, incarnation: 3, next: 9, checkpoint: 7, segment: 8 };
const segmentGolden =
  '507453470200000040000000014c29cf11111111222222223333333344444444' +
  '0500000001000000030000000900000007000000080000000000000000000000';

test('segment header', (t) => {
  const block = words();
  writeSegmentHeader(block, storeId, segmentHeader);
  t.is(hex(block, 64), segmentGolden);
  t.deepEqual(readSegmentHeader(block, storeId), segmentHeader);
  t.is(readSegmentHeader(block, new Uint32Array([1, 2, 3, 4])), null);
  t.is(readSegmentHeader(words(), storeId), null);
});

const entries = [
  {
    kind: EntryKind.data,
    level: 0,
    ref: 4,
    block: 2 ** 40 + 6,
    epoch: 0,
    crc: 0xabcdef01,
    count: 0,
  },
  { kind: EntryKind.unmap, level: 0, ref: 5, block: 7, epoch: 0, crc: 0, count: 99 },
  { kind: EntryKind.page, level: 2, ref: 6, block: 8, epoch: 0, crc: 0x01020304, count: 0 },
];
const group = {
  sequence: 2 ** 33 + 1,
  incarnation: 3,
  previous: 0xdeadbeef,
  address: 8 * 256 + 1,
  entries: 3,
  blocks: 2,
  committed: 2 ** 33 - 2,
  checkpoint: 7,
};
const groupGolden =
  '507447520200000088000000487d32cb11111111222222223333333344444444' +
  '010000000200000003000000efbeadde01080000030002000300000007000000' +
  '0100000106000000040000000000000001efcdab000000000200000007000000' +
  '0500000000000000000000006300000006020000080000000600000000000000' +
  '0403020100000000';

function encodedGroup(): Uint32Array {
  const block = words();
  for (const [index, entry] of entries.entries()) writeEntry(block, 0, index, entry);
  writeGroupHeader(block, 0, storeId, group);
  return block;
}

test('group header and entries', (t) => {
  const block = encodedGroup();
  t.is(hex(block, 64 + 3 * 24), groupGolden);
  const read = readGroupHeader(block, 0, group.address, storeId)!;
  t.deepEqual(read, { ...group, crc: block[3]! });
  t.deepEqual(readEntries(block, 0, read), [
    { ...entries[0]!, address: group.address + 1 },
    { ...entries[1]!, address: 0 },
    { ...entries[2]!, address: group.address + 2 },
  ]);
  t.is(readGroupHeader(block, 0, group.address + 1, storeId), null, 'it knows its place');
});

const superblock: Superblock = {
  sequence: 12,
  incarnation: 4,
  segments: 1023,
  spaces: 2,
  position: {
    segment: 5,
    block: 77,
    groupSequence: 2 ** 34,
    previous: 0xfeedface,
    incarnation: 4,
    segmentSequence: 55,
  },
  wholeAt: 2 ** 34 + 3,
  touched: 0,
  blocks: [{ address: 1300, crc: 0x0badcafe }],
};
const superblockGolden =
  '5074534202000000680000007d8d3bbc11111111222222223333333344444444' +
  '0c00000004000000ff03000002000000050000004d0000000000000004000000' +
  'cefaedfe04000000370000000000000003000000040000000100000000000000' +
  '14050000fecaad0b';

test('superblock', (t) => {
  const record = encodeSuperblock(storeId, superblock);
  t.is(Buffer.from(record.subarray(0, 104)).toString('hex'), superblockGolden);
  t.deepEqual(decodeSuperblock(record), { storeId, superblock });
  const fresh = { ...superblock, position: null, blocks: [], wholeAt: 0 };
  t.deepEqual(decodeSuperblock(encodeSuperblock(storeId, fresh))?.superblock, fresh);
  t.is(decodeSuperblock(new Uint8Array(4096)), null);
});

test('no record passes with any one bit turned over', (t) => {
  const segment = words();
  writeSegmentHeader(segment, storeId, segmentHeader);
  const cases: [Uint32Array, number, (block: Uint32Array) => unknown][] = [
    [segment, 64, (block) => readSegmentHeader(block, storeId)],
    [encodedGroup(), 64 + 3 * 24, (block) => readGroupHeader(block, 0, group.address, storeId)],
    [
      new Uint32Array(encodeSuperblock(storeId, superblock).buffer),
      104,
      (block) => decodeSuperblock(new Uint8Array(block.buffer)),
    ],
  ];
  for (const [good, bytes, read] of cases) {
    t.not(read(good), null);
    for (let bit = 0; bit < bytes * 8; bit += 1) {
      const bad = good.slice();
      new Uint8Array(bad.buffer)[bit >> 3]! ^= 1 << (bit & 7);
      t.is(read(bad), null, `bit ${bit}`);
    }
  }
});
