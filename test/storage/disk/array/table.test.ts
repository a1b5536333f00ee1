/** The table of disks and the journal's records, byte by byte. */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import {
  decodeRecord,
  encodeRecord,
  type JournalRecord,
} from '#storage/disk/array/journal-record.ts';
import { decodeTable, encodeTable, placeOf, type Table } from '#storage/disk/array/table.ts';

const storeId = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const entry = (number: number) => ({
  id: Buffer.alloc(16, number).toString('hex'),
  state: 1 as const,
  extents: 20,
  size: 2 ** 33,
  leaves: number === 2,
  since: 1_790_000_000_000,
  path: `/srv/disk ${number} ü`,
});
const table: Table = {
  version: 2 ** 40 + 7,
  layout: 'parity',
  columns: 2,
  zoneSegments: 16,
  disks: [entry(1), null, entry(2), { ...entry(3), state: 3 }],
  zones: Uint32Array.from([placeOf(0, 0), placeOf(2, 19), placeOf(3, 7), 0, 0, 0]),
};

test('a table comes back as it was', (t) => {
  t.deepEqual(decodeTable(storeId, encodeTable(storeId, table)), table);
});

test('the front of a table is where its layout says', (t) => {
  const view = new DataView(encodeTable(storeId, table).buffer);
  t.is(Buffer.from(view.buffer, 0, 8).toString('latin1'), 'PETALZON');
  t.is(view.getUint32(8, true), 1);
  t.is(view.getUint32(12, true), 64 + 4 * 240 + 6 * 4);
  t.is(view.getUint32(20, true), 4);
  t.is(view.getBigUint64(40, true), BigInt(table.version));
  t.is(view.getUint32(64 + 4 * 240 + 4, true), 0x03000013);
});

test('no flipped bit of a table goes unseen', (t) => {
  const good = encodeTable(storeId, table);
  for (let bit = 0; bit < (64 + 4 * 240 + 6 * 4) * 8; bit += 1) {
    const bytes = good.slice();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    t.is(readable(bytes), null, `bit ${bit}`);
  }
  t.is(decodeTable(storeId, new Uint8Array(4096)), null, 'zeros');
  t.is(decodeTable(new Uint8Array(16), good), null, 'of another store');
});

/** A format number that is newer is said, not taken. */
function readable(bytes: Uint8Array): Table | null {
  try {
    return decodeTable(storeId, bytes);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'TOO_NEW') return null;
    throw error;
  }
}

test('tables that would mix up data are none', (t) => {
  const lies: Partial<Table>[] = [
    { zones: Uint32Array.from([placeOf(0, 0), placeOf(0, 1), placeOf(3, 0)]) },
    { zones: Uint32Array.from([placeOf(0, 0), placeOf(2, 0), 0]) },
    { zones: Uint32Array.from([placeOf(0, 0), placeOf(1, 0), placeOf(3, 0)]) },
    { zones: Uint32Array.from([placeOf(0, 20), placeOf(2, 0), placeOf(3, 0)]) },
    {
      zones: Uint32Array.from([
        ...[placeOf(0, 0), placeOf(2, 0), placeOf(3, 0)],
        ...[placeOf(0, 0), placeOf(2, 1), placeOf(3, 1)],
      ]),
    },
    { zoneSegments: 0 },
  ];
  for (const lie of lies) {
    t.is(decodeTable(storeId, encodeTable(storeId, { ...table, ...lie })), null);
  }
});

const owner = { storeId, diskId: new Uint8Array(16).fill(9) };
const record: JournalRecord = {
  sequence: 2 ** 34,
  oldest: 2 ** 34 - 3,
  block: 2 ** 33 + 5,
  blocks: 2,
  at: 1,
};
const data = [new Uint8Array(8192).fill(0x5a)];

function journalWith(front: Uint8Array): Uint8Array {
  const journal = new Uint8Array(5 * 4096);
  journal.set(front, 4096);
  journal.set(data[0]!, 8192);
  return journal;
}

test('a record of the journal comes back as it was, where it was put', (t) => {
  const journal = journalWith(encodeRecord(owner, record, data));
  t.deepEqual(decodeRecord(owner, journal, 1), record);
  t.is(decodeRecord(owner, journal, 0), null);
  t.is(decodeRecord({ ...owner, diskId: storeId }, journal, 1), null, 'of another disk');
  journal.copyWithin(0, 4096);
  t.is(decodeRecord(owner, journal, 0), null, 'copied to another place');
});

test('no flipped bit of a record or its data goes unseen', (t) => {
  const good = journalWith(encodeRecord(owner, record, data));
  for (let bit = 0; bit < 96 * 8; bit += 1) {
    const bytes = good.slice();
    bytes[4096 + (bit >> 3)]! ^= 1 << (bit & 7);
    t.is(parsed(bytes), null, `bit ${bit}`);
  }
  for (let byte = 8192; byte < 16_384; byte += 511) {
    const bytes = good.slice();
    bytes[byte]! ^= 0x10;
    t.is(parsed(bytes), null, `byte ${byte}`);
  }
});

function parsed(journal: Uint8Array): JournalRecord | null {
  try {
    return decodeRecord(owner, journal, 1);
  } catch (error) {
    if (error instanceof StorageError && error.code === 'TOO_NEW') return null;
    throw error;
  }
}
