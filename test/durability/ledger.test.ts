/** The ledger allows what the acknowledgements allow and calls everything else a loss. */
import test from 'ava';
import fc from 'fast-check';
import { Finding, Ledger } from './ledger.ts';
import { readStamp, SECTOR_BYTES, writeStamp } from './stamp.ts';

test('an acknowledged write rules out what was there', (t) => {
  const ledger = new Ledger();
  ledger.acknowledge(ledger.issue(0, 1));
  t.deepEqual(ledger.allowedSequences(0), [1]);
  t.is(ledger.settle(0, 0), Finding.lost);
});

test('a write that was not acknowledged may have landed or not', (t) => {
  for (const found of [0, 1]) {
    const ledger = new Ledger();
    ledger.issue(0, 1);
    t.is(ledger.settle(0, found), Finding.right);
  }
});

test('an older acknowledged write after a newer acknowledged one is a loss', (t) => {
  const ledger = new Ledger();
  ledger.acknowledge(ledger.issue(0, 1));
  ledger.acknowledge(ledger.issue(0, 1));
  t.is(ledger.settle(0, 1), Finding.lost);
});

test('writes that overlap in flight may take effect in either order', (t) => {
  for (const found of [1, 2]) {
    const ledger = new Ledger();
    const first = ledger.issue(0, 2);
    const second = ledger.issue(1, 2);
    ledger.acknowledge(second);
    ledger.acknowledge(first);
    t.is(ledger.settle(1, found), Finding.right);
    t.is(ledger.settle(0, 1), Finding.right);
    t.is(ledger.settle(2, 2), Finding.right);
  }
});

test('an unacknowledged write that overlapped an acknowledged one stays possible', (t) => {
  const ledger = new Ledger();
  ledger.issue(0, 1);
  ledger.acknowledge(ledger.issue(0, 1));
  t.deepEqual(ledger.allowedSequences(0), [1, 2]);
});

test('what was found after a crash is the only value from then on', (t) => {
  const ledger = new Ledger();
  ledger.issue(0, 1);
  t.is(ledger.settle(0, 0), Finding.right);
  t.is(ledger.settle(0, 1), Finding.lost);
});

test('a stamp reads back, and any changed byte is torn', (t) => {
  fc.assert(
    fc.property(
      fc.record({
        disk: fc.nat(),
        lba: fc.nat(),
        sequence: fc.integer({ min: 1, max: 2 ** 40 }),
        round: fc.nat(1000),
      }),
      fc.nat(SECTOR_BYTES - 1),
      fc.integer({ min: 1, max: 255 }),
      (stamp, at, change) => {
        const sector = Buffer.alloc(SECTOR_BYTES);
        writeStamp(sector, 0, stamp);
        t.deepEqual(readStamp(sector, 0), stamp);
        sector[at] = (sector[at] ?? 0) ^ change;
        t.is(readStamp(sector, 0), 'torn');
      },
    ),
  );
  t.is(readStamp(Buffer.alloc(SECTOR_BYTES), 0), 'unwritten');
});

test('half of one stamp and half of another is torn', (t) => {
  const [first, second] = [Buffer.alloc(SECTOR_BYTES), Buffer.alloc(SECTOR_BYTES)];
  writeStamp(first, 0, { disk: 1, lba: 8, sequence: 5, round: 1 });
  writeStamp(second, 0, { disk: 1, lba: 8, sequence: 6, round: 1 });
  t.is(readStamp(Buffer.concat([first.subarray(0, 256), second.subarray(256)]), 0), 'torn');
});
