/** The blocks of a checkpoint are these bytes, both ways; a changed bit is CORRUPT. */
import test from 'ava';
import { decodeRoots, encodeRoots, spacesPerBlock } from '../../../storage/map/roots.ts';

const roots = [
  { ref: 1, height: 2, reserved: 2 ** 40, address: 300, crc: 0x01020304 },
  { ref: 77, height: 0, reserved: 0, address: 0, crc: 0 },
];

test('bytes', (t) => {
  const block = encodeRoots(3, roots);
  const front = Buffer.from(block.subarray(0, 96)).toString('hex');
  t.is(
    front,
    '5074434b01000000600000009f3bb56b02000000030000000000000000000000' +
      '010000000200000000000000000100002c010000040302010000000000000000' +
      '4d00000000000000000000000000000000000000000000000000000000000000',
  );
  t.deepEqual(decodeRoots(block, 3), roots);
  t.throws(() => decodeRoots(block, 2), { code: 'CORRUPT' });
  t.throws(() => decodeRoots(new Uint8Array(4096), 0), { code: 'CORRUPT' });
});

test('any bit', (t) => {
  for (let bit = 0; bit < 96 * 8; bit += 1) {
    const block = encodeRoots(3, roots);
    block[bit >> 3]! ^= 1 << (bit & 7);
    t.throws(() => decodeRoots(block, 3), { code: 'CORRUPT' }, `bit ${bit}`);
  }
});

test('a full block', (t) => {
  const many = Array.from({ length: spacesPerBlock }, (_, ref) => ({ ...roots[0]!, ref }));
  t.deepEqual(decodeRoots(encodeRoots(0, many), 0), many);
});
