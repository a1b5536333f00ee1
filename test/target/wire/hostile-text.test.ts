/** Any bytes as text give pairs or a TextError, and written pairs read back as they were. */
import test from 'ava';
import fc from 'fast-check';
import { readAhs } from '../../../target/wire/header.ts';
import { readPairs, TextError, writePairs } from '../../../target/wire/text.ts';

const limits = { keyBytes: 63, valueBytes: 255 };

test('any bytes', (t) => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc
      .array(fc.constantFrom(0, 0x3d, 0x41, 0x80, 0xff), { maxLength: 300 })
      .map((a) => Uint8Array.from(a)),
  );
  fc.assert(
    fc.property(bytes, (text) => {
      try {
        return readPairs(text, limits).every(
          ([key, value]) => key.length > 0 && value.length <= 255,
        );
      } catch (error) {
        return error instanceof TextError;
      }
    }),
  );
  t.pass();
});

test('there and back', (t) => {
  const key = fc.stringMatching(/^[A-Za-z][A-Za-z0-9.+@_-]{0,62}$/);
  const value = fc.stringMatching(/^[ -~]{0,255}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(key, value), { maxLength: 8 }), (pairs) => {
      t.deepEqual(readPairs(writePairs(pairs), limits), pairs);
    }),
  );
});

test('any bytes as AHS stay inside their segment', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const end = bytes.length & ~3;
      return (readAhs(bytes, 0, end) ?? []).every(
        (ahs) => ahs.at + ahs.length <= end && ahs.length > 0,
      );
    }),
  );
  t.pass();
});
