/** The blocks of a checkpoint are these bytes, both ways; what contradicts itself is refused. */
import test from 'ava';
import { decodeContents, encodeContents, sheetsPerBlock } from '../../../storage/map/contents.ts';
import { Epochs } from '../../../storage/map/epochs.ts';
import { decodeEpochs, encodeEpochs } from '../../../storage/map/sheets.ts';

const counters = { nextId: 7, freeHead: 3, pages: 5, nextEpoch: 9, physical: 2 ** 33 + 1 };
const sheets = [
  { kind: 1, number: 0, address: 300, crc: 0x01020304 },
  { kind: 3, number: 2, address: 4_000_000_000, crc: 0xffffffff },
] as const;

test('where the sheets are: bytes', (t) => {
  const block = encodeContents(1, counters, sheets);
  t.is(
    Buffer.from(block.subarray(16, 88)).toString('hex'),
    '02000000010000000700000003000000050000000900000001000000020000000000000000000000' +
      '0000000000000000000000102c0100000403020102000030' +
      '00286beeffffffff',
  );
  t.deepEqual(decodeContents(block, 1), { counters, sheets: [...sheets] });
  t.throws(() => decodeContents(block, 0), { code: 'CORRUPT' });
  t.throws(() => decodeContents(new Uint8Array(4096), 0), { code: 'CORRUPT' });
});

test('where the sheets are: any bit', (t) => {
  for (let bit = 0; bit < 88 * 8; bit += 1) {
    const block = encodeContents(1, counters, sheets);
    block[bit >> 3]! ^= 1 << (bit & 7);
    t.throws(() => decodeContents(block, 1), { code: 'CORRUPT' }, `bit ${bit}`);
  }
});

test('where the sheets are: a full block', (t) => {
  const many = Array.from({ length: sheetsPerBlock }, (_, number) => ({ ...sheets[0], number }));
  t.deepEqual(decodeContents(encodeContents(0, counters, many), 0).sheets, many);
});

/** Two disks with snapshots, a clone whose origin is gone, a ghost: every state there is. */
function family(): Epochs {
  const epochs = new Epochs();
  const disk = epochs.begin(1, 1);
  disk.root = 5;
  disk.height = 2;
  disk.mapped = 2 ** 34;
  disk.own = 77;
  disk.pages = 3;
  epochs.freeze(disk, 10, 2);
  const clone = epochs.branch(disk, 2, 3);
  clone.reserved = 2 ** 40;
  epochs.branch(disk, 3, 4);
  epochs.doom(disk);
  disk.state = 'ghost';
  epochs.freeze(clone, 11, 5);
  epochs.branch(clone, 4, 6);
  const lone = epochs.begin(7, 8);
  epochs.doom(lone);
  lone.cursor = 2 ** 35;
  for (const [number] of epochs.byNumber)
    if (number !== 8) epochs.byNumber.get(number)!.unmappedIn = 0;
  return epochs;
}

test('epochs and lines come back as they were', (t) => {
  const epochs = family();
  const again = new Epochs();
  t.true(decodeEpochs(encodeEpochs(epochs), again));
  t.deepEqual([...again.byRef.keys()].toSorted(), [...epochs.byRef.keys()].toSorted());
  for (const [number, epoch] of epochs.byNumber) {
    const found = again.byNumber.get(number)!;
    for (const field of [
      'ref',
      'state',
      'root',
      'height',
      'mapped',
      'own',
      'pages',
      'reserved',
    ] as const) {
      t.is(found[field], epoch[field], `${field} of ${number}`);
    }
    t.is(found.cursor, epoch.cursor);
    t.is(found.parent?.number, epoch.parent?.number);
    t.deepEqual([...found.children].map(String).length, epoch.children.size);
    t.is(found.line.id, epoch.line.id);
    t.is(found.line.from?.id, epoch.line.from?.id);
    t.is(found.line.fromEpoch, epoch.line.fromEpoch);
  }
});

test('epochs that contradict themselves', (t) => {
  const changes: [string, (words: Uint32Array) => void][] = [
    ['a state that there is not', (words) => words.fill(9, 3, 4)],
    ['a parent that is not there', (words) => words.fill(99, 4, 5)],
    ['two with one number', (words) => words.copyWithin(20, 0, 20)],
    ['a root without a height', (words) => words.fill(0, 6, 7)],
    [
      'a line that branched off itself',
      (words) => {
        for (let at = 0; at < 200; at += 20) if (words[at + 1] === 1) words[at + 7] = 1;
      },
    ],
  ];
  for (const [name, change] of changes) {
    const [words] = encodeEpochs(family());
    change(words!);
    t.false(decodeEpochs([words!], new Epochs()), name);
  }
});
