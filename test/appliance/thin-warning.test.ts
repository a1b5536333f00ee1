/** A host is warned when the store runs short: 38/07 within seconds, and LOG SENSE 0Ch says how short. */
import test from 'ava';
import { testUnitReady, write16 } from '#test/kit/cdb.ts';
import { Daemon } from '#test/kit/daemon.ts';
import { senseText } from '#test/kit/initiator.ts';
import { sleep } from '#test/kit/process.ts';
import { storeSize } from './harness.ts';

const MiB = 2 ** 20;
const logSense = Buffer.from('4d004c00000000004000'.padEnd(32, '0'), 'hex');

test("filling the store passes the administrator's mark", async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize, args: ['--warn-free', '90%'] });
  const host = await daemon.login(await daemon.disk());
  await host.settle();
  const { data } = await host.command(logSense, { expectIn: 64 });
  const available = data.readUInt32BE(8);
  t.is(data[12], 2, 'the store is shared');
  // Nine tenths for certain are left behind after a quarter, and the warning may come before that.
  let told = 'none';
  for (let at = 0; at < Math.ceil(available / 4) && told === 'none'; at++) {
    const dataOut = Buffer.alloc(MiB, at + 1);
    told = senseText(await host.command(write16(at * 2048, 2048), { dataOut }));
  }
  for (let tries = 0; tries < 100 && told === 'none'; tries++) {
    told = senseText(await host.command(testUnitReady()));
    if (told === 'none') await sleep(100);
  }
  t.is(told, '06/38/07');
  t.is(senseText(await host.command(testUnitReady())), 'none', 'once');
  const after = (await host.command(logSense, { expectIn: 64 })).data;
  t.true(after.readUInt32BE(8) < available);
  t.true(after.readUInt32BE(20) > 0, 'used');
});
