/**
 * Long reads are sent from the device's own memory: what was read is what arrives, whatever is written,
 * unmapped or resized before the peer takes it, and every piece is given back.
 */
import { randomBytes } from 'node:crypto';
import test from 'ava';
import { type HeldDevice, Host, MIB, rw10, world } from './kit.ts';

const BLOCKS = 512;
const BYTES = BLOCKS * 512;
const done = { complete() {} };

/** Counts what is lent; the device itself asserts that nothing is given back twice. */
function watch(device: HeldDevice): { readonly out: number; readonly times: number } {
  let [out, times] = [0, 0];
  const lend = device.lend.bind(device);
  const takeBack = device.takeBack.bind(device);
  device.lend = (offset, length, slices) => {
    if (!lend(offset, length, slices)) return false;
    out += slices.length;
    times++;
    return true;
  };
  device.takeBack = (slice) => {
    out--;
    takeBack(slice);
  };
  return {
    get out() {
      return out;
    },
    get times() {
      return times;
    },
  };
}

const changes: [what: string, change: (device: HeldDevice) => void][] = [
  ['written', (device) => device.write(4096, randomBytes(BYTES), false, done)],
  ['unmapped', (device) => device.unmap(0, 64 * MIB, done)],
  ['zeroed in part', (device) => device.writeZeroes(512, 1024, false, done)],
  ['cut off', (device) => device.resize(512)],
];

for (const digests of ['None', 'CRC32C']) {
  for (const [what, change] of changes) {
    test(`what was read arrives although it is ${what} meanwhile, digests: ${digests}`, async (t) => {
      const { server, device } = world();
      const data = randomBytes(BYTES);
      device.write(0, data, false, done);
      const lent = watch(device);
      const host = new Host(server);
      await host.enter({
        MaxRecvDataSegmentLength: '262144',
        HeaderDigest: digests,
        DataDigest: digests,
      });
      host.stream.slow = true;
      host.command(rw10(0x28, 0, BLOCKS), { read: true, length: BYTES });
      // Behind what waits already, at an odd place, and followed by a short one.
      host.command(rw10(0x28, 3, 129), { read: true, length: 129 * 512 });
      host.command(rw10(0x28, 0, 1), { read: true, length: 512 });
      await host.receive();
      t.is(lent.times, 2);
      t.true(lent.out > 0);
      change(device);
      const arrived: Buffer[] = [];
      while (host.stream.held > 0) {
        host.stream.take();
        arrived.push(...(await host.receive()).map((pdu) => pdu.data));
      }
      t.deepEqual(
        arrived.map((each) => each.length),
        [BYTES, 129 * 512, 512],
      );
      t.true(arrived[0]!.equals(data));
      t.true(arrived[1]!.equals(data.subarray(3 * 512, 132 * 512)));
      t.true(arrived[2]!.equals(data.subarray(0, 512)));
      t.is(lent.out, 0);
    });
  }
}

test('a connection that is closed gives everything back', async (t) => {
  const { server, device } = world();
  const lent = watch(device);
  const host = new Host(server);
  await host.enter({ MaxRecvDataSegmentLength: '262144' });
  host.stream.slow = true;
  for (let i = 0; i < 8; i++) host.command(rw10(0x28, 0, BLOCKS), { read: true, length: BYTES });
  await host.receive();
  t.true(lent.out > 0);
  host.handler.closed();
  while (host.stream.held > 0) host.stream.take();
  t.is(lent.out, 0);
});
