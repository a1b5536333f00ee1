/**
 * What a stranger or a slow host can take is bounded and comes back, and others do not notice it.
 *
 * Measured is the resident memory of the daemon, which holds more than buffers: the heap as the
 * collector leaves it, the caches of the store. So each figure is the median of several samples, and
 * is compared with the median after the same run by somebody who behaves: what is left is the price
 * of not behaving. What buffers cost to the byte: test/target/session/slow-reader.test.ts.
 */
import test from 'ava';
import { read10 } from '../kit/cdb.ts';
import { Daemon, type DiskInfo } from '../kit/daemon.ts';
import { FINAL, Op } from '../kit/pdu.ts';
import { residentBytes, sleep, until } from '../kit/process.ts';
import { Wire } from '../kit/wire.ts';
import { Guest } from './hostile.ts';

const MIB = 2 ** 20;
const SAMPLES = 7;
const SAMPLE_MS = 100;

const IDLE_CONNECTIONS = 1000;
/** There is a cap of 64 by source: the flood comes from several. */
const IDLE_SOURCES = 20;
/** RFC 7143 names no time; ours is 15 s, and a loaded machine may be late. */
const LOGIN_TIMEOUT_MS = 60_000;
/** 7 KiB each and what the collector has not looked at yet; buffers of one MiB each would be far above. */
const IDLE_GROWTH_BYTES = 24 * MIB;
/** What the collector may leave, and cannot be told from what is lost: test/target/server/flood.test.ts counts. */
const IDLE_LEFT_BYTES = 16 * MIB;

const SLOW_READS = 64;
/** Of 64 MiB asked for. */
const SLOW_GROWTH_BYTES = 8 * MIB;
const SLOW_ROUNDS = 2;

async function medianBytes(daemon: Daemon): Promise<number> {
  const found: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    await sleep(SAMPLE_MS);
    found.push(await residentBytes(daemon.pid));
  }
  return found.sort((a, b) => a - b)[SAMPLES >> 1]!;
}

const told = (bytes: number): string => `memory grew by ${(bytes / MIB).toFixed(1)} MiB`;

test('a thousand connections that never log in are ended, and keep nobody out meanwhile', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const neighbour = await daemon.login(disk);
  await neighbour.settle();
  await neighbour.write(0, Buffer.alloc(4096, 7));
  const wires = new Set<Wire>();
  t.teardown(() => {
    for (const wire of wires) wire.close();
  });
  const flood = async (): Promise<void> => {
    for (let index = 0; index < IDLE_CONNECTIONS; index++) {
      const source = `127.0.1.${1 + (index % IDLE_SOURCES)}`;
      const wire = await Wire.connect(daemon.port, '127.0.0.1', source);
      wires.add(wire);
      void wire.ended.then(() => wires.delete(wire));
      // Some of a header: it waits for more.
      wire.sendBytes(Buffer.alloc(20, 0x43));
    }
  };
  await flood();
  for (const wire of wires) wire.close();
  await until('the first flood has gone', LOGIN_TIMEOUT_MS, () => wires.size === 0);

  const before = await medianBytes(daemon);
  await flood();
  t.is(wires.size, IDLE_CONNECTIONS, 'all of them wait');
  t.deepEqual(await neighbour.read(0, 8), Buffer.alloc(4096, 7), 'the neighbour is served');
  const late = await daemon.login(disk, { localAddress: '127.0.0.2' });
  await late.settle();
  const growth = (await medianBytes(daemon)) - before;
  t.true(growth <= IDLE_GROWTH_BYTES, told(growth));
  await until('every idle connection has ended', LOGIN_TIMEOUT_MS, () => wires.size === 0);
  const left = (await medianBytes(daemon)) - before;
  t.true(left <= IDLE_LEFT_BYTES, `when they are gone ${told(left)}`);
  t.is(await late.nop(Buffer.from('still here')).then(String), 'still here');
  for (const session of [neighbour, late]) await session.logout();
  const same = await daemon.login(disk, { localAddress: '127.0.1.1' });
  await same.settle();
  await same.logout();
});

/** Asks for 64 MiB. */
function ask(host: Guest): void {
  for (let index = 0; index < SLOW_READS; index++) {
    host.send({
      opcode: Op.scsiCommand,
      flags: FINAL | 0x40 | 1,
      tag: 100 + index,
      words: { 20: MIB },
      cdb: read10(index * 2048, 2048),
    });
  }
}

/** Takes the answers to `ask`; how many bytes came. */
async function take(host: Guest): Promise<number> {
  let received = 0;
  let ended = 0;
  while (ended < SLOW_READS) {
    const pdu = await host.wire.receive(30_000);
    if (pdu.opcode === Op.dataIn) received += pdu.data.length;
    if (pdu.opcode === Op.scsiResponse || (pdu.opcode === Op.dataIn && (pdu.flags & 1) !== 0)) {
      ended++;
    }
  }
  return received;
}

const guest = (daemon: Daemon, disk: DiskInfo): Promise<Guest> =>
  Guest.login({ port: daemon.port, target: disk.iqn, lun: disk.lun });

test('64 MiB of reads that a host does not take cost no more than 8 MiB, and all comes back', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const other = await daemon.login(disk);
  await other.settle();
  // Real data, so that nothing about the replies is free.
  for (let at = 0; at < SLOW_READS; at++) await other.write(at * 2048, Buffer.alloc(MIB, at + 1));
  const quick = await guest(daemon, disk);
  for (let round = 0; round < 2; round++) {
    ask(quick);
    t.is(await take(quick), SLOW_READS * MIB);
  }
  quick.wire.close();

  const before = await medianBytes(daemon);
  for (let round = 1; round <= SLOW_ROUNDS; round++) {
    const slow = await guest(daemon, disk);
    t.teardown(() => slow.wire.close());
    slow.wire.socket.pause();
    ask(slow);
    const growth = (await medianBytes(daemon)) - before;
    t.true(growth <= SLOW_GROWTH_BYTES, `round ${round}: ${told(growth)}`);
    t.is((await other.read(round * 2048, 8))[0], round + 1, 'others are served');
    if (round !== 2) {
      // Reading on, it gets everything: slowness is no error.
      slow.wire.socket.resume();
      t.is(await take(slow), SLOW_READS * MIB);
    }
    slow.wire.close();
  }
  const left = (await medianBytes(daemon)) - before;
  t.true(left <= SLOW_GROWTH_BYTES / 2, `when they are gone ${told(left)}`);
  await other.logout();
});
