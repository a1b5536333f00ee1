/**
 * With TAS set (SPC-4 7.5.8) a host learns of every task that another one aborted by its status, TASK
 * ABORTED, in whatever state it was; the host that asked for the abort learns of its own by nothing.
 */
import test from 'ava';
import { type Pdu, rw10, type TwoHosts, twoHosts } from './kit.ts';

const summary = (all: Pdu[]): string[] =>
  all.map((p) => `${p.op.toString(16)} ${p.tag} ${p.op === 0x22 ? p.byte2 : p.byte3}`);

/** Two hosts without unit attentions, and TAS set. */
async function two(): Promise<TwoHosts> {
  const all = await twoHosts();
  const { us, them } = all;
  const select = Buffer.from('15100000100000000000000000000000', 'hex');
  const data = Buffer.from('000000000a0a001000400000ffff0000', 'hex');
  us.command(select, { write: true, length: 16, data });
  const [done] = await us.receive();
  if (done?.byte3 !== 0) throw new Error('TAS is not set');
  them.command(Buffer.alloc(16));
  await them.receive();
  return all;
}

const whole = { write: true, length: 512, data: Buffer.alloc(512, 7) };

for (const [name, fn] of [
  ['CLEAR TASK SET', 4],
  ['LOGICAL UNIT RESET', 5],
  ['TARGET WARM RESET', 6],
] as const) {
  test(`${name}: tasks that wait, read and write`, async (t) => {
    const { us, them, device } = await two();
    device.holdWrites = true;
    device.holdReads = true;
    const waits = them.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
    const reads = them.command(rw10(0x28, 0, 1), { read: true, length: 512 });
    const writes = them.command(rw10(0x2a, 8, 1), whole);
    const [r2t] = await them.receive();
    const own = us.command(rw10(0x28, 0, 1), { read: true, length: 512 });
    const asked = us.taskManagement(fn);
    const before = summary(await them.receive()).sort();
    t.deepEqual(before, [`21 ${waits} 64`, `21 ${reads} 64`].sort());
    t.deepEqual(await us.receive(), [], 'their write is still inside');
    device.release();
    device.release();
    device.release();
    t.deepEqual(summary(await them.receive()), [`21 ${writes} 64`]);
    t.deepEqual(summary(await us.receive()), [`22 ${asked} 0`], `${own} is not answered`);
    them.dataOut(waits, r2t!.head.readUInt32BE(20), 0, 0, Buffer.alloc(8192));
    t.deepEqual(await them.receive(), [], 'late data is dropped quietly');
  });
}

test('CLEAR TASK SET posts no unit attention then', async (t) => {
  const { us, them, device } = await two();
  device.holdReads = true;
  const reads = them.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  us.taskManagement(4);
  t.deepEqual(summary(await them.receive()), [`21 ${reads} 64`]);
  const next = them.command(Buffer.alloc(16));
  t.deepEqual(summary(await them.receive()), [`21 ${next} 0`]);
});

test('the window has room again after the tasks that were told', async (t) => {
  const { us, them, server, device } = await two();
  device.holdReads = true;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 8; i++) them.command(rw10(0x28, 0, 1), { read: true, length: 512 });
    us.taskManagement(4);
    await us.receive();
    t.is((await them.receive()).length, 8);
  }
  device.releaseAll();
  them.command(Buffer.alloc(16));
  t.deepEqual(
    (await them.receive()).map((p) => p.byte3),
    [0],
  );
  t.is(server.budget.used, 0);
});
