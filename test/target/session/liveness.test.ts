/** Pings both ways, logout, and what happens to a peer that says nothing. */
import test from 'ava';
import { Host, pdu, rw10, world } from './kit.ts';

test('a ping is echoed, as much as the initiator takes', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter({ MaxRecvDataSegmentLength: '512' });
  const data = Buffer.alloc(700, 5);
  host.send(pdu(0x40, { tag: 7, w20: 0xffffffff, data }));
  host.send(pdu(0x00, { tag: 8, w20: 0xffffffff, w24: host.cmdSn++, data: Buffer.from('x') }));
  const [first, second] = await host.receive();
  t.deepEqual([first?.op, first?.tag, first?.head.readUInt32BE(20)], [0x20, 7, 0xffffffff]);
  t.true(first!.data.equals(data.subarray(0, 512)));
  t.is(second?.data.toString(), 'x');
  t.is(second?.head.readUInt32BE(28), host.cmdSn, 'a ping that is no immediate one has a CmdSN');
});

test('an idle peer is pinged; any answer is life, silence is not', async (t) => {
  const { server, clock } = world();
  const host = new Host(server);
  await host.enter();
  clock.advance(20_000);
  const [ping] = await host.receive();
  t.is(ping?.op, 0x20);
  t.is(ping?.tag, 0xffffffff);
  const transferTag = ping!.head.readUInt32BE(20);
  t.not(transferTag, 0xffffffff, 'a valid tag asks for an answer');
  const before = ping!.head.readUInt32BE(24);
  host.send(pdu(0x40, { tag: 0xffffffff, w20: transferTag }));
  t.deepEqual(await host.receive(), [], 'the answer needs no answer');
  clock.advance(25_000);
  const [again] = await host.receive();
  t.is(again?.head.readUInt32BE(24), before, 'a ping uses no StatSN');
  clock.advance(30_000);
  t.is(host.stream.ended, 'destroy');
  t.deepEqual(server.sessions(), []);
});

for (const [name, flags, w20, response, ends] of [
  ['close the session', 0x80, 0, 0, true],
  ['close this connection', 0x81, 0, 0, true],
  ['close a connection that is not there', 0x81, 0x00050000, 1, false],
  ['remove the connection for recovery', 0x82, 0, 2, false],
] as const) {
  test(`logout: ${name}`, async (t) => {
    const { server } = world();
    const host = new Host(server);
    await host.enter();
    host.send(pdu(0x46, { flags, tag: 5, w20, w24: host.cmdSn }));
    const [reply] = await host.receive();
    t.deepEqual([reply?.op, reply?.tag, reply?.byte2], [0x26, 5, response]);
    t.is(host.stream.ended, ends ? 'end' : null);
  });
}

test('logout is answered when the device has let go of the writes', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter();
  device.holdWrites = true;
  host.command(rw10(0x2a, 0, 1), { write: true, length: 512, data: Buffer.alloc(512) });
  host.send(pdu(0x46, { tag: 5, w24: host.cmdSn }));
  t.deepEqual(await host.receive(), []);
  device.release();
  t.deepEqual(
    (await host.receive()).map((p) => p.op),
    [0x26],
  );
});
