/** Over real TCP: large writes and reads are what they were, and a slow reader gets everything. */
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import test from 'ava';
import { IscsiServer, RamDevice } from '../../../target/index.ts';
import { INITIATOR, MIB, NAME, pdu, rw10, text } from '../session/kit.ts';

async function serve(): Promise<{ server: IscsiServer; port: number }> {
  const server = new IscsiServer({ limits: { logoutRequestMs: 1 } });
  const target = server.addTarget({ name: NAME, access: () => 'read-write' });
  target.scsi.add(0, new RamDevice({ bytes: 64 * MIB }));
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return { server, port };
}

interface Wire {
  socket: net.Socket;
  read(length: number): Promise<Buffer>;
}

async function connect(port: number): Promise<Wire> {
  const socket = net.connect({ host: '127.0.0.1', port });
  let have = Buffer.alloc(0);
  let wake = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    have = Buffer.concat([have, chunk]);
    wake();
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  const read = async (length: number): Promise<Buffer> => {
    while (have.length < length) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const bytes = have.subarray(0, length);
    have = have.subarray(length);
    return bytes;
  };
  return { socket, read };
}

async function next(read: (n: number) => Promise<Buffer>): Promise<{ head: Buffer; data: Buffer }> {
  const head = await read(48);
  const length = head.readUIntBE(5, 3);
  const padded = length + (-length & 3);
  const data = padded === 0 ? Buffer.alloc(0) : await read(padded);
  return { head, data: data.subarray(0, length) };
}

test('writes and reads of a mebibyte, the reader stalling in between', async (t) => {
  t.timeout(30_000);
  const { server, port } = await serve();
  const { socket, read } = await connect(port);
  const keys = {
    InitiatorName: INITIATOR,
    TargetName: NAME,
    MaxRecvDataSegmentLength: '262144',
    MaxBurstLength: '1048576',
  };
  socket.write(pdu(0x43, { flags: 0x87, w24: 1, data: text(keys) }));
  t.is((await next(read)).head.readUInt16BE(36), 0);
  socket.write(pdu(0x01, { flags: 0x81, tag: 1, w24: 1 }));
  await next(read);

  const data = randomBytes(MIB);
  const command = { flags: 0xa1, tag: 2, w20: MIB, w24: 2, cdb: rw10(0x2a, 0, 2048) };
  socket.write(pdu(0x01, command));
  const { head: r2t } = await next(read);
  t.is(r2t.readUInt32BE(44), MIB);
  for (let at = 0; at < MIB; at += 262_144) {
    const flags = at + 262_144 === MIB ? 0x80 : 0;
    const w20 = r2t.readUInt32BE(20);
    const piece = data.subarray(at, at + 262_144);
    socket.write(pdu(0x05, { flags, tag: 2, w20, w36: at / 262_144, w40: at, data: piece }));
  }
  t.is((await next(read)).head[3], 0);

  socket.pause();
  for (let i = 0; i < 32; i++) {
    const fields = { flags: 0xc1, tag: 10 + i, w20: MIB, w24: 3 + i, cdb: rw10(0x28, 0, 2048) };
    socket.write(pdu(0x01, fields));
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.resume();
  // Tasks may take turns on the wire; each task's own data is in order.
  const parts = new Map<number, Buffer[]>();
  for (let answered = 0; answered < 32; ) {
    const { head, data: part } = await next(read);
    t.is(head[0], 0x25);
    const tag = head.readUInt32BE(16);
    const own = parts.get(tag) ?? [];
    t.is(
      head.readUInt32BE(40),
      own.reduce((sum, piece) => sum + piece.length, 0),
    );
    parts.set(tag, [...own, part]);
    if ((head[1]! & 1) !== 0) answered++;
  }
  t.is(parts.size, 32);
  for (const own of parts.values()) t.true(Buffer.concat(own).equals(data));
  socket.destroy();
  await server.close();
  t.deepEqual(server.sessions(), []);
});

test('a port that is taken is a clear error, and other portals go on', async (t) => {
  const { server, port } = await serve();
  await t.throwsAsync(server.listen({ host: '127.0.0.1', port }), { code: 'EADDRINUSE' });
  t.is(server.portals().length, 1);
  await server.close();
});
