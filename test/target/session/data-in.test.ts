/**
 * A read arrives whole and in order whatever the segment and burst lengths, from the cache or from a
 * slow device, and a peer that does not read costs a bounded amount, all of which comes back.
 */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { HeldDevice, Host, MIB, type Pdu, rw10, senseOf, world } from './kit.ts';

function join(t: { is: (a: unknown, b: unknown) => unknown }, all: Pdu[], burst: number): Buffer {
  let offset = 0;
  for (const [sn, p] of all.entries()) {
    t.is(p.op, 0x25);
    t.is(p.head.readUInt32BE(36), sn);
    t.is(p.head.readUInt32BE(40), offset);
    offset += p.data.length;
    const last = sn === all.length - 1;
    t.is((p.flags & 0x80) !== 0, last || offset % burst === 0);
    t.is((p.flags & 0x01) !== 0, last);
  }
  return Buffer.concat(all.map((p) => p.data));
}

const lengths: [segment: number, burst: number, blocks: number, length: number][] = [
  [8192, 262144, 1, 512],
  [8192, 16384, 128, 65_536],
  [512, 1024, 16, 8192],
  [262144, 1048576, 2048, 1048576],
  [1000, 4000, 16, 8192],
  [8192, 262144, 16, 5000],
  [262144, 262144, 8192, 4194304],
];

for (const [segment, burst, blocks, length] of lengths) {
  for (const slow of [false, true]) {
    for (const digests of ['None', 'CRC32C']) {
      test(`${length} bytes in segments of ${segment}, ${slow ? 'slow' : 'cached'}, ${digests}`, async (t) => {
        const { server, device } = world();
        const data = randomBytes(blocks * 512);
        device.write(0, data, false, { complete() {} });
        const host = new Host(server);
        await host.enter({
          MaxRecvDataSegmentLength: String(segment),
          MaxBurstLength: String(burst),
          HeaderDigest: digests,
          DataDigest: digests,
        });
        device.holdReads = slow;
        host.command(rw10(0x28, 0, blocks), { read: true, length });
        device.releaseAll();
        const all = await host.receive();
        t.true(join(t, all, burst).equals(data.subarray(0, length)));
        const residual = blocks * 512 - length;
        const last = all.at(-1)!;
        t.is(last.flags & 0x06, residual === 0 ? 0 : 0x04);
        t.is(last.head.readUInt32BE(44), residual);
      });
    }
  }
}

test('a device error in the middle ends the read with sense', async (t) => {
  const { DeviceError } = await import('../../../target/index.ts');
  class Broken extends HeldDevice {
    override readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
      return offset < 262_144 && super.readNow(offset, length, into, at);
    }
    override lend = () => false;
    override read(
      _offset: number,
      _length: number,
      _into: Uint8Array,
      _at: number,
      done: Parameters<HeldDevice['read']>[4],
    ): void {
      done.complete(new DeviceError('mediumError', 'a test says so'));
    }
  }
  const { server } = world({}, new Broken({ bytes: MIB }));
  const host = new Host(server);
  await host.enter({ MaxRecvDataSegmentLength: '262144' });
  host.command(rw10(0x28, 0, 1024), { read: true, length: 524_288 });
  const [data, response] = await host.receive();
  t.is(data?.data.length, 262_144);
  t.is(data!.flags & 0x01, 0, 'no status with it');
  t.is(senseOf(response!), '3/1100');
  t.is(response!.flags & 0x06, 0x02);
  t.is(response!.head.readUInt32BE(44), 262_144, 'what was not delivered');
  t.is(response!.head.readUInt32BE(36), 1, 'ExpDataSN');
});

for (const cached of [true, false]) {
  test(`a peer that does not read, ${cached ? 'cached' : 'slow'} device`, async (t) => {
    const { server, device } = world();
    const host = new Host(server);
    await host.enter({ MaxRecvDataSegmentLength: '262144' });
    device.holdReads = !cached;
    host.stream.slow = true;
    for (let i = 0; i < 64; i++) host.command(rw10(0x28, 0, 2048), { read: true, length: MIB });
    let most = 0;
    for (let i = 0; i < 2000 && device.waiting > 0; i++) {
      device.release();
      most = Math.max(most, host.stream.held);
    }
    await host.receive();
    most = Math.max(most, host.stream.held);
    t.true(most <= 8 * MIB, `held ${most}`);
    let bytes = 0;
    let answered = 0;
    for (let idle = 0; idle < 3; idle++) {
      while (host.stream.held > 0 || device.waiting > 0) {
        device.release();
        host.stream.take();
        for (const p of await host.receive()) {
          bytes += p.data.length;
          if ((p.flags & 0x01) !== 0) answered++;
          idle = 0;
        }
      }
    }
    t.is(answered, 64);
    t.is(bytes, 64 * MIB);
    t.is(host.stream.held, 0);
  });
}

test('a peer that pings and never reads is not listened to any more', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter();
  host.stream.slow = true;
  const { pdu } = await import('./kit.ts');
  const ping = pdu(0x40, { tag: 1, w20: 0xffffffff, data: Buffer.alloc(8192) });
  let sent = 0;
  while (!host.stream.paused && sent < 4000) {
    host.send(ping);
    sent++;
  }
  t.true(host.stream.paused);
  t.true(host.stream.held <= 9 * MIB, String(host.stream.held));
  while (host.stream.held > 0) {
    host.stream.take();
    await host.receive();
  }
  t.false(host.stream.paused);
});
