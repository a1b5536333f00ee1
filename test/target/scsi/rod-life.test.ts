/** How long tokens live, how many there are, and whose they are (SPC-4 5.17.6.5.2, 5.17.6.7). */
import test from 'ava';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import { LogicalUnit } from '../../../target/scsi/logical-unit.ts';
import { RodTokens } from '../../../target/scsi/rod-tokens.ts';
import { ScsiTarget } from '../../../target/scsi/scsi-target.ts';
import { carry, cdb, nexus, sector, TestTask, verdict, Watched } from './kit.ts';
import { fill, populateList, RodWorld, rodCdb, same, writeList } from './rod-kit.ts';

const MiB = 1024 * 1024;

async function ready(options: ConstructorParameters<typeof RodWorld>[0] = {}): Promise<RodWorld> {
  const world = new RodWorld(options);
  await world.attach(world.a, world.b);
  return world;
}

test('the layout of a token', async (t) => {
  const world = await ready();
  const token = await world.token([
    [0, 8],
    [100, 2],
  ]);
  const naa = Buffer.from(world.device.identity.naa).toString('hex');
  const hex = token.toString('hex');
  t.is(hex.slice(0, 16), '00800001000001f8');
  t.is(hex.slice(32, 96), `e40000000103001${'0'}${naa}00000000 00000200`.replace(' ', ''));
  t.is(hex.slice(96, 128), (10 * sector).toString(16).padStart(32, '0'));
  t.is(token.readUInt32BE(96), sector);
  t.is(token[101], 3, 'LBPPBE: 8 sectors a physical one');
  t.is(token.subarray(128, 132).toString('hex'), '53a80018');
  t.is(token.subarray(132, 153).toString(), 'iqn.2026-11.test:disk');
  const next = await world.token([
    [0, 8],
    [100, 2],
  ]);
  t.not(next.toString('hex', 8, 16), token.toString('hex', 8, 16));
  let equal = 0;
  for (let i = 256; i < 512; i++) if (next[i] === token[i]) equal++;
  t.true(equal < 32, 'the rest is chance');
});

test('a bit that differs anywhere is told as such, and opens nothing', async (t) => {
  const world = await ready();
  const token = await world.token([[0, 8]]);
  world.device.calls.length = 0;
  for (let at = 0; at < 512; at++) {
    const bent = Buffer.from(token);
    bent[at] = bent[at]! ^ (1 << (at % 8));
    const code = at < 4 ? '2301' : at < 6 ? '2305' : at < 8 ? '230a' : at < 16 ? '2304' : '2305';
    t.is(await world.use(bent, [[100, 8]]), `02 05/${code}`, `byte ${at}`);
  }
  t.deepEqual(world.device.calls, []);
  t.is(await world.use(token, [[100, 8]]), '00');
});

test('tokens that never were, and the zero token with a wrong length', async (t) => {
  const world = await ready();
  t.is(await world.use(Buffer.alloc(512), [[0, 1]]), '02 05/230a');
  const header = Buffer.alloc(512);
  header.writeUInt16BE(0x01f8, 6);
  for (const [type, code] of [
    [0, '2301'],
    [0x0001_0000, '2301'],
    [0x0080_0000, '2301'],
    [0x0080_0001, '2304'],
    [0x0080_0002, '2301'],
    [0x0080_ffff, '2301'],
    [0xffff_0001, ''],
    [0xffff_0002, '2301'],
  ] as const) {
    header.writeUInt32BE(type, 0);
    t.is(await world.use(header, [[0, 1]]), code === '' ? '00' : `02 05/${code}`);
  }
  header.writeUInt32BE(0xffff_0001, 0);
  header.writeUInt16BE(0x01f7, 6);
  t.is(await world.use(header, [[0, 1]]), '02 05/230a');
});

test('a token that is not used for its time expires; using it starts the time again', async (t) => {
  const world = await ready();
  const short = await world.token([[0, 8]]);
  const long = await world.token([[0, 8]], { timeout: 100 });
  for (let i = 0; i < 3; i++) {
    world.clock.advance(29_000);
    t.is(await world.use(short, [[100, 8]]), '00');
  }
  t.is(await world.use(long, [[100, 8]]), '00');
  world.clock.advance(30_000);
  t.is(await world.use(short, [[100, 8]]), '02 05/2307');
  t.is(await world.use(long, [[100, 8]]), '00');
  world.clock.advance(99_999);
  t.is(await world.use(long, [[100, 8]]), '00');
  world.clock.advance(100_000);
  t.is(await world.use(long, [[100, 8]]), '02 05/2307');
});

test('a token does not expire while it is used', async (t) => {
  const world = await ready({ capabilities: { thin: false } });
  const data = fill(world.device, 0, 2048, 1);
  const token = await world.token([[0, 2048]], { timeout: 1 });
  world.device.behaviour.before = () => {
    world.clock.advance(600);
    // Looked at by others meanwhile.
    void world.use(Buffer.from(token).fill(1, 8, 16), [[0, 1]], {}, { from: world.b, listId: 9 });
  };
  t.is(await world.use(token, [[8192, 2048]]), '00');
  t.true((await world.information()).count > 512);
  t.true(same(world.device, 8192, data.subarray(0, 512 * sector)));
});

test('an initiator has so many tokens; the one not used for longest goes first', async (t) => {
  const world = await ready();
  const first = await world.token([[0, 8]]);
  const second = await world.token([[0, 8]]);
  const ofB = await world.token([[0, 8]], {}, { from: world.b });
  for (let i = 2; i < scsiLimits.rodTokensPerInitiator; i++) await world.token([[8, 8]]);
  t.is(await world.use(first, [[100, 8]]), '00');
  await world.token([[8, 8]]);
  t.is(await world.use(second, [[100, 8]]), '02 05/2308');
  t.is(await world.use(first, [[100, 8]]), '00');
  t.is(await world.use(ofB, [[100, 8]], {}, { from: world.b }), '00', "another's are its own");
  t.is(world.target.rodTokens.size, scsiLimits.rodTokensPerInitiator + 1);
});

test('there are so many tokens in all, living and remembered', async (t) => {
  const { rodTokens, rodTokensPerInitiator, rodEnded } = scsiLimits;
  const world = await ready();
  const unit = world.target.route(0, 0);
  t.true(unit instanceof LogicalUnit);
  const store = world.target.rodTokens;
  const made = [];
  for (let i = 0; i < rodTokens + rodEnded + 10; i++) {
    const initiator = `iqn.2026-11.test:${Math.floor(i / rodTokensPerInitiator)}`;
    const extents = [{ from: 0, bytes: sector }];
    made.push(store.make({ initiator, unit: unit as LogicalUnit, extents, timeoutMs: 1000 })!);
    t.true(store.size <= rodTokens);
  }
  const told = made.map((each) => {
    const found = store.find(each.bytes, each.initiator);
    return 'code' in found ? found.code : 0;
  });
  t.is(told.filter((code) => code === 0).length, rodTokens);
  t.is(told.filter((code) => code === 0x2308).length, rodEnded);
  t.is(told.filter((code) => code === 0x2304).length, 10, 'the oldest are forgotten');
});

test('another initiator is told what it would be told of anything', async (t) => {
  const world = await ready();
  const token = await world.token([[0, 8]]);
  t.is(await world.use(token, [[100, 8]], {}, { from: world.b }), '02 05/2304');
  t.is(await world.use(token, [[100, 8]], { delete: true }, { from: world.b }), '02 05/2304');
  t.is(await world.use(token, [[100, 8]], { delete: true }), '00');
  t.is(await world.use(token, [[100, 8]], {}, { from: world.b }), '02 05/2304');
  const again = nexus('a', { isid: '80000000000b' });
  await world.attach(again);
  const mine = await world.token([[0, 8]]);
  t.is(await world.use(mine, [[100, 8]], {}, { from: again }), '00', 'its other session may');
});

test('a token lives no longer than its LUN', async (t) => {
  const world = await ready();
  const other = new Watched({ bytes: MiB });
  world.target.add(1, other);
  await world.run('03 00 00 00 12', { lun: 1 });
  await world.run('03 00 00 00 12');
  const token = await world.token([[0, 8]], {}, { lun: 1 });
  t.is(await world.use(token, [[100, 8]]), '00');
  world.target.remove(1);
  await world.run('03 00 00 00 12');
  t.is(await world.use(token, [[100, 8]]), '02 05/2306');
  world.target.add(1, other);
  await world.run('03 00 00 00 12');
  t.is(await world.use(token, [[100, 8]]), '02 05/2306');
});

test('targets that share their tokens copy from one to the other, others do not', async (t) => {
  const rodTokens = new RodTokens();
  const all: ScsiTarget[] = [];
  const make = (name: string, tokens?: RodTokens) => {
    const device = new Watched({ bytes: MiB });
    const target = new ScsiTarget({
      name: `iqn.2026-11.test:${name}`,
      relativePort: 1,
      portalGroup: 1,
      ...(tokens === undefined ? {} : { rodTokens: tokens }),
      copyTargets: (_nexus, naa) => {
        const unit = all.map((each) => each.unitOf(naa)).find((each) => each !== null);
        return unit ? { unit, readOnly: false } : null;
      },
    });
    target.add(0, device);
    all.push(target);
    return { target, device };
  };
  const one = make('one', rodTokens);
  const two = make('two', rodTokens);
  const apart = make('apart');
  const world = new RodWorld({ target: { rodTokens } });
  await world.attach(world.a);
  const send = async (target: ScsiTarget, command: string, out: Uint8Array) => {
    const from = nexus('a', { target: target.name });
    target.attach(from);
    const unit = target.route(0, 0);
    await carry(unit, new TestTask(cdb('03 00 00 00 12'), from, 18), null);
    const result = await carry(unit, new TestTask(cdb(command), from, out.length), out);
    target.detach(from);
    return verdict(result);
  };
  const data = fill(one.device, 0, 8, 5);
  const unit = one.target.unitOf(one.device.identity.naa)!;
  const token = rodTokens.make({
    initiator: world.a.initiator,
    unit,
    extents: [{ from: 0, bytes: 8 * sector }],
    timeoutMs: 60_000,
  })!;
  const list = writeList(token.bytes, [[50, 8]]);
  const command = rodCdb(0x11, 1, list.length);
  t.is(await send(two.target, command, list), '00');
  t.true(same(two.device, 50, data));
  t.is(await send(apart.target, command, list), '02 05/2304');
});

test('a LUN that is taken away while a command for it is on its way', async (t) => {
  for (const immed of [false, true]) {
    const world = await ready();
    const unit = world.target.route(0, 0);
    const out = populateList([[0, 8]], { immed });
    const task = new TestTask(cdb(rodCdb(0x10, 1, out.length)), world.a, out.length);
    t.true(unit.start(task));
    world.target.remove(0);
    unit.execute(task, out);
    await task.done;
    t.is(verdict(task), immed ? '00' : '02 05/2500');
    t.is(world.target.rodTokens.size, 0);
  }
});

for (const immed of [false, true]) {
  test(`nothing is written to a LUN that was taken away${immed ? ', IMMED' : ''}`, async (t) => {
    const world = await ready({ capabilities: { thin: false } });
    const token = await world.token([[0, 2048]]);
    const unit = world.target.route(0, 0);
    const out = writeList(token, [[8192, 2048]], { immed });
    const send = () => new TestTask(cdb(rodCdb(0x11, 1, out.length)), world.a, out.length);
    // One in the middle of its work, one whose list comes after.
    world.device.behaviour.later = true;
    const [first, second] = [send(), send()];
    second.cdb[9] = 2;
    t.true(unit.start(first) && unit.start(second));
    world.device.calls.length = 0;
    unit.execute(first, out);
    while (world.device.calls.length < 3) await new Promise((resolve) => setImmediate(resolve));
    world.target.remove(0);
    unit.execute(second, out);
    await Promise.all([first.done, second.done]);
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    t.is(world.device.calls.length, 3);
    if (!immed) t.is(verdict(first), '02 05/2500');
    t.is(verdict(second), '02 05/2306', 'its token went with it');
  });
}
