/** A wrong header digest ends the connection; a wrong data digest is rejected and writes nothing. */
import test from 'ava';
import { Host, pdu, rw10, senseOf, world } from './kit.ts';

const BOTH = { HeaderDigest: 'CRC32C', DataDigest: 'CRC32C' };

test('a wrong header digest', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter(BOTH);
  const fields = { flags: 0xa1, tag: 5, w20: 512, w24: host.cmdSn, cdb: rw10(0x2a, 0, 1) };
  const bytes = host.digested(pdu(0x01, { ...fields, data: Buffer.alloc(512, 1) }));
  bytes[37] = bytes[37]! ^ 1;
  host.send(bytes);
  t.is(host.stream.ended, 'destroy');
  t.deepEqual(device.log, []);
  t.deepEqual(server.sessions(), []);
});

for (const step of [10_000, 100]) {
  test(`a wrong data digest of immediate data, in chunks of ${step}`, async (t) => {
    const { server, device } = world();
    const host = new Host(server);
    await host.enter(BOTH);
    const fields = { flags: 0xa1, tag: 5, w20: 512, w24: host.cmdSn++, cdb: rw10(0x2a, 0, 1) };
    const bytes = host.digested(pdu(0x01, { ...fields, data: Buffer.alloc(512, 1) }));
    bytes[100] = bytes[100]! ^ 1;
    host.send(bytes, step);
    const [reject, response] = await host.receive();
    t.is(reject?.op, 0x3f);
    t.is(reject?.byte2, 2);
    t.is(senseOf(response!), 'b/4705');
    t.deepEqual(device.log, []);
    host.command(rw10(0x2a, 0, 1), { write: true, length: 512, data: Buffer.alloc(512, 2) });
    t.is((await host.receive())[0]?.byte3, 0);
  });

  test(`a wrong data digest of a Data-Out, in chunks of ${step}`, async (t) => {
    const { server, device } = world();
    const host = new Host(server);
    await host.enter(BOTH);
    const tag = host.command(rw10(0x2a, 0, 16), { write: true, length: 8192 });
    const [r2t] = await host.receive();
    const fields = { tag, w20: r2t!.head.readUInt32BE(20), data: Buffer.alloc(8192, 1) };
    const bytes = host.digested(pdu(0x05, fields));
    bytes[4000] = bytes[4000]! ^ 0x80;
    host.send(bytes, step);
    const [reject, response] = await host.receive();
    t.is(reject?.byte2, 2);
    t.is(senseOf(response!), 'b/4705');
    t.deepEqual(device.log, []);
  });
}

test('a wrong data digest of a ping: rejected, not echoed', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter(BOTH);
  const bytes = host.digested(pdu(0x40, { tag: 5, w20: 0xffffffff, data: Buffer.from('abcd') }));
  bytes[52] = 0;
  host.send(bytes);
  t.deepEqual(
    (await host.receive()).map((p) => [p.op, p.byte2]),
    [[0x3f, 2]],
  );
});
