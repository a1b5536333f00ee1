/** The test initiator's own bytes: known checksums, and whole PDUs from any split of a stream. */
import test from 'ava';
import fc from 'fast-check';
import { buildPdu, crc32c, decodeKeys, encodeKeys, encodeLun, Op, PduReader } from './pdu.ts';

/** RFC 7143 appendix A.4: the digest of each as it stands on the wire. */
const vectors: ReadonlyArray<readonly [name: string, data: Buffer, digest: string]> = [
  ['32 bytes of zeros', Buffer.alloc(32), 'aa36918a'],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), '43aba862'],
  ['32 bytes counting up', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), '4e79dd46'],
  ['32 bytes counting down', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), '5cdb3f11'],
];

for (const [name, data, digest] of vectors) {
  test(`CRC-32C of ${name}`, (t) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(crc32c([data]));
    t.is(bytes.toString('hex'), digest);
  });
}

test('a PDU reads back from any split of the stream, with any digests', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.nat(400), { maxLength: 6 }),
      fc.record({ header: fc.boolean(), data: fc.boolean() }),
      (data, cuts, digests) => {
        const ahs = Buffer.from([0, 5, 1, 0, 9, 9, 9, 9]);
        const fields = {
          opcode: Op.text,
          immediate: true,
          flags: 0x80,
          lun: 3,
          tag: 77,
          ahs,
          data,
        };
        const bytes = buildPdu(fields, digests);
        const reader = new PduReader();
        reader.digests = digests;
        const bounds = [...cuts.filter((at) => at < bytes.length), 0, bytes.length];
        bounds.sort((a, b) => a - b);
        for (let part = 1; part < bounds.length; part++) {
          t.is(reader.next(), null);
          reader.push(bytes.subarray(bounds[part - 1], bounds[part]));
        }
        const pdu = reader.next();
        t.is(pdu?.opcode, Op.text);
        t.true(pdu?.immediate);
        t.is(pdu?.header.readUInt32BE(16), 77);
        t.deepEqual(pdu?.data, Buffer.from(data));
        t.deepEqual(pdu?.ahs, ahs);
        t.is(reader.next(), null);
      },
    ),
  );
});

test('a changed byte under a digest is noticed', (t) => {
  const digests = { header: true, data: true };
  const bytes = buildPdu({ opcode: Op.nopIn, tag: 1, data: Buffer.alloc(16, 7) }, digests);
  for (let at = 0; at < bytes.length; at++) {
    // The lengths decide where the PDU ends; changed, they ask for more bytes instead.
    if (at >= 4 && at < 8) continue;
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 0x10;
    const reader = new PduReader();
    reader.digests = digests;
    reader.push(changed);
    t.throws(() => reader.next(), { message: /digest is wrong/ }, `byte ${at}`);
  }
});

test('keys and LUNs on the wire', (t) => {
  t.is(encodeKeys({ A: '1', B: 'x=y' }).toString('latin1'), 'A=1\0B=x=y\0');
  t.deepEqual(decodeKeys(Buffer.from('A=1\0B=x=y\0')), [
    ['A', '1'],
    ['B', 'x=y'],
  ]);
  t.is(encodeLun(5).toString('hex'), '0005000000000000');
  t.is(encodeLun(300).toString('hex'), '412c000000000000');
});
