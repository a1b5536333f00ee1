/** CRC-32C gives the examples of RFC 7143 appendix A.4, in one piece or in many. */
import test from 'ava';
import { crc32c } from '../../../target/crc32c.ts';
import { digest, putDigest } from '../../../target/wire/bytes.ts';

const examples: [name: string, bytes: Buffer, wire: string][] = [
  ['32 bytes of zeros', Buffer.alloc(32), 'aa36918a'],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), '43aba862'],
  ['32 bytes rising', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), '4e79dd46'],
  ['32 bytes falling', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), '5cdb3f11'],
  [
    'a SCSI read PDU',
    Buffer.from(
      '01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000',
      'hex',
    ),
    '563a96d9',
  ],
];

for (const [name, bytes, wire] of examples) {
  test(name, (t) => {
    const out = Buffer.alloc(4);
    putDigest(out, 0, crc32c(bytes, 0, bytes.length));
    t.is(out.toString('hex'), wire);
    t.is(digest(out, 0), crc32c(bytes, 0, bytes.length));
  });
}

test('the table and the native code agree across the boundary between them', (t) => {
  const bytes = Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 37) & 0xff));
  const whole = crc32c(bytes, 0, 400);
  for (let cut = 0; cut <= 400; cut++) {
    t.is(crc32c(bytes, cut, 400, crc32c(bytes, 0, cut)), whole);
  }
});
