/** The stream of an export: its bytes, whatever the pieces in which they come, and that nothing else is taken for one. */
import test from 'ava';
import { crc32c } from '#storage/base/crc32c.ts';
import { StorageError } from '#storage/base/errors.ts';
import { readStream, type StreamRecord, StreamWriter } from '#storage/volume/stream-format.ts';

const begin = {
  size: 64 * 4096,
  sectorBytes: 512,
  content: '00112233445566778899aabbccddeeff',
  base: { content: 'ffeeddccbbaa99887766554433221100', digest: '5a'.repeat(32) },
  created: 1_790_000_000_000,
  disk: 'vm1',
  snapshot: 'monday',
} as const;
const block = (fill: number, count = 1): Buffer => Buffer.alloc(count * 4096, fill);

/** An incremental stream with two runs of data and a hole. */
function stream(over: Partial<Parameters<StreamWriter['begin']>[0]> = {}): Buffer[] {
  const writer = new StreamWriter();
  return [
    writer.begin({ ...begin, ...over }),
    writer.data(0, block(1)),
    writer.hole(8192, 8192),
    writer.data(5 * 4096, block(2, 2)),
    writer.end('c3'.repeat(32)),
  ].map((part) => Buffer.from(part));
}

async function* inPieces(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

async function read(bytes: Uint8Array, step = bytes.length): Promise<StreamRecord[]> {
  const records: StreamRecord[] = [];
  for await (const record of readStream(inPieces(bytes, Math.max(1, step)))) {
    records.push(record.type === 'data' ? { ...record, data: Buffer.from(record.data) } : record);
  }
  return records;
}

const wanted: readonly StreamRecord[] = [
  { type: 'begin', ...begin },
  { type: 'data', offset: 0, data: block(1) },
  { type: 'hole', offset: 8192, length: 8192 },
  { type: 'data', offset: 5 * 4096, data: block(2, 2) },
  { type: 'end', digest: 'c3'.repeat(32) },
];

test('what was written is read, in pieces of any size', async (t) => {
  const bytes = Buffer.concat(stream());
  for (const step of [bytes.length, 1000, 17, 1]) t.deepEqual(await read(bytes, step), wanted);
});

test('the bytes are as they are drawn', (t) => {
  const [first, data] = stream();
  t.is(first!.subarray(0, 12).toString('hex'), '50544c53' + '0100' + '0100' + '62000000');
  const golden =
    '0000040000000000' + // size
    '00020000' + // sector size
    '01000000' + // flags
    begin.content +
    begin.base.content +
    begin.base.digest;
  t.is(first!.subarray(16, 16 + golden.length / 2).toString('hex'), golden);
  t.is(first!.readBigUInt64LE(16 + 80), BigInt(begin.created));
  t.is(first!.subarray(16 + 88).toString(), 'vm1@monday');
  t.is(data!.subarray(6, 12).toString('hex'), '0200' + '08100000');
  const sum = crc32c(data!.subarray(16), crc32c(data!.subarray(0, 12)));
  t.is(data!.readUInt32LE(12), sum);
});

async function refused(bytes: Uint8Array): Promise<string> {
  try {
    const records = await read(bytes);
    return `was read: ${records.length} records`;
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return error.code;
  }
}

test('a stream that ends early is refused, wherever', async (t) => {
  const bytes = Buffer.concat(stream());
  for (let length = 0; length < bytes.length; length++) {
    const code = await refused(bytes.subarray(0, length));
    if (code !== 'CORRUPT') t.fail(`${length} bytes: ${code}`);
  }
  t.is(await refused(Buffer.concat([bytes, Buffer.alloc(1)])), 'CORRUPT', 'or goes on');
});

test('a stream with a byte altered is refused, whichever', async (t) => {
  const bytes = Buffer.concat(stream());
  for (let at = 0; at < bytes.length; at++) {
    bytes[at]! ^= 0x41;
    const code = await refused(bytes);
    bytes[at]! ^= 0x41;
    if (code !== 'CORRUPT' && code !== 'TOO_NEW') t.fail(`byte ${at}: ${code}`);
  }
  t.deepEqual(await read(bytes), wanted);
});

test('records left out, twice, or in another order are refused', async (t) => {
  const parts = stream();
  for (let at = 0; at < parts.length; at++) {
    t.is(await refused(Buffer.concat(parts.toSpliced(at, 1))), 'CORRUPT', `without ${at}`);
    t.is(
      await refused(Buffer.concat(parts.toSpliced(at, 0, parts[at]!))),
      'CORRUPT',
      `twice ${at}`,
    );
    const [moved] = parts.slice(at, at + 1);
    const others = parts.toSpliced(at, 1);
    for (let to = 0; to < parts.length; to++) {
      if (to === at) continue;
      t.is(await refused(Buffer.concat(others.toSpliced(to, 0, moved!))), 'CORRUPT', `${at}→${to}`);
    }
  }
});

/** Well made, with sums that fit, and wrong nevertheless. */
const wrong: readonly [string, (writer: StreamWriter) => Uint8Array[]][] = [
  [
    'data past the end',
    (w) => [w.begin(begin), w.data(64 * 4096, block(1)), w.end('00'.repeat(32))],
  ],
  [
    'data that runs past it',
    (w) => [w.begin(begin), w.data(63 * 4096, block(1, 2)), w.end('00'.repeat(32))],
  ],
  [
    'an offset inside a block',
    (w) => [w.begin(begin), w.data(512, block(1)), w.end('00'.repeat(32))],
  ],
  [
    'half a block',
    (w) => [w.begin(begin), w.data(0, block(1).subarray(512)), w.end('00'.repeat(32))],
  ],
  ['an empty record', (w) => [w.begin(begin), w.data(0, block(1, 0)), w.end('00'.repeat(32))]],
  ['a hole of nothing', (w) => [w.begin(begin), w.hole(0, 0), w.end('00'.repeat(32))]],
  ['a hole past the end', (w) => [w.begin(begin), w.hole(4096, 64 * 4096), w.end('00'.repeat(32))]],
  [
    'a hole without a base',
    (w) => [w.begin({ ...begin, base: null }), w.hole(0, 4096), w.end('00'.repeat(32))],
  ],
  [
    'a range twice',
    (w) => [w.begin(begin), w.data(0, block(1)), w.data(0, block(1)), w.end('00'.repeat(32))],
  ],
  ['a size of no whole blocks', (w) => [w.begin({ ...begin, size: 4095 }), w.end('00'.repeat(32))]],
  ['a size of nothing', (w) => [w.begin({ ...begin, size: 0 }), w.end('00'.repeat(32))]],
  ['a name that is none', (w) => [w.begin({ ...begin, snapshot: '../x' }), w.end('00'.repeat(32))]],
  [
    'another sector size',
    (w) => [w.begin({ ...begin, sectorBytes: 520 as 512 }), w.end('00'.repeat(32))],
  ],
];

for (const [what, make] of wrong) {
  test(`refused: ${what}`, async (t) => {
    t.is(await refused(Buffer.concat(make(new StreamWriter()))), 'CORRUPT');
  });
}

test('a length that would fill the memory is refused before anything is read', async (t) => {
  const [first] = stream();
  const head = Buffer.from(first!.subarray(0, 16));
  head.writeUInt32LE(0xffff_ffff, 8);
  let asked = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield head;
    for (;;) {
      asked++;
      yield Buffer.alloc(65_536);
    }
  }
  const error = await t.throwsAsync(readStream(endless()).next(), { instanceOf: StorageError });
  t.is(error?.code, 'CORRUPT');
  t.is(asked, 0);
});

test('a stream of a newer version is refused as such', async (t) => {
  const [first] = stream();
  first!.writeUInt16LE(2, 4);
  t.is(await refused(first!), 'TOO_NEW');
});
