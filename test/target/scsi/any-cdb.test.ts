/**
 * Whatever a CDB and its data hold, a command does not throw, ends exactly once, never answers more than its
 * allocation length and never reaches outside the medium (kit.ts's device asserts the last two).
 */

import test from 'ava';
import fc from 'fast-check';
import { commands } from '../../../target/scsi/dispatch.ts';
import { carry, TestTask, World } from './kit.ts';

/** CDBs that get past the opcode: a known row's bytes, each byte kept, small or wild. */
const shaped = fc
  .tuple(
    fc.constantFrom(...commands),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.uint8Array({ minLength: 16, maxLength: 16, max: 3 }),
    fc.boolean(),
  )
  .map(([row, wild, small, tame]) => {
    const out = new Uint8Array(16);
    for (let i = 0; i < row.usage.length; i++) {
      const byte = (tame ? small[i] : wild[i]) ?? 0;
      out[i] = byte & (row.usage[i] ?? 0);
    }
    out[0] = row.opcode;
    if (row.action !== null) out[1] = ((out[1] ?? 0) & 0xe0) | row.action;
    return out;
  });
const anything = fc.uint8Array({ minLength: 16, maxLength: 16 });

/** Where each opcode's allocation length stands: [byte, bytes]. */
const allocation: Record<number, readonly [number, number]> = {
  3: [4, 1],
  18: [3, 2],
  26: [4, 1],
  90: [7, 2],
  77: [7, 2],
  94: [7, 2],
  55: [7, 2],
  183: [6, 4],
  160: [6, 4],
  163: [6, 4],
  158: [10, 4],
  132: [10, 4],
};

function allowed(cdb: Uint8Array): number {
  const field = allocation[cdb[0] ?? 0];
  if (!field) return cdb[0] === 0x25 ? 8 : 0;
  let value = 0;
  for (let i = 0; i < field[1]; i++) value = value * 256 + (cdb[field[0] + i] ?? 0);
  return value;
}

for (const later of [false, true]) {
  test(`any bytes, with a device that completes ${later ? 'later' : 'at once'}`, async (t) => {
    let good = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.oneof({ weight: 4, arbitrary: shaped }, { weight: 1, arbitrary: anything }),
        fc.uint8Array({ maxLength: 2100 }),
        fc.option(fc.nat(5000), { nil: null }),
        fc.record({ thin: fc.boolean(), removable: fc.boolean(), writeBack: fc.boolean() }),
        async (cdb, out, expected, capabilities) => {
          const world = new World({
            bytes: 1024 * 1024,
            capabilities: { ...capabilities, atomicBytes: 4096 },
          });
          await world.attach(world.a);
          world.device.behaviour.later = later;
          const unit = world.target.route(0, 0);
          const task = new TestTask(cdb, world.a, expected ?? out.length);
          const result = await carry(unit, task, out);
          if (result.status === 0) good++;
          if (result.transfer !== 2) t.true(result.data.length <= allowed(cdb));
          t.true(result.status === 0 || result.data.length === 0);
          t.is(result.status === 2, result.sense !== null);
          t.is(world.device.inFlight, 0);
        },
      ),
      { numRuns: 1500 },
    );
    // The property would hold of a unit that refused everything.
    t.true(good > 150, `${good} commands ended well`);
  });
}

test('an absent and a well-known unit take any bytes too', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      anything,
      fc.constantFrom(0xc1010000, 0x00050000, 0xffff0000),
      async (cdb, lun) => {
        const world = new World();
        world.target.attach(world.a);
        const task = new TestTask(cdb, world.a, 0);
        const result = await carry(world.target.route(lun, 0), task, null);
        t.true(result.status === 0 || result.status === 2);
      },
    ),
    { numRuns: 500 },
  );
});
