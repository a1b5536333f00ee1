/** Login and text keys for the fuzzer: right ones, and the ways they have been got wrong elsewhere. */
import type { SeededRandom } from '../kit/random.ts';
import { HIDDEN, OPEN, PROVED } from './world.ts';

const VALUES: Readonly<Record<string, readonly string[]>> = {
  HeaderDigest: ['None', 'CRC32C', 'CRC32C,None', 'None,CRC32C', 'CRC32C,CRC32C'],
  DataDigest: ['None', 'CRC32C', 'CRC32C,None'],
  MaxRecvDataSegmentLength: ['512', '4096', '8192', '65536', '262144', '16777215'],
  MaxBurstLength: ['512', '65536', '262144', '16777215'],
  FirstBurstLength: ['512', '8192', '65536'],
  InitialR2T: ['Yes', 'No'],
  ImmediateData: ['Yes', 'No'],
  MaxOutstandingR2T: ['1', '2', '65535'],
};
const WRONG = [
  '',
  '0',
  '-1',
  '511',
  '0x',
  '0xzz',
  '4294967296',
  '99999999999999999999',
  'Yes,No',
  '~',
];
const CHAP: readonly (readonly [string, string])[] = [
  ['AuthMethod', 'CHAP'],
  ['AuthMethod', 'CHAP,None'],
  ['CHAP_A', '5'],
  ['CHAP_A', '7,5,6,8'],
  ['CHAP_A', '0,,99999'],
  ['CHAP_N', 'user'],
  ['CHAP_N', 'u'.repeat(300)],
  ['CHAP_R', `0x${'ab'.repeat(16)}`],
  ['CHAP_R', `0x${'a'.repeat(2047)}`],
  ['CHAP_R', '0b====AAAA'],
  ['CHAP_I', '256'],
  ['CHAP_I', '0x1'],
  ['CHAP_C', `0x${'01'.repeat(16)}`],
  ['CHAP_C', `0b${'A'.repeat(1500)}`],
];

/** A login that means to succeed, or with `bent` one that may not. */
export function loginKeys(
  random: SeededRandom,
  target: string,
  bent: boolean,
): Record<string, string> {
  const keys: Record<string, string> = {
    InitiatorName: 'iqn.2026-11.test:fuzz',
    SessionType: bent && random.chance(0.3) ? 'Discovery' : 'Normal',
    TargetName: bent ? random.pick([OPEN, HIDDEN, PROVED, PROVED, `${OPEN}\r\n`, '']) : target,
  };
  for (const [key, values] of Object.entries(VALUES)) {
    if (!random.chance(0.3)) continue;
    keys[key] = bent && random.chance(0.3) ? random.pick(WRONG) : random.pick(values);
  }
  if (!bent) return keys;
  for (let left = random.below(4); left > 0; left--) {
    const [key, value] = random.pick(CHAP);
    keys[key] = value;
  }
  if (random.chance(0.1))
    keys['X-'.padEnd(random.between(3, 200), 'k')] = 'v'.repeat(random.below(5000));
  return keys;
}

/** The keys of one step of a CHAP login (RFC 7143 12.1.3), never with a right response. */
export function proofKeys(random: SeededRandom, step: number): Record<string, string> {
  const one = (key: string): string =>
    random.pick(CHAP.filter(([name]) => name === key).map(([, value]) => value));
  if (step === 0) {
    return {
      InitiatorName: 'iqn.2026-11.test:fuzz',
      SessionType: 'Normal',
      TargetName: PROVED,
      AuthMethod: one('AuthMethod'),
    };
  }
  if (step === 1) return { CHAP_A: random.chance(0.7) ? '5' : one('CHAP_A') };
  const keys = { CHAP_N: one('CHAP_N'), CHAP_R: one('CHAP_R') };
  return random.chance(0.5) ? keys : { ...keys, CHAP_I: one('CHAP_I'), CHAP_C: one('CHAP_C') };
}

/** Text that was right, cut, doubled, or with bytes that do not belong. */
export function bendText(random: SeededRandom, text: Buffer, pool: Buffer): Buffer {
  switch (random.below(6)) {
    case 0:
      return Buffer.from(text.subarray(0, random.below(text.length)));
    case 1:
      return Buffer.concat([text, text]);
    case 2:
      return Buffer.from(text.map((byte) => (random.chance(0.02) ? random.below(256) : byte)));
    case 3:
      return Buffer.concat([text, pool.subarray(0, random.below(2000))]);
    case 4:
      return Buffer.from(text.filter((byte) => byte !== 0));
    default: {
      const many = Array.from({ length: random.between(1, 300) }, (_, i) => `K${i}=${i}\0`);
      return Buffer.concat([text, Buffer.from(many.join(''))]);
    }
  }
}
