/** A host copies from one disk to another without moving the data itself, as far as both let it in. */
import test from 'ava';
import { Daemon, type DiskInfo } from '#test/kit/daemon.ts';
import { type Initiator, senseText } from '#test/kit/initiator.ts';
import { cscd, list, segment } from '../target/scsi/copy-kit.ts';
import { storeSize } from './harness.ts';

const MiB = 2 ** 20;
const blocks = 4 * 2048;

/** EXTENDED COPY of 4 MiB, from and to block 0. */
async function clone(host: Initiator, from: DiskInfo, to: DiskInfo): Promise<string> {
  const cscds = [from, to].map(({ naa }) => cscd(Buffer.from(naa.slice(4), 'hex')));
  const out = list(cscds, [segment({ source: 0, destination: 1, blocks, from: 0, to: 0 })]);
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x83;
  cdb.writeUInt32BE(out.length, 10);
  return senseText(await host.command(cdb, { dataOut: out }));
}

test('from one disk to the other and back, by a session to one of them', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const source = await daemon.createDisk('source', '8M');
  const copy = await daemon.createDisk('copy', '8M');
  const host = await daemon.login(source);
  await host.settle();
  const data = Buffer.alloc(MiB, 'what is to be there twice ');
  await host.write(2048, data);
  t.is(await clone(host, source, copy), 'none');
  const { used } = await daemon.disk('copy');
  t.is(used, MiB, 'what the source never held is not written');
  const other = await daemon.login(copy);
  await other.settle();
  t.deepEqual(await other.read(0, 8), Buffer.alloc(4096));
  t.deepEqual(await other.read(2048, 2048), data);
  await other.write(0, Buffer.alloc(512, 3));
  t.is(await clone(host, copy, source), 'none');
  t.deepEqual(await host.read(0, 1), Buffer.alloc(512, 3));
});

test('a disk that asks for CHAP is not there for a host that proved nothing', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const mine = await daemon.createDisk('mine', '8M');
  const theirs = await daemon.createDisk('theirs', '8M');
  await daemon.petal('chap', 'set', 'theirs', 'anna', '--generate');
  const host = await daemon.login(mine);
  await host.settle();
  t.is(await clone(host, theirs, mine), '0a/0d/02');
  t.is(await clone(host, mine, theirs), '0a/0d/02');
  const unknown = { ...theirs, naa: `naa.6${'0'.repeat(31)}` };
  t.is(await clone(host, mine, unknown), '0a/0d/02', 'and it looks like one that is nowhere');
});
