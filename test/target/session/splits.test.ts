/** However TCP cuts the stream, the target sees the same PDUs: cut at every byte, with digests. */
import test from 'ava';
import { Host, type Pdu, pdu, rw10, world } from './kit.ts';

async function run(digests: string, step: number | null, cut: number): Promise<string> {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter({ HeaderDigest: digests, DataDigest: digests });
  const pdus = [
    pdu(0x40, { tag: 1, w20: 0xffffffff, data: Buffer.from('hello') }),
    pdu(0x01, {
      flags: 0xa1,
      tag: 2,
      w20: 512,
      w24: host.cmdSn,
      cdb: rw10(0x2a, 0, 1),
      data: Buffer.alloc(512, 0xab),
    }),
    pdu(0x01, { flags: 0xc1, tag: 3, w20: 512, w24: host.cmdSn + 1, cdb: rw10(0x28, 0, 1) }),
    pdu(0x44, { tag: 4, w20: 0xffffffff, data: Buffer.from('SendTargets=\0') }),
  ].map((bytes) => host.digested(bytes));
  const all = Buffer.concat(pdus);
  if (step !== null) host.send(all, step);
  else {
    host.send(all.subarray(0, cut));
    host.send(all.subarray(cut));
  }
  const replies: Pdu[] = await host.receive();
  return JSON.stringify([
    replies.map((p) => [p.head.toString('hex'), p.data.toString('hex')]),
    device.log,
    host.stream.ended,
  ]);
}

for (const digests of ['None', 'CRC32C']) {
  test(`digests ${digests}`, async (t) => {
    const whole = await run(digests, 1_000_000, 0);
    t.true(
      whole.includes(
        'TargetName='
          .split('')
          .map((c) => c.charCodeAt(0).toString(16))
          .join(''),
      ),
    );
    for (const step of [1, 2, 3, 7, 48, 49, 52]) t.is(await run(digests, step, 0), whole);
    for (let cut = 1; cut < 800; cut++) t.is(await run(digests, null, cut), whole, `cut at ${cut}`);
  });
}
