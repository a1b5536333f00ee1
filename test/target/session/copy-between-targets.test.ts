/**
 * EXTENDED COPY from a disk of one target to a disk of another, over sessions: it copies, and it stops,
 * with nothing landing behind the answer, when it is aborted, when a target is taken away, and when the
 * initiator loses its access.
 */
import test from 'ava';
import type { Access } from '../../../target/index.ts';
import { cscd, list, segment } from '../scsi/copy-kit.ts';
import { HeldDevice, Host, type Pdu, senseOf, world } from './kit.ts';

const MiB = 2 ** 20;
const blocks = 2048;
const other = 'iqn.2026-11.test:other';

function pair() {
  const rules: { access: Access } = { access: 'read-write' };
  const all = world({}, new HeldDevice({ bytes: 8 * MiB }));
  const there = new HeldDevice({ bytes: 8 * MiB });
  const target = all.server.addTarget({ name: other, access: () => rules.access });
  target.scsi.add(0, there);
  const data = Buffer.alloc(MiB, 'some data ');
  all.device.write(0, data, false, { complete: () => {} });
  return { ...all, here: all.device, there, rules, data };
}

type Pair = ReturnType<typeof pair>;

/** A copy of 1 MiB from `here` to `there`, or the other way. */
function copy(host: Host, { here, there }: Pair, back = false, id = 7): number {
  const [from, to] = back ? [there, here] : [here, there];
  const cscds = [cscd(from.identity.naa), cscd(to.identity.naa)];
  const out = Buffer.from(
    list(cscds, [segment({ source: 0, destination: 1, blocks, from: 0, to: 0 })], { 0: id }),
  );
  const cdb = Buffer.alloc(16);
  cdb[0] = 0x83;
  cdb.writeUInt32BE(out.length, 10);
  return host.command(cdb, { write: true, length: out.length, data: out });
}

/** Lets the devices end their calls until the copy has come so far, or to its end. */
async function work({ here, there }: Pair, calls = Number.POSITIVE_INFINITY): Promise<void> {
  for (let ended = 0; ended < calls; ended++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (here.waiting + there.waiting === 0) return;
    if (here.waiting > 0) here.release();
    else there.release();
  }
}

const content = (device: HeldDevice): Buffer => {
  const into = Buffer.alloc(MiB);
  device.holdReads = false;
  device.readNow(0, MiB, into, 0);
  return into;
};

const status = ([answer]: Pdu[]): string =>
  answer === undefined ? 'none' : answer.byte3 === 2 ? senseOf(answer) : String(answer.byte3);

test('the data are there, and holes stay holes', async (t) => {
  const all = pair();
  const host = new Host(all.server);
  await host.enter();
  copy(host, all);
  await work(all);
  t.is(status(await host.receive()), '0');
  t.deepEqual(content(all.there), all.data);
});

test('an initiator that is not admitted there is told what an unknown unit would be', async (t) => {
  const all = pair();
  all.rules.access = 'none';
  const host = new Host(all.server);
  await host.enter();
  copy(host, all);
  await work(all);
  t.is(status(await host.receive()), 'a/0d02');
  t.deepEqual(content(all.there), Buffer.alloc(MiB));
});

test('one that may only read there copies from it, and not to it', async (t) => {
  const all = pair();
  all.rules.access = 'read-only';
  const host = new Host(all.server);
  await host.enter();
  copy(host, all);
  await work(all);
  t.is(status(await host.receive()), '7/2700');
  copy(host, all, true);
  await work(all);
  t.is(status(await host.receive()), '0');
});

test('access that is taken away ends a copy before its next piece', async (t) => {
  const all = pair();
  const host = new Host(all.server);
  await host.enter();
  copy(host, all);
  await work(all, 1);
  all.rules.access = 'none';
  await work(all);
  t.is(status(await host.receive()), 'a/0d02');
  t.notDeepEqual(content(all.there), all.data);
});

test('removing the other target waits for the call in its device, and ends the copy', async (t) => {
  for (const back of [false, true]) {
    const all = pair();
    const { server, there, here } = all;
    const host = new Host(server);
    await host.enter();
    if (back) there.write(0, all.data, false, { complete: () => {} });
    there.holdWrites = true;
    copy(host, all, back);
    // Up to the first call inside the device that goes away.
    for (let turns = 0; turns < 20 && there.waiting === 0; turns++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (here.waiting > 0) here.release();
    }
    t.is(there.waiting, 1);
    let removed = false;
    const removal = server.removeTarget(other).then(() => {
      removed = true;
    });
    await host.receive();
    t.false(removed, 'a call is inside its device');
    there.release();
    await work(all);
    await removal;
    t.is(there.waiting, 0);
    t.is(status(await host.receive()), 'a/0d02');
  }
});

test('ABORT TASK is complete when nothing of the copy can land any more', async (t) => {
  const all = pair();
  const host = new Host(all.server);
  await host.enter();
  all.there.holdWrites = true;
  const tag = copy(host, all);
  await work(all, 1);
  await new Promise((resolve) => setImmediate(resolve));
  t.is(all.there.waiting, 1, 'a write is inside the other device');
  const asked = host.taskManagement(1, tag);
  t.deepEqual(await host.receive(), []);
  all.there.release();
  const [answer] = await host.receive();
  t.is(answer?.tag, asked);
  t.is(answer?.byte2, 0, 'FUNCTION COMPLETE');
  const writes = all.there.log.length;
  await work(all);
  t.is(all.there.log.length, writes, 'and nothing lands behind it');
});

test('two copies that cross do not wait for each other', async (t) => {
  const all = pair();
  const one = new Host(all.server);
  await one.enter();
  for (let i = 0; i < 6; i++) {
    copy(one, all, false, 2 * i);
    copy(one, all, true, 2 * i + 1);
  }
  await work(all);
  const answers = await one.receive();
  t.is(answers.length, 12);
  t.true(answers.every(({ byte3 }) => byte3 === 0));
});
