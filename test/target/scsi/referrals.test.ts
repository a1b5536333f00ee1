/** Referrals: one segment, the whole unit, through every port group in its state. */
import test from 'ava';
import { AluaState } from '../../../target/scsi/alua.ts';
import { hex, verdict, World } from './kit.ts';

const groups = [
  { id: 1, state: AluaState.optimized, preferred: false, ports: [1] },
  { id: 7, state: AluaState.standby, preferred: false, ports: [7] },
];

test('REPORT REFERRALS names every group and the blocks from the first to the last', async (t) => {
  const world = new World({ bytes: 1024 * 512, target: { alua: { groups: () => groups } } });
  await world.attach(world.a);
  const all = hex('0000 001c 00000002 0000000000000000 00000000000003ff 00 00 0001 02 00 0007');
  const run = (lba: string, length: string) => world.run(`9e 13 ${lba} ${length} 01 00`);
  t.deepEqual((await run('0000000000000000', '000000ff')).data, all);
  for (let length = 0; length <= all.length; length++) {
    const answer = await run('00000000000003ff', length.toString(16).padStart(8, '0'));
    t.deepEqual(answer.data, all.subarray(0, length));
  }
  t.is(verdict(await run('0000000000000400', '000000ff')), '02 05/2100');
});

test('VPD pages 86h and B3h offer it', async (t) => {
  const world = new World();
  await world.attach(world.a);
  t.is((await world.run('12 01 86 00ff')).data[8], 0x10, 'R_SUP');
  t.deepEqual((await world.run('12 01 b3 00ff')).data, hex(`00 b3 000c ${'00'.repeat(12)}`));
  t.true([...(await world.run('12 01 00 00ff')).data].includes(0xb3));
});
