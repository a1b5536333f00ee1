/** The encodings of CHAP values, and the arithmetic against fixed vectors made with other tools. */
import test from 'ava';
import fc from 'fast-check';
import { refuseSecret as exported } from '../../../target/index.ts';
import {
  chooseAlgorithm,
  decodeBinary,
  decodeIdentifier,
  encodeBinary,
  refuseSecret,
  respond,
  verify,
} from '../../../target/session/chap.ts';

/** H(01h ‖ "123456789012" ‖ 00 01 … 0f), computed with Python's hashlib. */
const vectors = [
  [5, '3f2b9b0192ced10f27a6db62f72ee5ca'],
  [6, '7be513b3c0d4caf441bd91a2aafa86b24a1a513b'],
  [7, '33eb6752fa0fffe4e36bf236a88537b0fa409c33c31457a8a1c9168a2d667ab5'],
  [8, '35f1d3d3ac59a5d1c877bdf880ea1bf4f7ce54f922bfd38c25485024ef6dadf0'],
] as const;

for (const [algorithm, expected] of vectors) {
  test(`algorithm ${algorithm}`, (t) => {
    const challenge = Buffer.from(Array.from({ length: 16 }, (_, i) => i));
    t.is(respond(algorithm, 1, '123456789012', challenge).toString('hex'), expected);
    const right = Buffer.from(expected, 'hex');
    t.true(verify(algorithm, 1, '123456789012', challenge, right));
    t.false(verify(algorithm, 2, '123456789012', challenge, right), 'another identifier');
    t.false(verify(algorithm, 1, '123456789013', challenge, right), 'another secret');
    t.false(verify(algorithm, 1, '123456789012', challenge, right.subarray(1)));
  });
}

const binaries: [string, string | null][] = [
  ['0x00ff', '00ff'],
  ['0X0aF', '00af'],
  ['0bAP8=', '00ff'],
  ['0BAP8A', '00ff00'],
  ['0x', null],
  ['0b', null],
  ['', null],
  ['00ff', null],
  ['255', null],
  ['0x0g', null],
  ['0x 00', null],
  ['0bAP8', null],
  ['0bA===', null],
  ['0b====', null],
  ['0bAP8=AA', null],
  ['0bAP-_', null],
  [`0x${'00'.repeat(9)}`, null],
  [`0b${Buffer.alloc(9).toString('base64')}`, null],
  [`0x${'0'.repeat(16)}`, '0'.repeat(16)],
];
for (const [value, bytes] of binaries) {
  test(`the binary value "${value}"`, (t) => {
    t.is(decodeBinary(value, 8)?.toString('hex') ?? null, bytes);
  });
}

test('every value is read as it was written, in both forms', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 1024 }), (bytes) => {
      const same = (text: string) => decodeBinary(text, 1024)?.equals(bytes) === true;
      return same(encodeBinary(bytes)) && same(`0b${Buffer.from(bytes).toString('base64')}`);
    }),
  );
  t.pass();
});

test('no text is more than the bytes that were allowed, nor ends the process', (t) => {
  fc.assert(
    fc.property(fc.constantFrom('0x', '0b', '0X', '0B', ''), fc.string(), (form, rest) => {
      const bytes = decodeBinary(form + rest, 4);
      return bytes === null || (bytes.length >= 1 && bytes.length <= 4);
    }),
  );
  t.pass();
});

const identifiers: [string, number | null][] = [
  ['0', 0],
  ['255', 255],
  ['0xff', 255],
  ['256', null],
  ['0x100', null],
  ['-1', null],
  ['1.5', null],
  ['', null],
  ['1e2', null],
];
for (const [value, number] of identifiers) {
  test(`the identifier "${value}"`, (t) => t.is(decodeIdentifier(value), number));
}

test('a secret has 12 to 16 printable characters', (t) => {
  t.is(exported, refuseSecret);
  t.is(refuseSecret('a'.repeat(12)), null);
  t.is(refuseSecret('a'.repeat(16)), null);
  for (const bad of [
    '',
    'a'.repeat(11),
    'a'.repeat(17),
    'with a space',
    'tab\tcharacter',
    'ümlaut-secret',
  ]) {
    t.not(refuseSecret(bad), null, bad);
  }
});

test('a list without an algorithm that we have', (t) => {
  for (const list of ['', '4', '05', '5x', 'MD5', '0x5']) t.is(chooseAlgorithm(list), null, list);
});
