/** Logical unit numbers: which 8 bytes name what (SAM-5 4.7). */
import test from 'ava';
import { decodeLun, LunKind, putLun } from '../../../target/scsi/lun.ts';

const rows: readonly (readonly [string, number, number, number])[] = [
  ['peripheral 0', 0, 0, 0],
  ['peripheral 255', 0x00ff0000, 0, 255],
  ['flat 0', 0x40000000, 0, 0],
  ['flat 256', 0x41000000, 0, 256],
  ['flat 16383', 0x7fff0000, 0, 16383],
  ['bus 1', 0x01000000, 0, LunKind.none],
  ['logical unit method', 0x80000000, 0, LunKind.none],
  ['REPORT LUNS', 0xc1010000, 0, LunKind.reportLuns],
  ['another well-known unit', 0xc1020000, 0, LunKind.none],
  ['second level', 0x00000001, 0, LunKind.none],
  ['third level', 0x00000000, 1, LunKind.none],
];

for (const [name, high, low, expected] of rows) {
  test(name, (t) => {
    t.is(decodeLun(high, low), expected);
  });
}

test('every LUN is decoded from the form it is reported in', (t) => {
  for (let lun = 0; lun <= 16383; lun++) {
    const bytes = new Uint8Array(8);
    putLun(bytes, 0, lun);
    const view = new DataView(bytes.buffer);
    t.is(decodeLun(view.getUint32(0), view.getUint32(4)), lun);
  }
});
