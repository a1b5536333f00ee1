/**
 * VAAI clone through the real daemon: EXTENDED COPY from disk to disk, each a target of its own, by an initiator
 * and parameter lists that are no part of the target: the bytes are those of SPC-4 6.4 as written here.
 */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { Daemon, type DiskInfo } from '#test/kit/daemon.ts';
import { type CommandResult, expectGood, type Initiator } from '#test/kit/initiator.ts';
import { petal, storeSize } from './harness.ts';

const MiB = 1024 * 1024;
const sector = 512;

/** Identification descriptor CSCD descriptor (SPC-4 6.4.5.1): binary, NAA, 16 bytes; a disk of 512-byte blocks. */
function cscd(disk: DiskInfo): Buffer {
  const naa = Buffer.from(disk.naa.replace(/^naa\./, ''), 'hex');
  return Buffer.concat([
    Buffer.from('e400000001030010', 'hex'),
    naa,
    Buffer.from('0000000000000200', 'hex'),
  ]);
}

/** Block device to block device segment descriptor (SPC-4 6.4.6.3), from the first CSCD to the second. */
function segment(blocks: number, from: number, to: number): Buffer {
  const out = Buffer.from('0200001800000001', 'hex');
  const rest = Buffer.alloc(20);
  rest.writeUInt16BE(blocks, 2);
  rest.writeBigUInt64BE(BigInt(from), 4);
  rest.writeBigUInt64BE(BigInt(to), 12);
  return Buffer.concat([out, rest]);
}

/** EXTENDED COPY without a list identifier (LIST ID USAGE 11b). */
function clone(
  host: Initiator,
  [source, destination]: readonly [DiskInfo, DiskInfo],
  segments: readonly Buffer[],
): Promise<CommandResult> {
  const head = Buffer.alloc(16);
  head[1] = 0x18;
  head.writeUInt16BE(64, 2);
  head.writeUInt32BE(28 * segments.length, 8);
  const list = Buffer.concat([head, cscd(source), cscd(destination), ...segments]);
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x83;
  cdb.writeUInt32BE(list.length, 10);
  return host.command(cdb, { dataOut: list });
}

/** Key and additional sense of fixed-format sense data; the status alone when there is none. */
function ending({ status, sense }: CommandResult): string {
  if (status !== 2) return String(status);
  return `${((sense[2] ?? 0) & 0xf).toString(16)}/${Buffer.from(sense.subarray(12, 14)).toString('hex')}`;
}

async function two(daemon: Daemon): Promise<[DiskInfo, DiskInfo]> {
  return [await daemon.disk(), await daemon.createDisk('disk1', '64MiB')];
}

/** As ESXi does: one name, a session with an ISID of its own to each target. */
async function enter(daemon: Daemon, disk: DiskInfo, isid: string): Promise<Initiator> {
  const initiator = 'iqn.2026-11.com.example:esx';
  const host = await daemon.login(disk, { initiator, isid: Buffer.from(isid, 'hex') });
  await host.settle();
  return host;
}

test('a clone between disks is whole, thin, and there after kill -9', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disks = await two(daemon);
  const [first, second] = disks;
  const one = await enter(daemon, first, '800000000001');
  const other = await enter(daemon, second, '800000000002');
  const data = randomBytes(3 * MiB);
  for (let at = 0; at < 3; at++) {
    await one.write((at * MiB) / sector, data.subarray(at * MiB, (at + 1) * MiB));
  }
  // Sent to the source: 3 MiB of data and 4 MiB of nothing, to 8 MiB into the second disk.
  const to = (8 * MiB) / sector;
  const whole = [segment(4096, 0, to), segment(10240, 4096, to + 4096)];
  expectGood(await clone(one, disks, whole), 'EXTENDED COPY to the source');
  const { used } = await daemon.disk('disk1');
  t.true(used <= 4 * MiB, `${used} bytes are used: holes stay holes`);
  // And back, sent to what is read now, to 16 MiB into the first disk.
  const back = segment(6144, to, (16 * MiB) / sector);
  expectGood(await clone(other, [second, first], [back]), 'EXTENDED COPY back');
  await daemon.kill();
  await daemon.launch();
  const cloned = await enter(daemon, second, '800000000003');
  const again = await enter(daemon, first, '800000000004');
  for (let at = 0; at < 3; at++) {
    const piece = data.subarray(at * MiB, (at + 1) * MiB);
    t.true(piece.equals(await cloned.read(to + (at * MiB) / sector, 2048)), `MiB ${at}`);
    t.true(piece.equals(await again.read((16 * MiB + at * MiB) / sector, 2048)), `MiB ${at} back`);
  }
  t.true(Buffer.alloc(MiB).equals(await cloned.read(to + 6144, 2048)));
});

test('a disk that asks for CHAP, one that is removed and one that never was are the same nothing', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disks = await two(daemon);
  const [first, second] = disks;
  const host = await enter(daemon, first, '800000000001');
  await host.write(0, randomBytes(MiB));
  const some = [segment(2048, 0, 0)];
  t.is(ending(await clone(host, disks, some)), '0');
  const never = { ...second, naa: second.naa.replace(/.$/, (c) => (c === '0' ? '1' : '0')) };
  const nothing = await clone(host, [first, never], some);
  t.is(ending(nothing), 'a/0d02');
  t.is((await petal(daemon, 'chap', 'set', 'disk1', 'anna', '--generate')).status, 0);
  for (const way of [disks, disks.toReversed() as [DiskInfo, DiskInfo]]) {
    const masked = await clone(host, way, some);
    t.is(ending(masked), 'a/0d02');
    t.deepEqual(masked.sense, nothing.sense);
  }
  t.is((await petal(daemon, 'chap', 'rm', 'disk1')).status, 0);
  t.is(ending(await clone(host, disks, some)), '0', 'as before');
  // 16 MiB of copies on their way while the disk goes: each ends well or is told that there is none.
  const running = Array.from({ length: 16 }, () => clone(host, disks, some));
  t.is((await petal(daemon, 'disk', 'rm', 'disk1')).status, 0);
  for (const end of await Promise.all(running)) t.regex(ending(end), /^(?:0|a\/0d02)$/);
  const gone = await clone(host, disks, some);
  t.is(ending(gone), 'a/0d02');
  t.deepEqual(gone.sense, nothing.sense);
  daemon.assertAlive();
});
