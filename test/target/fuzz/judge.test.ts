/**
 * The judge of the fuzzer finds what it is there to find: each wrong answer of this table is refused,
 * and the right ones around it are not.
 */
import test from 'ava';
import { Judge } from '#test/fuzz/link.ts';
import { CHAP_SECRET, checkDevices, FuzzClock, Mark, makeWorld } from '#test/fuzz/world.ts';
import { buildPdu, type PduFields } from '#test/kit/pdu.ts';
import { SeededRandom } from '#test/kit/random.ts';

const TAG = 7;
/** A READ of 512 bytes from LUN 0 is out. */
function judging(): Judge {
  const judge = new Judge();
  const bytes = buildPdu({ opcode: 0x01, flags: 0xc1, tag: TAG, words: { 20: 512 } });
  judge.sent({ bytes, header: bytes, inStep: true });
  return judge;
}
const dataIn = (data: Uint8Array, more: Partial<PduFields> = {}): Buffer =>
  buildPdu({ opcode: 0x25, flags: 0x81, tag: TAG, words: { 24: 1 }, data, ...more });
const filled = (bytes: number, mark: number): Buffer => Buffer.alloc(bytes, mark);

const right: Readonly<Record<string, Buffer>> = {
  'its own data': dataIn(filled(512, Mark.first)),
  'less than asked for': dataIn(filled(100, 1)),
  'a response without sense': buildPdu({ opcode: 0x21, flags: 0x80, tag: TAG, words: { 24: 1 } }),
};
for (const [name, bytes] of Object.entries(right)) {
  test(`right: ${name}`, (t) => {
    t.notThrows(() => judging().take(bytes));
  });
}

const padded = dataIn(filled(5, 1));
padded[padded.length - 1] = 1;
const wrong: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
  'freed memory': [dataIn(Buffer.concat([filled(500, 1), filled(12, Mark.poison)])), /holds db/],
  'data of a hidden LUN': [dataIn(filled(512, Mark.secret)), /holds a3/],
  'data of the LUN beside it': [dataIn(filled(512, Mark.second)), /another LUN/],
  'a CHAP secret': [dataIn(Buffer.from(`x${CHAP_SECRET}`)), /secret/],
  'more than was asked for': [dataIn(filled(516, 1)), /data up to 516/],
  'data beyond the end': [dataIn(filled(4, 1), { words: { 24: 1, 40: 512 } }), /data up to 516/],
  'data nobody asked for': [dataIn(filled(4, 1), { tag: 8 }), /nothing/],
  'padding that is not zero': [padded, /padding/],
  "an initiator's opcode": [buildPdu({ opcode: 0x01, tag: TAG }), /no opcode/],
  'an AHS': [buildPdu({ opcode: 0x21, tag: TAG, ahs: Buffer.alloc(4) }), /AHS/],
  'sense of another length than it says': [
    buildPdu({ opcode: 0x21, tag: TAG, data: Buffer.from([0, 18, 0x70, 0]) }),
    /sense/,
  ],
  'a segment longer than declared': [dataIn(filled(8196, 1)), /longer/],
  'an R2T for nothing': [buildPdu({ opcode: 0x31, tag: TAG }), /R2T/],
  'an R2T beyond the data': [buildPdu({ opcode: 0x31, tag: TAG, words: { 44: 513 } }), /513/],
};
for (const [name, [bytes, message]] of Object.entries(wrong)) {
  test(`wrong: ${name}`, (t) => {
    t.throws(() => judging().take(bytes), { message });
  });
}

test('wrong: a StatSN that is left out', (t) => {
  const judge = judging();
  const response = (statSn: number): Buffer =>
    buildPdu({ opcode: 0x21, flags: 0x80, tag: TAG, words: { 24: statSn } });
  judge.take(Buffer.concat([response(1), response(2)]));
  t.throws(() => judge.take(response(4)), { message: /StatSN/ });
});

for (const [index, mark] of [
  [0, Mark.poison],
  [0, Mark.second],
  [2, Mark.first],
  [3, 0],
] as const) {
  test(`wrong on a device: ${mark.toString(16)} on number ${index}`, (t) => {
    const world = makeWorld(new SeededRandom(1));
    t.notThrows(() => checkDevices(world));
    world.devices[index]![1].write(512, filled(512, mark), false, { complete: () => {} });
    t.throws(() => checkDevices(world));
  });
}

test('wrong: work that never comes to rest', (t) => {
  const clock = new FuzzClock();
  const again = (): void => clock.soon(again);
  again();
  t.throws(() => clock.settle(), { message: /rest/ });
});
