/** Commands run in CmdSN order inside the window; what is outside of it is ignored silently. */
import test from 'ava';
import fc from 'fast-check';
import { Admission, CommandWindow, serialBefore } from '../../../target/session/window.ts';
import { Host, rw10, world } from './kit.ts';

test('serial numbers compare round the corner', (t) => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.integer({ min: 1, max: 0x7fffffff }), (a, step) => {
      const b = (a + step) >>> 0;
      return serialBefore(a, b) && !serialBefore(b, a) && !serialBefore(a, a);
    }),
  );
  t.pass();
});

test('MaxCmdSN never goes back, and never promises more than the window', (t) => {
  const step = fc.constantFrom('send', 'answer', 'shrink', 'grow');
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.array(step), (start, steps) => {
      const window = new CommandWindow(start, 16);
      let last = window.maxCmdSn;
      for (const what of steps) {
        if (what === 'send' && !window.closed && window.admit(window.expCmdSn) === Admission.take) {
          window.outstanding++;
        }
        if (what === 'answer' && window.outstanding > 0) window.outstanding--;
        if (what === 'shrink') window.resize(4);
        if (what === 'grow') window.resize(16);
        const max = window.maxCmdSn;
        if (serialBefore(max, last)) return false;
        if (window.outstanding > 16) return false;
        last = max;
      }
      return true;
    }),
  );
  t.pass();
});

for (const [name, offset] of [
  ['before the window', -1],
  ['far before the window', -1000],
  ['behind the window', 128],
] as const) {
  test(`a command ${name} is ignored`, async (t) => {
    const { server } = world();
    const host = new Host(server);
    await host.enter();
    host.command(Buffer.alloc(16), { w24: (host.cmdSn + offset) >>> 0 });
    t.deepEqual(await host.receive(), []);
    host.command(Buffer.alloc(16));
    t.is((await host.receive())[0]?.op, 0x21);
  });
}

test('a gap on the only connection cannot be filled: the connection ends', async (t) => {
  const { server } = world();
  const host = new Host(server);
  await host.enter();
  host.command(Buffer.alloc(16), { w24: host.cmdSn + 1 });
  t.is(host.stream.ended, 'destroy');
});

test('the window shuts while commands are inside and opens as they are answered', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter();
  device.holdReads = true;
  for (let i = 0; i < 129; i++) host.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  t.is(device.waiting, 128, 'the 129th is outside of the window');
  device.release();
  const [first] = await host.receive();
  const exp = first!.head.readUInt32BE(28);
  t.is(first!.head.readUInt32BE(32), exp, 'room for one');
  device.releaseAll();
  t.is((await host.receive()).length, 127);
});

test('immediate commands stand outside of the window, within their own limit', async (t) => {
  const { server, device } = world({ limits: { immediateCommands: 2 } });
  const host = new Host(server);
  await host.enter();
  device.holdReads = true;
  for (let i = 0; i < 3; i++) {
    host.command(rw10(0x28, 0, 1), { immediate: true, read: true, length: 512 });
  }
  const [reject] = await host.receive();
  t.deepEqual([reject?.op, reject?.byte2], [0x3f, 6]);
  t.is(device.waiting, 2);
  t.is(reject?.head.readUInt32BE(28), host.cmdSn, 'ExpCmdSN has not moved');
});

test('a tag that is in use is refused', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter();
  device.holdReads = true;
  const tag = host.command(rw10(0x28, 0, 1), { read: true, length: 512 });
  host.command(rw10(0x28, 0, 1), { read: true, length: 512, tag });
  const [reject] = await host.receive();
  t.deepEqual([reject?.op, reject?.byte2], [0x3f, 7]);
});
