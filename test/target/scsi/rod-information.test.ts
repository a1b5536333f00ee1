/** RECEIVE ROD TOKEN INFORMATION tells how far a command is and how it ended (SPC-4 6.26). */
import test from 'ava';
import { scsiLimits } from '../../../target/scsi/limits.ts';
import { Sense } from '../../../target/scsi/sense.ts';
import { cscd, list, segment, xcopy } from './copy-kit.ts';
import { carry, cdb, hex, pointer, sector, TestTask, verdict } from './kit.ts';
import {
  fill,
  informationCdb,
  populateList,
  RodWorld,
  rodCdb,
  same,
  writeList,
  zeroToken,
} from './rod-kit.ts';

const MiB = 1024 * 1024;

async function ready(): Promise<RodWorld> {
  const world = new RodWorld({ bytes: 16 * MiB, capabilities: { thin: false } });
  await world.attach(world.a, world.b);
  return world;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('the answer field by field, and every allocation length gives its beginning', async (t) => {
  const world = await ready();
  await world.send(
    0x10,
    populateList([
      [0, 8],
      [16, 2],
    ]),
    { listId: 0xdeadbeef },
  );
  const sizes = [...Array(100).keys(), 548, 549];
  for (const size of sizes.filter((each) => each > 0)) {
    const cut = await world.run(informationCdb(0xdeadbeef, size));
    t.is(verdict(cut), '00');
    t.is(cut.data.length, size);
    const head = hex(`00000222 10 01 0000 fffffffe 00 00 00 f1 000000000000000a 0000 000000000000
      00000202 0000 00800001 0000 01f8`);
    t.deepEqual(cut.data.subarray(0, 46), head.subarray(0, Math.min(size, 46)));
  }
  const all = await world.run(informationCdb(0xdeadbeef, 550));
  t.is(all.data.length, 550);
  const again = await world.run(informationCdb(0xdeadbeef, 550));
  t.is(again.data.length, 36, 'it was handed over');
});

test('an allocation length of zero lets go of the token that was made', async (t) => {
  const world = await ready();
  await world.send(0x10, populateList([[0, 8]]));
  t.is((await world.run(informationCdb(257, 0))).data.length, 0);
  t.like(await world.information(), { state: 1, count: 8, token: null });
});

test('what it says of a failure', async (t) => {
  const world = await ready();
  const token = await world.token([[0, 8]]);
  fill(world.device, 0, 8, 1);
  world.device.behaviour.fail = new (await import('../../../target/scsi/device.ts')).DeviceError(
    'mediumError',
    'bad',
  );
  t.is(await world.use(token, [[100, 8]]), '02 0a/0d01');
  const { data } = await world.run(informationCdb(257));
  t.deepEqual(
    data,
    hex(`00000034 11 02 0000 fffffffe 02 14 12 f1 0000000000000000 0000 000000000000
      70000a000000000a 00000000 0d01 00000000 0000 00000000`),
  );
});

test('list identifiers nobody used, of another nexus, of another LUN, of EXTENDED COPY', async (t) => {
  const world = await ready();
  const unknown = async (listId: number, from = world.a) => {
    const result = await world.run(informationCdb(listId), { from });
    t.is(pointer(result.sense), 'cdb 2');
    return verdict(result);
  };
  t.is(await unknown(1), '02 05/2400');
  await world.send(0x10, populateList([[0, 8]]), { listId: 1 });
  t.is(await unknown(1, world.b), '02 05/2400');
  t.is(await unknown(0x1_00_01), '02 05/2400');
  const copy = list([cscd(world.device.identity.naa)], [segment({ blocks: 1, from: 0, to: 9 })]);
  await world.run(xcopy(copy.length), { out: copy });
  t.is(await unknown(7), '02 05/2400');
});

test('a list identifier that is used again begins anew; the newest results stay', async (t) => {
  const world = await ready();
  await world.send(0x10, populateList([[0, 8]]), { listId: 1 });
  t.is(await world.use(zeroToken, [[0, 3]], {}, { listId: 1 }), '00');
  t.like(await world.information({ listId: 1 }), { action: 0x11, count: 3, token: null });
  for (let listId = 2; listId <= scsiLimits.copyRecords + 1; listId++) {
    await world.use(zeroToken, [[0, 1]], {}, { listId });
  }
  t.is(verdict(await world.run(informationCdb(1))), '02 05/2400');
  t.like(await world.information({ listId: 2 }), { count: 1 });
});

test('a command with an identifier at work is refused, and a refused one leaves what was there', async (t) => {
  const world = await ready();
  const token = await world.token([[0, 2048]]);
  world.device.behaviour.later = true;
  const running = world.send(0x11, writeList(token, [[4096, 2048]]), { listId: 5 });
  t.is(await world.use(token, [[8192, 8]], {}, { listId: 5 }), '02 05/0016');
  t.is(verdict(await world.send(0x10, populateList([[0, 8]]), { listId: 5 })), '02 05/0016');
  t.like(await world.information({ listId: 5 }), { action: 0x11, state: 0x11, delay: 100 });
  t.is(verdict(await running), '00');
  t.is(await world.use(Buffer.alloc(512), [[0, 1]], {}, { listId: 5 }), '02 05/230a');
  t.like(await world.information({ listId: 5 }), { state: 1, count: 2048 });
  const copy = list(
    [cscd(world.device.identity.naa)],
    [segment({ blocks: 2048, from: 0, to: 4096 })],
  );
  const copying = world.run(xcopy(copy.length), { out: copy });
  t.is(await world.use(token, [[8192, 8]], {}, { listId: 7 }), '02 05/0016', 'EXTENDED COPY has 7');
  await copying;
});

test('IMMED: answered at once, told of while it goes on, done in the background', async (t) => {
  const world = await ready();
  const data = fill(world.device, 0, 4096, 1);
  t.is(verdict(await world.send(0x10, populateList([[0, 4096]], { immed: true }))), '00');
  const { token, state } = await world.information();
  t.is(state, 1);
  world.device.behaviour.later = true;
  t.is(await world.use(token!, [[8192, 4096]], { immed: true, delete: true }), '00');
  const seen: number[] = [];
  for (;;) {
    const now = await world.information();
    t.is(now.action, 0x11);
    if (now.state !== 0x12) {
      t.like(now, { state: 1, count: 4096, completion: 0, delay: 0xffff_fffe });
      break;
    }
    t.like(now, { completion: 0, delay: 100, sense: '' });
    seen.push(now.count);
    await turn();
  }
  t.is(seen[0], 0);
  t.true(new Set(seen).size > 4, 'progress is seen');
  t.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  t.true(same(world.device, 8192, data));
  t.is(await world.use(token!, [[0, 1]]), '02 05/2309');
});

test('IMMED: what is wrong with the list is said at once; a later failure is told when asked', async (t) => {
  const world = await ready();
  const token = await world.token([[0, 4096]]);
  t.is(
    await world.use(
      token,
      [
        [0, 1],
        [0, 1],
      ],
      { immed: true },
    ),
    '02 05/2600',
  );
  t.is(await world.use(Buffer.from(token).fill(0, 8, 16), [[0, 1]], { immed: true }), '02 05/2304');
  world.device.behaviour.later = true;
  t.is(await world.use(token, [[8192, 4096]], { immed: true }), '00');
  for (let i = 0; i < 6; i++) await turn();
  await world.run('2a 00 00000000 00 0001 00', { from: world.b, out: Buffer.alloc(512, 1) });
  while ((await world.information()).state === 0x12) await turn();
  const ended = await world.information();
  t.like(ended, { state: 2, completion: 2, sense: '02 05/2308' });
  t.true(ended.count > 0 && ended.count < 4096);
});

test('so many commands go on in the background; more are told BUSY', async (t) => {
  const world = await ready();
  const token = await world.token([[0, 4096]]);
  world.device.behaviour.later = true;
  const { rodBackground } = scsiLimits;
  for (let listId = 1; listId <= rodBackground; listId++) {
    t.is(await world.use(token, [[8192, 4096]], { immed: true }, { listId }), '00');
  }
  t.is(await world.use(token, [[8192, 1]], { immed: true }, { listId: 50 }), '08');
  t.is(
    verdict(await world.send(0x10, populateList([[0, 1]], { immed: true }), { listId: 50 })),
    '08',
  );
  t.is(verdict(await world.run(informationCdb(50))), '02 05/2400');
  for (let listId = 1; listId <= rodBackground; listId++) {
    while ((await world.information({ listId })).state === 0x12) await turn();
    t.like(await world.information({ listId }), { state: 1, count: 4096 });
  }
  t.is(await world.use(token, [[8192, 1]], { immed: true }, { listId: 50 }), '00');
});

test('an aborted command stops, and says how much was written', async (t) => {
  const world = await ready();
  const data = fill(world.device, 0, 4096, 2);
  const token = await world.token([[0, 4096]]);
  world.device.calls.length = 0;
  world.device.behaviour.later = true;
  const out = writeList(token, [[8192, 4096]]);
  const task = new TestTask(cdb(rodCdb(0x11, 257, out.length)), world.a, out.length);
  world.device.behaviour.before = () => {
    if (world.device.calls.length === 5) task.aborted = true;
  };
  await carry(world.target.route(0, 0), task, out);
  t.is(world.device.calls.length, 6);
  t.like(await world.information(), { state: 0x60, completion: 0x40, count: 1536, sense: '' });
  t.true(same(world.device, 8192, data.subarray(0, 1536 * sector)));
  t.is(await world.use(token, [[8192 + 1536, 2560]], { offset: 1536 }), '00', 'the rest follows');
  t.true(same(world.device, 8192, data));
});

// [name, what ends work in the background]
const ends: readonly (readonly [string, (world: RodWorld) => void])[] = [
  ['LOGICAL UNIT RESET', (world) => void world.target.reset(0, 0)],
  ['a target reset', (world) => world.target.resetAll()],
  ['the end of the session', (world) => world.target.detach(world.a)],
  ['PREEMPT AND ABORT', (world) => world.target.abortTasks(world.a, 0, () => {})],
];

for (const [name, end] of ends) {
  test(`${name} ends what goes on in the background; nothing of it lands on later writes`, async (t) => {
    const world = await ready();
    fill(world.device, 0, 4096, 3);
    const token = await world.token([[0, 4096]]);
    world.device.behaviour.later = true;
    t.is(await world.use(token, [[8192, 4096]], { immed: true }), '00');
    while (!world.device.calls.at(-1)?.startsWith('write ')) await turn();
    // A write of it is inside the device.
    const calls = world.device.calls.length;
    t.is(world.device.inFlight, 1);
    end(world);
    await world.run('03 00 00 00 12', { from: world.b });
    const write = () =>
      world.run('2a 00 00002000 00 0800 00', {
        from: world.b,
        out: Buffer.alloc(2048 * sector, 7),
      });
    t.is(verdict(await write()), '08', 'BUSY while it may still land');
    const one = segment({ blocks: 1, from: 0, to: 8192 });
    const copy = list([cscd(world.device.identity.naa)], [one]);
    const copying = world.run(xcopy(copy.length), { from: world.b, out: copy });
    t.is(verdict(await copying), '08', 'nor does a copy come before it');
    await turn();
    await turn();
    t.is(world.device.calls.length, calls);
    t.is(verdict(await write()), '00');
    for (let i = 0; i < 20; i++) await turn();
    t.true(same(world.device, 8192, Buffer.alloc(2048 * sector, 7)));
    t.is(world.target.rodTokens.find(token, world.a.initiator) === Sense.tokenUnknown, false);
    if (name.startsWith('PREEMPT')) {
      t.like(await world.information(), { state: 0x60, completion: 0x40 });
      return;
    }
    if (name.startsWith('the end')) world.target.attach(world.a);
    t.is(verdict(await world.run('03 00 00 00 12')), '00');
    t.is(verdict(await world.run(informationCdb(257))), '02 05/2400', 'its results are gone');
  });
}

test('the end of one session leaves the background work of another', async (t) => {
  const world = await ready();
  const token = await world.token([[0, 4096]]);
  world.device.behaviour.later = true;
  t.is(await world.use(token, [[8192, 4096]], { immed: true }), '00');
  world.target.detach(world.b);
  while ((await world.information()).state === 0x12) await turn();
  t.like(await world.information(), { state: 1, count: 4096 });
});
