/** SendTargets tells what this initiator may see, of any length, in pieces that it can take. */
import test from 'ava';
import { IscsiServer } from '../../../target/index.ts';
import { Host, INITIATOR, ManualClock, pairs, pdu, text } from '../session/kit.ts';

function serverWith(count: number): IscsiServer {
  const server = new IscsiServer({ clock: new ManualClock() });
  for (let i = 0; i < count; i++) {
    server.addTarget({
      name: `iqn.2026-11.test:t${i}`,
      access: (peer) => (i % 2 === 0 && peer.initiator === INITIATOR ? 'read-write' : 'none'),
    });
  }
  return server;
}

async function discover(server: IscsiServer, keys: Record<string, string> = {}): Promise<Host> {
  const host = new Host(server);
  const who = { InitiatorName: INITIATOR, SessionType: 'Discovery', ...keys };
  host.send(pdu(0x43, { flags: 0x87, tag: 1, w24: host.cmdSn, data: text(who) }));
  const [reply] = await host.receive();
  if (reply?.head.readUInt16BE(36) !== 0) throw new Error('discovery was refused');
  return host;
}

async function sendTargets(host: Host, value: string): Promise<{ text: string; pieces: number[] }> {
  const pieces: number[] = [];
  let all = '';
  let transferTag = 0xffffffff;
  let data = text({ SendTargets: value });
  for (;;) {
    host.send(pdu(0x04, { tag: 9, w20: transferTag, w24: host.cmdSn++, data }));
    const [reply] = await host.receive();
    if (reply?.op !== 0x24) throw new Error(`no text response but ${reply?.op.toString(16)}`);
    pieces.push(reply.data.length);
    all += reply.data.toString();
    transferTag = reply.head.readUInt32BE(20);
    const final = (reply.flags & 0x80) !== 0;
    const continues = (reply.flags & 0x40) !== 0;
    if (final !== (transferTag === 0xffffffff) || final === continues) throw new Error('F, C, TTT');
    if (final) return { text: all, pieces };
    data = Buffer.alloc(0);
  }
}

test('only what access allows, with the address of the connection', async (t) => {
  const host = await discover(serverWith(3));
  const { text: all } = await sendTargets(host, 'All');
  t.is(
    all,
    'TargetName=iqn.2026-11.test:t0\0TargetAddress=192.0.2.1:3260,1\0' +
      'TargetName=iqn.2026-11.test:t2\0TargetAddress=192.0.2.1:3260,1\0',
  );
  t.is((await sendTargets(host, 'iqn.2026-11.test:t1')).text, '');
  t.true((await sendTargets(host, 'iqn.2026-11.test:t2')).text.includes(':t2'));
});

test('an answer longer than a segment comes in pieces', async (t) => {
  const host = await discover(serverWith(600), { MaxRecvDataSegmentLength: '1024' });
  const { text: all, pieces } = await sendTargets(host, 'All');
  t.is(all.split('TargetName=').length - 1, 300);
  t.true(pieces.length > 10);
  t.true(pieces.every((length) => length <= 1024));
});

test('a request in pieces', async (t) => {
  const host = await discover(serverWith(1));
  const data = text({ SendTargets: 'All' });
  host.send(pdu(0x44, { flags: 0x40, tag: 9, w20: 0xffffffff, data: data.subarray(0, 8) }));
  const [more] = await host.receive();
  t.deepEqual([more?.op, more?.flags, more?.data.length], [0x24, 0, 0]);
  host.send(pdu(0x44, { tag: 9, w20: more!.head.readUInt32BE(20), data: data.subarray(8) }));
  const [reply] = await host.receive();
  t.is(pairs(reply!.data).TargetName, 'iqn.2026-11.test:t0');
});

test('a discovery session takes no command', async (t) => {
  const host = await discover(serverWith(1));
  host.command(Buffer.alloc(16));
  host.taskManagement(5);
  const replies = await host.receive();
  t.deepEqual(
    replies.map((p) => [p.op, p.byte2]),
    [
      [0x3f, 4],
      [0x3f, 4],
    ],
  );
});
