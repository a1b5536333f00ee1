/** The RAM device holds what a plain array of bytes would, whatever is written, unmapped or cleared. */
import test from 'ava';
import fc from 'fast-check';
import { DeviceError, RamDevice } from '../../../target/index.ts';

const SECTORS = 400;

test('against a byte array', (t) => {
  const step = fc.record({
    what: fc.constantFrom('write', 'unmap', 'zero', 'compare'),
    at: fc.nat(SECTORS - 1),
    count: fc.integer({ min: 1, max: 200 }),
    fill: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const device = new RamDevice({ bytes: SECTORS * 512 });
      const model = Buffer.alloc(SECTORS * 512);
      for (const { what, at, count, fill } of steps) {
        const offset = at * 512;
        const length = Math.min(count, SECTORS - at) * 512;
        const data = Buffer.alloc(length, fill);
        let error: DeviceError | null = null;
        const done = {
          complete(e: DeviceError | null) {
            error = e;
          },
        };
        if (what === 'write') device.write(offset, data, false, done);
        else if (what === 'unmap') device.unmap(offset, length, done);
        else if (what === 'zero') device.writeZeroes(offset, length, true, done);
        else device.compareAndWrite(offset, model.subarray(offset, offset + length), data, done);
        if (error !== null) return false;
        model.fill(what === 'write' || what === 'compare' ? fill : 0, offset, offset + length);
        const now = Buffer.alloc(SECTORS * 512);
        device.readNow(0, now.length, now, 0);
        if (!now.equals(model)) return false;
        const { length: told } = device.allocation(offset, length);
        if (told < 512 || told > length) return false;
      }
      return true;
    }),
  );
  t.pass();
});

test('a comparison that fails says where and writes nothing', (t) => {
  const device = new RamDevice({ bytes: 4096 });
  let error: DeviceError | null = null;
  const compare = Buffer.alloc(512);
  compare[77] = 1;
  device.compareAndWrite(0, compare, Buffer.alloc(512, 9), {
    complete(e) {
      error = e;
    },
  });
  t.true((error as DeviceError | null) instanceof DeviceError);
  t.like(error, { code: 'miscompare', miscompareOffset: 77 });
  const now = Buffer.alloc(512, 5);
  device.readNow(0, 512, now, 0);
  t.true(now.equals(Buffer.alloc(512)));
});
