/**
 * A token opens nothing that its holder may not use by itself: masking, reservations, write protection,
 * access states and sanitize of source and destination hold at use, and before every piece.
 */
import test from 'ava';
import { AluaState } from '../../../target/scsi/alua.ts';
import type { LogicalUnit } from '../../../target/scsi/logical-unit.ts';
import { nexus, sector, verdict, Watched } from './kit.ts';
import { fill, populateList, type Range, RodWorld, same, zeroToken } from './rod-kit.ts';

const MiB = 1024 * 1024;

interface Two {
  readonly world: RodWorld;
  readonly other: Watched;
  readonly data: Uint8Array;
  /** Of LUN 1. */
  readonly token: Uint8Array;
  /** LUN 1 is masked from now on. */
  mask(): void;
}

/** LUN 0 is written to, LUN 1 has the data. */
async function two(): Promise<Two> {
  let masked = false;
  const world: RodWorld = new RodWorld({
    bytes: 8 * MiB,
    capabilities: { thin: false, sanitize: true },
    target: {
      copyTargets: (_nexus, naa) => {
        const unit = masked ? null : world.target.unitOf(naa);
        return unit === null ? null : { unit, readOnly: true };
      },
    },
  });
  const other = new Watched({
    bytes: 8 * MiB,
    capabilities: { thin: false, removable: true, sanitize: true },
  });
  world.target.add(1, other);
  await world.attach(world.a, world.b);
  for (const from of [world.a, world.b]) await world.run('03 00 00 00 12', { lun: 1, from });
  const data = fill(other, 0, 2048, 6);
  const token = await world.token([[0, 2048]], {}, { lun: 1 });
  return {
    world,
    other,
    data,
    token,
    mask: () => {
      masked = true;
    },
  };
}

const whole: readonly Range[] = [[4096, 2048]];

function reserveList(key: number, service: number): Uint8Array {
  const out = new Uint8Array(24);
  out[7] = key;
  out[15] = service;
  return out;
}

function reserve(world: RodWorld, lun: number, type: string): void {
  const out = (action: string, list: Uint8Array) =>
    void world.run(`5f ${action} ${type} 0000 00000018`, { from: world.b, lun, out: list });
  out('00', reserveList(0, 1));
  out('01', reserveList(1, 0));
}

// [name, what happens, how WRITE USING TOKEN ends then]
const obstacles: readonly (readonly [string, (all: Two) => void, string])[] = [
  ['the source is masked', (all) => all.mask(), '02 0a/0d02'],
  ['the source is reserved, exclusive access', ({ world }) => reserve(world, 1, '03'), '18'],
  ['the destination is reserved, write exclusive', ({ world }) => reserve(world, 0, '01'), '18'],
  [
    'the source is reserved the old way',
    ({ world }) => void world.run('16', { from: world.b, lun: 1 }),
    '18',
  ],
  [
    'the destination is reserved the old way',
    ({ world }) => void world.run('16', { from: world.b }),
    '18',
  ],
  [
    'the source is ejected',
    ({ world }) => void world.run('1b 00 00 00 02 00', { from: world.b, lun: 1 }),
    '02 0a/0d02',
  ],
  [
    'the destination is write-protected',
    ({ world }) => {
      (world.target.route(0, 0) as LogicalUnit).mode.softwareWriteProtect = true;
    },
    '02 07/2702',
  ],
];

for (const [name, happen, end] of obstacles) {
  test(`${name}: before, and in the middle`, async (t) => {
    const before = await two();
    happen(before);
    before.world.device.calls.length = 0;
    await new Promise((resolve) => setImmediate(resolve));
    t.is(await before.world.use(before.token, whole), end);
    t.deepEqual(
      before.world.device.calls.filter((call) => call.startsWith('write')),
      [],
    );

    const during = await two();
    let calls = 0;
    during.other.behaviour.later = true;
    during.other.behaviour.before = (call) => {
      if (call === 'read' && calls++ === 1) happen(during);
    };
    t.is(await during.world.use(during.token, whole), end);
    // An SPC-2 RESERVE keeps the question out as well.
    await during.world.run('17', { from: during.world.b });
    const { count, state } = await during.world.information();
    t.is(state, 2);
    t.true(count >= 512 && count < 2048, `${count} blocks`);
    t.true(same(during.world.device, 4096, during.data.subarray(0, count * sector)));
  });
}

test('a reservation that lets others read lets them copy', async (t) => {
  const { world, token, data } = await two();
  reserve(world, 1, '01');
  t.is(await world.use(token, whole), '00');
  t.true(same(world.device, 4096, data));
});

test('SANITIZE of source and destination', async (t) => {
  for (const lun of [0, 1]) {
    const { world, token } = await two();
    world.device.behaviour.later = true;
    (world.target.route(lun * 0x10000, 0) as LogicalUnit).sanitize.state = 1;
    t.is(await world.use(token, whole), lun === 0 ? '02 02/041b' : '02 0a/0d02');
  }
});

test('the port that the command came through leaves its active state in the middle', async (t) => {
  let state: (typeof AluaState)[keyof typeof AluaState] = AluaState.optimized;
  const world = new RodWorld({
    bytes: 8 * MiB,
    capabilities: { thin: false },
    target: { alua: { groups: () => [{ id: 1, state, preferred: false, ports: [1] }] } },
  });
  await world.attach(world.a);
  fill(world.device, 0, 2048, 1);
  const token = await world.token([[0, 2048]]);
  let calls = 0;
  world.device.behaviour.before = () => {
    if (++calls === 4) state = AluaState.unavailable;
  };
  t.is(await world.use(token, whole), '02 02/040c');
  state = AluaState.optimized;
  t.like(await world.information(), { state: 2, count: 1024 });
});

test('who may only read makes tokens and writes with none', async (t) => {
  const world = new RodWorld({ bytes: MiB });
  const reader = nexus('reader', { readOnly: true });
  await world.attach(world.a, reader);
  const token = await world.token([[0, 8]], {}, { from: reader });
  t.is(await world.use(token, [[100, 8]], {}, { from: reader }), '02 07/2700');
  t.is(await world.use(zeroToken, [[100, 8]], {}, { from: reader }), '02 07/2700');
  const fixed = new RodWorld({ bytes: MiB, capabilities: { readOnly: true } });
  await fixed.attach(fixed.a);
  await fixed.token([[0, 8]]);
  t.is(await fixed.use(zeroToken, [[100, 8]]), '02 07/2700');
});

test('an exclusive reservation of another keeps POPULATE TOKEN out, also one that came meanwhile', async (t) => {
  const world = new RodWorld({ bytes: MiB });
  await world.attach(world.a, world.b);
  let release: (() => void) | null = null;
  world.target.onSettle = (_lun, _nexuses, done) => {
    release = done;
  };
  const running = world.send(0x10, populateList([[0, 8]]));
  world.target.onSettle = null;
  reserve(world, 0, '03');
  await new Promise((resolve) => setImmediate(resolve));
  (release as (() => void) | null)?.();
  t.is(verdict(await running), '18');
  t.like(await world.information(), { state: 2, completion: 0x18, token: null });
  t.is(world.target.rodTokens.size, 0);
  t.is(verdict(await world.send(0x10, populateList([[0, 8]]))), '18');
});
