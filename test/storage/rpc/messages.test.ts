/** Every kind of message is read back as it was written, and whatever else comes is refused within bounds. */
import test from 'ava';
import fc from 'fast-check';
import { StorageError } from '#storage/base/errors.ts';
import { Reader, Writer } from '#storage/rpc/bytes.ts';
import {
  bool,
  bytes,
  type Codec,
  fixed,
  list,
  nullable,
  record,
  safe,
  since,
  text,
  u8,
  u16,
  u32,
  u64,
  word,
} from '#storage/rpc/codec.ts';
import { byNumber, type KindTable } from '#storage/rpc/kind.ts';
import { limits } from '#storage/rpc/limits.ts';
import { kinds, protocol } from '#storage/rpc/messages.ts';
import { SeededRandom } from '#test/kit/random.ts';

const { seed } = new SeededRandom();
const everything = record({
  u8,
  u16,
  u32,
  u64,
  safe,
  bool,
  text: text(200),
  bytes: bytes(50),
  fixed: fixed(4),
  list: list(record({ a: safe, b: nullable(u16) }), 10),
  word: word('one', 'two', 'three'),
});
const safeInteger = fc.maxSafeNat();
const value = fc.record({
  u8: fc.nat(0xff),
  u16: fc.nat(0xffff),
  u32: fc.nat(0xffff_ffff),
  u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  safe: safeInteger,
  bool: fc.boolean(),
  text: fc.string({ unit: 'grapheme', maxLength: 40 }).filter((s) => Buffer.byteLength(s) <= 200),
  bytes: fc.uint8Array({ maxLength: 50 }),
  fixed: fc.uint8Array({ minLength: 4, maxLength: 4 }),
  list: fc.array(fc.record({ a: safeInteger, b: fc.option(fc.nat(0xffff)) }), { maxLength: 10 }),
  word: fc.constantFrom('one' as const, 'two' as const, 'three' as const),
});

function written<T>(codec: Codec<T>, of: T, version = 1): Buffer {
  const writer = new Writer(limits.rpcBodyBytes);
  writer.reset(0, version);
  codec.write(writer, of);
  return Buffer.from(writer.written());
}

function read<T>(codec: Codec<T>, from: Uint8Array, version = 1): T {
  const reader = new Reader(Uint8Array.from(from), version);
  const found = codec.read(reader);
  reader.end();
  return found;
}

test(`what is written is read back (seed ${seed})`, (t) => {
  fc.assert(
    fc.property(value, (one) => {
      t.deepEqual(read(everything, written(everything, one)), one);
    }),
    { seed, numRuns: 300 },
  );
});

test(`a body cut anywhere, or with a byte more, is refused (seed ${seed})`, (t) => {
  fc.assert(
    fc.property(value, fc.nat(), (one, at) => {
      const whole = written(everything, one);
      const cut = whole.subarray(0, at % whole.length);
      t.throws(() => read(everything, cut), { instanceOf: StorageError });
      const more = Buffer.concat([whole, Buffer.alloc(1)]);
      t.throws(() => read(everything, more), { instanceOf: StorageError });
    }),
    { seed, numRuns: 200 },
  );
});

test(`arbitrary bytes are a value of a kind or a clear error (seed ${seed})`, (t) => {
  const table: KindTable = kinds;
  const codecs = Object.values(table).flatMap(({ request, response }) => [request, response]);
  const junk = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    // Small numbers, so that counts and lengths are often within their bounds.
    fc.array(fc.constantFrom(0, 1, 2, 3, 255), { maxLength: 300 }).map((a) => Uint8Array.from(a)),
  );
  fc.assert(
    fc.property(junk, fc.constantFrom(...codecs), (message, codec) => {
      try {
        const found = read(codec, message);
        // What was taken is what would have been sent for it.
        return written(codec, found).equals(message);
      } catch (error) {
        return error instanceof StorageError && error.code === 'CORRUPT';
      }
    }),
    { seed, numRuns: 3000 },
  );
  t.pass();
});

test('values outside their bounds are not written', (t) => {
  const bad: [Codec<unknown>, unknown][] = [
    [u8, 256],
    [u8, -1],
    [u16, 1.5],
    [u32, 2 ** 32],
    [safe, 2 ** 53],
    [safe, Number.NaN],
    [u64, -1n],
    [u64, 2n ** 64n],
    [text(3), 'four'],
    [text(9), '\ud800'],
    [bytes(1), new Uint8Array(2)],
    [fixed(2), new Uint8Array(1)],
    [list(u8, 1), [1, 2]],
    [word('a'), 'b'],
  ];
  for (const [codec, wrong] of bad) {
    const error = t.throws(() => written(codec, wrong), { instanceOf: StorageError });
    t.is(error.code, 'INVALID');
  }
  const endless = list(bytes(60_000), 10);
  const three = Array.from({ length: 3 }, () => new Uint8Array(60_000));
  t.throws(() => written(endless, three), { instanceOf: StorageError });
});

test('a field that an older version does not have is left out and read as its default', (t) => {
  const codec = record({ old: u8, added: since(2, u32, 7) });
  t.deepEqual(read(codec, written(codec, { old: 1, added: 9 }, 2), 2), { old: 1, added: 9 });
  t.deepEqual(read(codec, written(codec, { old: 1, added: 9 }, 1), 1), { old: 1, added: 7 });
  t.is(written(codec, { old: 1, added: 9 }, 1).length, 1);
});

test('the table: numbers once, versions that exist', (t) => {
  t.is(byNumber(kinds).size, Object.keys(kinds).length);
  for (const [name, { since: version }] of Object.entries(kinds)) {
    t.true(version >= 1 && version <= protocol.most, name);
  }
  const twice = { one: kinds.read, two: { ...kinds.read } };
  t.throws(() => byNumber(twice));
});
