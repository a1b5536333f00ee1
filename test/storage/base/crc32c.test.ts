/**
 * CRC-32C gives the values of RFC 3720 appendix B.4, in one piece, in several, and word by word.
 */
import test from 'ava';
import fc from 'fast-check';
import { crc32c, crc32cWord } from '../../../storage/base/crc32c.ts';

test('the examples of RFC 3720', (t) => {
  t.is(crc32c(new Uint8Array(32)), 0x8a9136aa);
  t.is(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  t.is(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e);
});

test('in pieces and by words', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(fc.nat(0xffffffff)), (bytes, words) => {
      const tail = new Uint8Array(Uint32Array.from(words).buffer);
      const whole = crc32c(Uint8Array.from([...bytes, ...tail]));
      let sum = crc32c(bytes);
      t.is(crc32c(tail, sum), whole);
      for (const word of words) sum = crc32cWord(word, sum);
      t.is(sum, whole);
    }),
  );
});
