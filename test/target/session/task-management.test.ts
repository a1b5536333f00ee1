/**
 * Task management really aborts: what has not reached the device never does, what is inside is
 * waited for, and no aborted task is answered.
 */
import test from 'ava';
import { Host, type Pdu, rw10, senseOf, world } from './kit.ts';

const summary = (all: Pdu[]): string[] =>
  all.map((p) => `${p.op.toString(16)} ${p.tag} ${p.op === 0x22 ? p.byte2 : p.byte3}`);

test('ABORT TASK of a write that waits for its data: it never reaches the device', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter();
  const write = host.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
  const [r2t] = await host.receive();
  const abort = host.taskManagement(1, write, host.cmdSn - 1);
  t.deepEqual(summary(await host.receive()), [`22 ${abort} 0`]);
  host.dataOut(write, r2t!.head.readUInt32BE(20), 0, 0, Buffer.alloc(8192));
  t.deepEqual(await host.receive(), [], 'late data is dropped quietly');
  t.deepEqual(device.log, []);
});

test('ABORT TASK of a write inside the device is complete when the device has let go', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter();
  device.holdWrites = true;
  const write = host.command(rw10(0x2a, 0, 1), {
    write: true,
    length: 512,
    data: Buffer.alloc(512),
  });
  const abort = host.taskManagement(1, write);
  t.deepEqual(await host.receive(), []);
  device.release();
  t.deepEqual(summary(await host.receive()), [`22 ${abort} 0`], 'and the write is not answered');
  t.is(server.budget.used, 0);
});

test('a device that does not let go: FUNCTION REJECTED, and the write is reported as aborted', async (t) => {
  const { server, device, clock } = world();
  const host = new Host(server);
  await host.enter();
  device.holdWrites = true;
  const write = host.command(rw10(0x2a, 0, 1), {
    write: true,
    length: 512,
    data: Buffer.alloc(512),
  });
  const abort = host.taskManagement(1, write);
  clock.advance(2_000);
  t.deepEqual(summary(await host.receive()), [`22 ${abort} 255`]);
  device.release();
  const late = await host.receive();
  t.deepEqual(summary(late), [`21 ${write} 2`]);
  t.is(senseOf(late[0]!), 'b/0000');
});

test('ABORT TASK of a read inside the device is complete at once', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter();
  device.holdReads = true;
  const read = host.command(rw10(0x28, 0, 8), { read: true, length: 4096 });
  const abort = host.taskManagement(1, read);
  t.deepEqual(summary(await host.receive()), [`22 ${abort} 0`]);
  device.release();
  t.deepEqual(await host.receive(), []);
});

test('ABORT TASK of a task that is not there', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter();
  const done = host.command(Buffer.alloc(16));
  await host.receive();
  const abort = host.taskManagement(1, done, host.cmdSn - 1);
  t.deepEqual(summary(await host.receive()), [`22 ${abort} 1`], 'it has ended: no such task');
  host.cmdSn++;
  const lost = host.taskManagement(1, 4711, host.cmdSn - 1);
  t.deepEqual(summary(await host.receive()), [`22 ${lost} 0`], 'it never came: taken as received');
  const next = host.command(Buffer.alloc(16));
  t.deepEqual(summary(await host.receive()), [`21 ${next} 0`]);
});

const unitWide: Record<string, { fn: number; others: boolean; sense: string | null }> = {
  'ABORT TASK SET': { fn: 2, others: false, sense: null },
  'CLEAR TASK SET': { fn: 4, others: true, sense: '6/2f00' },
  'LOGICAL UNIT RESET': { fn: 5, others: true, sense: '6/2903' },
  'TARGET WARM RESET': { fn: 6, others: true, sense: '6/2900' },
};

for (const [name, { fn, others, sense }] of Object.entries(unitWide)) {
  test(`${name} waits for every task that it ends`, async (t) => {
    const { server, device } = world();
    const host = new Host(server);
    const other = new Host(server);
    await host.enter();
    await other.enter({}, 2);
    device.holdWrites = true;
    const data = { write: true, length: 512, data: Buffer.alloc(512) };
    host.command(rw10(0x2a, 0, 1), data);
    const theirs = other.command(rw10(0x2a, 8, 1), data);
    const asked = host.taskManagement(fn);
    device.release();
    const early = summary(await host.receive());
    if (others) t.deepEqual(early, [], 'the other write is still inside');
    else t.deepEqual(early, [`22 ${asked} 0`]);
    device.release();
    if (others) t.deepEqual(summary(await host.receive()), [`22 ${asked} 0`]);
    t.deepEqual(summary(await other.receive()), others ? [] : [`21 ${theirs} 0`]);
    other.command(Buffer.alloc(16));
    const [next] = await other.receive();
    if (sense === null) t.is(next?.byte3, 0);
    else t.is(senseOf(next!), sense);
  });
}

test('TARGET COLD RESET drops every connection of the target after it has answered', async (t) => {
  const { server } = world();
  const host = new Host(server);
  const other = new Host(server);
  await host.enter();
  await other.enter({}, 2);
  const asked = host.taskManagement(7);
  t.deepEqual(summary(await host.receive()), [`22 ${asked} 0`]);
  t.is(host.stream.ended, 'destroy');
  t.is(other.stream.ended, 'destroy');
  t.deepEqual(server.sessions(), []);
});

test('functions that cannot be: TASK REASSIGN, CLEAR ACA, an absent LUN', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter();
  const reassign = host.taskManagement(8);
  const aca = host.taskManagement(3);
  t.deepEqual(summary(await host.receive()), [`22 ${reassign} 4`, `22 ${aca} 5`]);
  const { pdu } = await import('./kit.ts');
  host.send(pdu(0x42, { flags: 0x85, tag: 900, lun: 7, w20: 0xffffffff, w24: host.cmdSn }));
  t.deepEqual(summary(await host.receive()), ['22 900 2']);
});
