/** What a stranger or a slow host can take is bounded, and others do not notice it. */
import test from 'ava';
import { read10 } from '../kit/cdb.ts';
import { Daemon } from '../kit/daemon.ts';
import { FINAL, Op } from '../kit/pdu.ts';
import { residentBytes, sleep, until } from '../kit/process.ts';
import { Wire } from '../kit/wire.ts';
import { Guest } from './hostile.ts';

const MIB = 2 ** 20;
const IDLE_CONNECTIONS = 500;
/** RFC 7143 names no time; ours is 15 s, and a loaded machine may be late. */
const LOGIN_TIMEOUT_MS = 60_000;
const IDLE_GROWTH_BYTES = 64 * MIB;
const SLOW_READS = 64;
/** tgt buffers all 64 MiB of the replies. */
const SLOW_GROWTH_BYTES = 48 * MIB;

test('connections that never log in are ended, and keep nobody out meanwhile', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const before = await residentBytes(daemon.pid);
  let open = 0;
  const wires: Wire[] = [];
  t.teardown(() => {
    for (const wire of wires) wire.close();
  });
  for (let index = 0; index < IDLE_CONNECTIONS; index++) {
    const wire = await Wire.connect(daemon.port);
    wires.push(wire);
    open++;
    void wire.ended.then(() => open--);
  }
  // There is a cap by source: the flood keeps its own address out, nobody else's.
  const session = await daemon.login(disk, { localAddress: '127.0.0.2' });
  await session.settle();
  const growth = (await residentBytes(daemon.pid)) - before;
  t.true(growth < IDLE_GROWTH_BYTES, `memory grew by ${Math.round(growth / MIB)} MiB`);
  await until('every idle connection has ended', LOGIN_TIMEOUT_MS, () => open === 0);
  t.is(await session.nop(Buffer.from('still here')).then(String), 'still here');
  await session.logout();
  const same = await daemon.login(disk);
  await same.settle();
  await same.logout();
});

test('a host that does not read its replies costs a bounded amount', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const other = await daemon.login(disk);
  await other.settle();
  // Real data, so that nothing about the replies is free.
  for (let at = 0; at < SLOW_READS; at++) await other.write(at * 2048, Buffer.alloc(MIB, at + 1));

  const slow = await Guest.login({ port: daemon.port, target: disk.iqn, lun: disk.lun });
  t.teardown(() => slow.wire.close());
  await sleep(500);
  const before = await residentBytes(daemon.pid);
  slow.wire.socket.pause();
  for (let index = 0; index < SLOW_READS; index++) {
    slow.send({
      opcode: Op.scsiCommand,
      flags: FINAL | 0x40 | 1,
      tag: 100 + index,
      words: { 20: MIB },
      cdb: read10(index * 2048, 2048),
    });
  }
  for (let probe = 0; probe < 20; probe++) {
    t.is((await other.read(probe * 2048, 8))[0], probe + 1, 'others are served');
    const growth = (await residentBytes(daemon.pid)) - before;
    t.true(growth < SLOW_GROWTH_BYTES, `memory grew by ${Math.round(growth / MIB)} MiB`);
    await sleep(100);
  }

  // Reading on, it gets everything: slowness is no error.
  slow.wire.socket.resume();
  let received = 0;
  let ended = 0;
  while (ended < SLOW_READS) {
    const pdu = await slow.wire.receive(30_000);
    if (pdu.opcode === Op.dataIn) received += pdu.data.length;
    if (pdu.opcode === Op.scsiResponse || (pdu.opcode === Op.dataIn && (pdu.flags & 1) !== 0)) {
      ended++;
    }
  }
  t.is(received, SLOW_READS * MIB);
  await other.logout();
});
