/**
 * A write that an abort, a reset or a lost session left behind never lands after a later acknowledged
 * write to the same place, even when its data arrives late (RFC 7143 4.2.3.3; SAM-5 7.2).
 */
import test, { type ExecutionContext } from 'ava';
import { write10 } from '../kit/cdb.ts';
import { Daemon, type DiskInfo } from '../kit/daemon.ts';
import type { Initiator } from '../kit/initiator.ts';
import { FINAL, Op, type Pdu } from '../kit/pdu.ts';

const LBA = 4096;
const LENGTH = 65_536;
const SOLICITED = { ImmediateData: 'No', InitialR2T: 'Yes' };
const OLD = Buffer.alloc(LENGTH, 0xd0);
const NEW = Buffer.alloc(LENGTH, 0x11);

const TaskFunction = { abortTask: 1, abortTaskSet: 2, lunReset: 5 } as const;

/** A write whose R2T came and whose data is held back. */
async function heldWrite(session: Initiator) {
  const tag = session.newTag();
  let take: (pdu: Pdu) => void = () => {};
  const r2t = new Promise<Pdu>((resolve) => {
    take = resolve;
  });
  const fields = {
    opcode: Op.scsiCommand,
    flags: FINAL | 0x20 | 1,
    lun: session.negotiated.lun,
    tag,
    words: { 20: LENGTH },
    cdb: write10(LBA, LENGTH / 512),
  };
  session.onR2t(tag, take);
  const { cmdSn } = session;
  const answer = session.request(fields, 30_000);
  answer.catch(() => {});
  const transfer = (await r2t).header.readUInt32BE(20);
  return {
    tag,
    cmdSn,
    sendData: () =>
      session.wire.send({
        opcode: Op.dataOut,
        flags: FINAL,
        lun: session.negotiated.lun,
        tag,
        words: { 20: transfer, 28: session.expStatSn },
        data: OLD.subarray(0, Math.min(LENGTH, session.negotiated.peerMaxDataSegment)),
      }),
  };
}

async function expectNewData(t: ExecutionContext, daemon: Daemon, disk: DiskInfo): Promise<void> {
  const fresh = await daemon.login(disk);
  await fresh.settle();
  t.true((await fresh.read(LBA, LENGTH / 512)).equals(NEW));
  await fresh.logout();
}

for (const [name, code] of Object.entries(TaskFunction)) {
  test(`after ${name}, late data of the aborted write goes nowhere`, async (t) => {
    const daemon = await Daemon.forTest(t);
    const disk = await daemon.disk();
    const session = await daemon.login(disk, { keys: SOLICITED });
    await session.settle();
    const held = await heldWrite(session);
    t.is(
      await session.taskManagement(code, { tag: held.tag, refCmdSn: held.cmdSn }),
      0,
      'function complete',
    );
    const other = await daemon.login(disk);
    await other.settle();
    await other.write(LBA, NEW);
    held.sendData();
    // Whatever the answer to the late data, it has been handled once this one is answered.
    await session.nop().catch(() => {});
    await expectNewData(t, daemon, disk);
    session.close();
    await other.logout();
  });
}

test('a session that is reinstated takes its unfinished writes with it', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const isid = Buffer.from([0x80, 0, 0, 1, 0, 7]);
  const first = await daemon.login(disk, { isid, keys: SOLICITED });
  await first.settle();
  const held = await heldWrite(first);
  const second = await daemon.login(disk, { isid });
  held.sendData();
  t.not((await first.wire.ended).by, 'us');
  await second.settle();
  await second.write(LBA, NEW);
  t.true((await second.read(LBA, LENGTH / 512)).equals(NEW));
  await expectNewData(t, daemon, disk);
  await second.logout();
});

test('a connection cut in mid-write leaves whole sectors, old or new', async (t) => {
  const daemon = await Daemon.forTest(t);
  const disk = await daemon.disk();
  const before = await daemon.login(disk);
  await before.settle();
  await before.write(LBA, NEW);
  await before.logout();
  const session = await daemon.login(disk, { keys: SOLICITED });
  await session.settle();
  const held = await heldWrite(session);
  held.sendData();
  session.close();
  const after = await daemon.login(disk);
  await after.settle();
  const data = await after.read(LBA, LENGTH / 512);
  for (let at = 0; at < LENGTH; at += 512) {
    const sector = data.subarray(at, at + 512);
    t.true(sector.every((byte) => byte === sector[0]) && [0xd0, 0x11].includes(sector[0] ?? 0));
  }
  await after.logout();
});
