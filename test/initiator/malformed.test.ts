/**
 * Malformed PDUs get the named answer, and the daemon goes on as if nothing had been: after each one a
 * plain login writes and reads, and memory stays bounded.
 */
import test from 'ava';
import { Daemon, type DiskInfo } from '../kit/daemon.ts';
import { Initiator } from '../kit/initiator.ts';
import { residentBytes } from '../kit/process.ts';
import { BEFORE_LOGIN, IN_SESSION } from './hostile-cases.ts';

const MIB = 2 ** 20;
/** The whole table together; a single 16 MiB claim that were believed twice would pass it. */
const MAX_GROWTH_BYTES = 96 * MIB;

let daemon: Daemon;
let disk: DiskInfo;

test.before(async () => {
  daemon = await Daemon.start();
  disk = await daemon.disk();
});

test.after.always(async () => {
  await daemon?.dispose();
});

async function plainSession(pattern: number): Promise<boolean> {
  const session = await daemon.login(disk);
  await session.settle();
  const data = Buffer.alloc(8192, pattern);
  await session.write(0, data);
  const back = await session.read(0, 16);
  await session.logout();
  return back.equals(data);
}

test.serial('every malformed PDU gets the named answer and costs nobody anything', async (t) => {
  t.true(await plainSession(0xa5));
  const before = await residentBytes(daemon.pid);
  const address = { port: daemon.port, target: disk.iqn, lun: disk.lun };
  let pattern = 1;
  for (const { name, right, attempt } of [...BEFORE_LOGIN, ...IN_SESSION]) {
    t.regex(await attempt(address), right, name);
    daemon.assertAlive();
    t.true(await plainSession(pattern++ & 0xff), `${name}: a plain session afterwards`);
  }
  const growth = (await residentBytes(daemon.pid)) - before;
  t.true(growth < MAX_GROWTH_BYTES, `memory grew by ${Math.round(growth / MIB)} MiB`);
});

test.serial('data of a refused Data-Out never reaches the disk', async (t) => {
  const session = await Initiator.login({ port: daemon.port, target: disk.iqn, lun: disk.lun });
  await session.settle();
  // Where the table's writes aimed, up to 1 MiB behind it.
  const around = await session.read(4096, 2048);
  t.false(around.includes(0xee));
  await session.logout();
});
