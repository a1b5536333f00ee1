/** Sense data in both formats, byte for byte (SPC-4 4.5). */
import test from 'ava';
import { describeSense, encodeSense, Sense } from '../../../target/scsi/sense.ts';
import { hex } from './kit.ts';

const field = { inCdb: true, byte: 2, bit: 7 };

test('fixed format', (t) => {
  t.deepEqual(encodeSense(Sense.none, false), hex('70 00 00 00000000 0a 00000000 0000 00 000000'));
  t.deepEqual(
    encodeSense(Sense.invalidFieldInCdb, false, { field }),
    hex('70 00 05 00000000 0a 00000000 2400 00 cf0002'),
  );
  t.deepEqual(
    encodeSense(Sense.miscompareVerify, false, { information: 0x1234 }),
    hex('f0 00 0e 00001234 0a 00000000 1d00 00 000000'),
  );
  t.is(encodeSense(Sense.lbaOutOfRange, false, { information: 2 ** 32 })[0], 0x70);
});

test('descriptor format', (t) => {
  t.deepEqual(encodeSense(Sense.powerOn, true), hex('72 06 2900 000000 00'));
  t.deepEqual(
    encodeSense(Sense.miscompareVerify, true, { information: 2 ** 40 }),
    hex('72 0e 1d00 000000 0c 000a 8000 0000010000000000'),
  );
  t.deepEqual(
    encodeSense(Sense.invalidFieldInParameters, true, { field: { inCdb: false, byte: 8 } }),
    hex('72 05 2600 000000 08 0206 0000 80 0008 00'),
  );
});

test('words for logs come from the same table, whatever the format', (t) => {
  for (const descriptor of [false, true]) {
    const text = describeSense(encodeSense(Sense.spaceAllocationFailed, descriptor));
    t.is(text, 'dataProtect 27/07 SPACE ALLOCATION FAILED WRITE PROTECT');
  }
  t.is(describeSense(new Uint8Array(0)), 'noSense 00/00 NO ADDITIONAL SENSE INFORMATION');
});

test('two conditions never share key and code', (t) => {
  const seen = new Set<string>();
  for (const { key, code } of Object.values(Sense)) {
    t.false(seen.has(`${key}/${code}`), `${key}/${code}`);
    seen.add(`${key}/${code}`);
  }
});
