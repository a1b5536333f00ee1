/** Every command is refused where the standard says so, with the sense and field pointer it asks for. */
import test from 'ava';
import { pointer, sector, verdict, World } from './kit.ts';

// 16 MiB of 512-byte sectors: 8000h sectors, the last is 7FFFh. MAXIMUM TRANSFER LENGTH is 2000h.
// [name, CDB, data-out bytes or null, status and sense, field pointer]
const rows: readonly (readonly [string, string, number | null, string, string])[] = [
  ['READ(10) of the last sector', '28 00 00007fff 00 0001', null, '00', ''],
  ['READ(10) one past the end', '28 00 00007fff 00 0002', null, '02 05/2100', ''],
  ['READ(10) at the end, nothing', '28 00 00008000 00 0000', null, '00', ''],
  ['READ(10) of nothing past the end', '28 00 00008001 00 0000', null, '02 05/2100', ''],
  ['READ(10) at 2^31', '28 00 80000000 00 0001', null, '02 05/2100', ''],
  ['READ(10) at the last LBA of 32 bits', '28 00 ffffffff 00 0002', null, '02 05/2100', ''],
  ['READ(10) of nothing', '28 00 00000000 00 0000', null, '00', ''],
  ['READ(10) of the maximum', '28 00 00000000 00 2000', null, '00', ''],
  ['READ(10) above the maximum', '28 00 00000000 00 2001', null, '02 05/2400', 'cdb 7'],
  ['READ(10) with RDPROTECT', '28 20 00000000 00 0001', null, '02 05/2400', 'cdb 1.7'],
  ['READ(10) with DPO and FUA', '28 18 00000000 00 0001', null, '00', ''],
  ['READ(10) with a reserved bit', '28 04 00000000 00 0001', null, '02 05/2400', 'cdb 1.2'],
  ['READ(10) with NACA', '28 00 00000000 00 0001 04', null, '02 05/2400', 'cdb 9.2'],
  ['READ(6) of the last sector', '08 00 7fff 01', null, '00', ''],
  ['READ(6) past the end', '08 00 7fff 02', null, '02 05/2100', ''],
  ['READ(6) of 256 by a length of zero', '08 00 7f00 00', null, '00', ''],
  ['READ(6) of 256 past the end', '08 00 7f01 00', null, '02 05/2100', ''],
  ['READ(12) past the end', 'a8 00 00007fff 00000002', null, '02 05/2100', ''],
  ['READ(12) above the maximum', 'a8 00 00000000 00002001', null, '02 05/2400', 'cdb 6'],
  ['READ(16) at 2^63', '88 00 8000000000000000 00000001', null, '02 05/2100', ''],
  ['READ(16) at 2^64-1', '88 00 ffffffffffffffff 00000001', null, '02 05/2100', ''],
  ['READ(16) above the maximum', '88 00 0000000000000000 00002001', null, '02 05/2400', 'cdb 10'],
  ['WRITE(10) past the end', '2a 00 00008000 00 0001', sector, '02 05/2100', ''],
  ['WRITE(10) with WRPROTECT', '2a 80 00000000 00 0001', sector, '02 05/2400', 'cdb 1.7'],
  ['WRITE(16) with FUA', '8a 08 0000000000000000 00000001', sector, '00', ''],
  ['VERIFY(10) with BYTCHK 10b', '2f 04 00000000 00 0001', null, '02 05/2400', 'cdb 1.2'],
  ['VERIFY(10) past the end', '2f 00 00007fff 00 0002', null, '02 05/2100', ''],
  ['VERIFY(10) of nothing', '2f 00 00000000 00 0000', null, '00', ''],
  ['VERIFY(16) with VRPROTECT', '8f 20 0000000000000000 00000001', null, '02 05/2400', 'cdb 1.7'],
  [
    'VERIFY(10) of data, too little sent',
    '2f 02 00000000 00 0002',
    sector,
    '02 05/2400',
    'cdb 1.2',
  ],
  [
    'WRITE AND VERIFY(10) with BYTCHK 11b',
    '2e 06 00000000 00 0001',
    sector,
    '02 05/2400',
    'cdb 1.2',
  ],
  ['WRITE SAME(10) of nothing, past the end', '41 00 00008001 00 0000', sector, '02 05/2100', ''],
  ['WRITE SAME(10) past the end', '41 00 00007fff 00 0002', sector, '02 05/2100', ''],
  ['WRITE SAME(10) with ANCHOR', '41 18 00000000 00 0001', sector, '02 05/2400', 'cdb 1.4'],
  ['WRITE SAME(10) with half a sector', '41 00 00000000 00 0001', 256, '02 05/2400', 'cdb 7'],
  ['WRITE SAME(10) with two sectors', '41 00 00000000 00 0001', 1024, '02 05/2400', 'cdb 7'],
  ['WRITE SAME(16) with NDOB', '93 09 0000000000000000 00000008', null, '00', ''],
  ['WRITE SAME(10) with PBDATA', '41 04 00000000 00 0001', sector, '02 05/2400', 'cdb 1.2'],
  ['UNMAP with ANCHOR', '42 01 00000000 00 0018', 24, '02 05/2400', 'cdb 1.0'],
  ['WRITE SAME(10) of nothing (WSNZ)', '41 00 00000000 00 0000', sector, '02 05/2400', 'cdb 7'],
  ['UNMAP of no list', '42 00 00000000 00 0000', null, '00', ''],
  ['UNMAP with a cut header', '42 00 00000000 00 0007', 7, '02 05/1a00', ''],
  ['COMPARE AND WRITE of nothing', '89 00 0000000000000000 000000 00', 0, '00', ''],
  [
    'COMPARE AND WRITE, too much sent',
    '89 00 0000000000000000 000000 01',
    2048,
    '02 05/2400',
    'cdb 13',
  ],
  [
    'COMPARE AND WRITE, too little sent',
    '89 00 0000000000000000 000000 03',
    2048,
    '02 05/2400',
    'cdb 13',
  ],
  ['COMPARE AND WRITE past the end', '89 00 0000000000008000 000000 01', 1024, '02 05/2100', ''],
  [
    'COMPARE AND WRITE above the maximum',
    '89 00 0000000000000000 000000 81',
    132096,
    '02 05/2400',
    'cdb 13',
  ],
  ['ORWRITE(16) past the end', '8b 00 0000000000007fff 00000002', 1024, '02 05/2100', ''],
  ['ORWRITE(16) with protection', '8b 20 0000000000000000 00000001', 512, '02 05/2400', 'cdb 1.7'],
  ['WRITE ATOMIC(16) where not offered', '9c 00 0000000000000000 0000 0001', 512, '02 05/2000', ''],
  ['PRE-FETCH(10) past the end', '34 00 00007fff 00 0002', null, '02 05/2100', ''],
  ['SYNCHRONIZE CACHE(10) past the end', '35 00 00008000 00 0001', null, '02 05/2100', ''],
  ['SYNCHRONIZE CACHE(16) of all', '91 00 0000000000000000 00000000', null, '00', ''],
  ['GET LBA STATUS at the end', '9e 12 0000000000008000 00000018', null, '02 05/2100', ''],
  [
    'SERVICE ACTION IN, unknown action',
    '9e 1f 0000000000000000 00000018',
    null,
    '02 05/2400',
    'cdb 1.4',
  ],
  [
    'PERSISTENT RESERVE IN, unknown action',
    '5e 04 00 00 00 00 00 00ff',
    null,
    '02 05/2400',
    'cdb 1.4',
  ],
  ['an unknown opcode', 'ff', null, '02 05/2000', ''],
  ['INQUIRY of a page without EVPD', '12 00 80 00ff', null, '02 05/2400', 'cdb 2.7'],
  ['INQUIRY of an unknown page', '12 01 cc 00ff', null, '02 05/2400', 'cdb 2.7'],
  ['INQUIRY with CMDDT', '12 02 00 00ff', null, '02 05/2400', 'cdb 1.1'],
  ['INQUIRY with the LUN of SCSI-2', '12 e0 00 00ff', null, '00', ''],
  ['REPORT LUNS, room for none', 'a0 00 00 000000 0000000f', null, '02 05/2400', 'cdb 6'],
  ['REPORT LUNS, unknown selection', 'a0 00 03 000000 00000010', null, '02 05/2400', 'cdb 2.7'],
  ['MODE SENSE(6) of an unknown page', '1a 00 02 00 ff', null, '02 05/2400', 'cdb 2.5'],
  ['MODE SENSE(6) of saved values', '1a 00 c8 00 ff', null, '02 05/3900', ''],
  ['MODE SENSE(6) of an unknown subpage', '1a 00 0a 01 ff', null, '02 05/2400', 'cdb 3'],
  ['MODE SELECT(6) with SP', '15 11 00 00 00', null, '02 05/2400', 'cdb 1.0'],
  ['MODE SELECT(6) of nothing', '15 10 00 00 00', null, '00', ''],
  ['MODE SELECT(6) with a cut header', '15 10 00 00 03', 3, '02 05/1a00', ''],
  ['LOG SENSE of an unknown page', '4d 00 3e 00 00 0000 00ff', null, '02 05/2400', 'cdb 2.5'],
  ['START STOP UNIT with LOEJ', '1b 00 00 00 02', null, '02 05/2400', 'cdb 4.1'],
  ['PREVENT ALLOW on a fixed disk', '1e 00 00 00 01', null, '02 05/2000', ''],
  ['RESERVE(6) for a third party', '16 10', null, '02 05/2400', 'cdb 1.4'],
  ['REPORT OPCODES, option 4', 'a3 0c 04 00 0000 000000ff', null, '02 05/2400', 'cdb 2.2'],
  ['REPORT OPCODES 1 of 9Eh', 'a3 0c 01 9e 0000 000000ff', null, '02 05/2400', 'cdb 2.2'],
  ['REPORT OPCODES 2 of 28h', 'a3 0c 02 28 0000 000000ff', null, '02 05/2400', 'cdb 2.2'],
  [
    'REPORT TARGET PORT GROUPS, format 2',
    'a3 4a 0000 0000 000000ff',
    null,
    '02 05/2400',
    'cdb 1.7',
  ],
  ['PERSISTENT RESERVE OUT, 23 bytes', '5f 00 00 0000 00000017', 23, '02 05/1a00', ''],
  ['PERSISTENT RESERVE OUT, scope 1', '5f 01 11 0000 00000018', 24, '02 05/2400', 'cdb 2.7'],
  ['PERSISTENT RESERVE OUT, type 4', '5f 01 04 0000 00000018', 24, '02 05/2400', 'cdb 2.3'],
];

for (const [name, bytes, out, expected, field] of rows) {
  test(name, async (t) => {
    const world = new World();
    await world.attach(world.a);
    const options = out === null ? {} : { out: new Uint8Array(out) };
    const result = await world.run(bytes, options);
    t.is(verdict(result), expected);
    t.is(pointer(result.sense), field);
    if (expected !== '00') t.is(result.data.length, 0);
  });
}

test('a thick disk knows neither UNMAP nor WRITE SAME with UNMAP', async (t) => {
  const world = new World({ capabilities: { thin: false } });
  await world.attach(world.a);
  t.is(verdict(await world.run('42 00 00000000 00 0000')), '02 05/2000');
  const same = await world.run('41 08 00000000 00 0001', { out: new Uint8Array(sector) });
  t.is(verdict(same), '02 05/2400');
  t.is(pointer(same.sense), 'cdb 1.3');
});
