/**
 * PERSISTENT RESERVE OUT step by step: status, what READ KEYS and READ RESERVATION then show, and who is
 * told what by a unit attention. Each script is lines of "who action keys → status | keys | holder | told".
 */
import test from 'ava';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import {
  MemoryReservationStore,
  noReservations,
  type ReservationState,
  type ReservationStore,
} from '../../../target/scsi/reservation-store.ts';
import { hex, nexus, verdict, World } from './kit.ts';

const actions: Record<string, number> = {
  register: 0,
  reserve: 1,
  release: 2,
  clear: 3,
  preempt: 4,
  abort: 5,
  ignore: 6,
};

function list(key: number, serviceKey: number, flags = 0): Uint8Array {
  const out = new Uint8Array(24);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(key));
  view.setBigUint64(8, BigInt(serviceKey));
  out[20] = flags;
  return out;
}

async function step(world: World, line: string): Promise<string> {
  const [who = '', verb = '', key = '0', serviceKey = '0', type = '0'] = line.split(/\s+/);
  const from = world[who as 'a' | 'b' | 'c'];
  const action = (actions[verb] ?? 99).toString(16).padStart(2, '0');
  const command = `5f ${action} ${type.padStart(2, '0')} 0000 00000018`;
  const result = await world.run(command, { from, out: list(Number(key), Number(serviceKey)) });
  return `${verdict(result)} | ${await seen(world)} | ${await told(world)}`;
}

async function seen(world: World): Promise<string> {
  const observer = nexus('observer');
  world.target.attach(observer);
  await world.run('00', { from: observer });
  const keys = (await world.run('5e 00 00 00 00 00 00 ffff', { from: observer })).data;
  const held = (await world.run('5e 01 00 00 00 00 00 ffff', { from: observer })).data;
  world.target.detach(observer);
  const view = new DataView(keys.buffer, keys.byteOffset, keys.length);
  const all: string[] = [];
  for (let at = 8; at < keys.length; at += 8) all.push(String(view.getBigUint64(at)));
  const holder =
    held.length === 8
      ? '-'
      : `${new DataView(held.buffer, held.byteOffset).getBigUint64(8)}:${held[21]}`;
  return `g${view.getUint32(0)} ${all.join(',') || '-'} | ${holder}`;
}

async function told(world: World): Promise<string> {
  const out: string[] = [];
  for (const who of ['a', 'b', 'c'] as const) {
    for (;;) {
      const result = await world.run('03 00 00 00 12', { from: world[who] });
      if ((result.data[2] ?? 0) !== 6) break;
      out.push(`${who}:${(((result.data[12] ?? 0) << 8) | (result.data[13] ?? 0)).toString(16)}`);
    }
  }
  return out.join(' ') || '-';
}

/** "step" → "status | generation keys | holder key:type | told". */
const scripts: Record<string, readonly (readonly [string, string])[]> = {
  'registering, changing and removing a key': [
    ['a register 0 0', '00 | g0 - | - | -'],
    ['a register 5 1', '18 | g0 - | - | -'],
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['a register 0 2', '18 | g1 1 | - | -'],
    ['a register 1 2', '00 | g2 2 | - | -'],
    ['b ignore 77 3', '00 | g3 2,3 | - | -'],
    ['a ignore 0 9', '00 | g4 9,3 | - | -'],
    ['a register 9 0', '00 | g5 3 | - | -'],
    ['a ignore 0 0', '00 | g5 3 | - | -'],
    ['b ignore 0 0', '00 | g6 - | - | -'],
  ],
  'reserving and releasing': [
    ['a reserve 0 0 1', '18 | g0 - | - | -'],
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['a reserve 2 0 1', '18 | g2 1,2 | - | -'],
    ['a reserve 1 0 1', '00 | g2 1,2 | 1:1 | -'],
    ['a reserve 1 0 1', '00 | g2 1,2 | 1:1 | -'],
    ['a reserve 1 0 3', '18 | g2 1,2 | 1:1 | -'],
    ['b reserve 2 0 1', '18 | g2 1,2 | 1:1 | -'],
    ['b release 2 0 1', '00 | g2 1,2 | 1:1 | -'],
    ['c release 0 0 1', '18 | g2 1,2 | 1:1 | -'],
    ['a release 1 0 3', '02 05/2604 | g2 1,2 | 1:1 | -'],
    ['a release 1 0 1', '00 | g2 1,2 | - | -'],
    ['a release 1 0 1', '00 | g2 1,2 | - | -'],
  ],
  'releasing a registrants only reservation tells the others': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['a reserve 1 0 5', '00 | g2 1,2 | 1:5 | -'],
    ['a release 1 0 5', '00 | g2 1,2 | - | b:2a04'],
  ],
  'unregistering the holder releases, and tells of it with registrants only': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['a reserve 1 0 6', '00 | g2 1,2 | 1:6 | -'],
    ['a register 1 0', '00 | g3 2 | - | b:2a04'],
    ['b reserve 2 0 3', '00 | g3 2 | 2:3 | -'],
    ['a register 0 1', '00 | g4 2,1 | 2:3 | -'],
    ['b register 2 0', '00 | g5 1 | - | -'],
  ],
  'all registrants: everybody holds, the last one out releases': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['a reserve 1 0 7', '00 | g2 1,2 | 0:7 | -'],
    ['b reserve 2 0 7', '00 | g2 1,2 | 0:7 | -'],
    ['a register 1 0', '00 | g3 2 | 0:7 | -'],
    ['b register 2 0', '00 | g4 - | - | -'],
  ],
  'all registrants: anyone registered may release it': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['a reserve 1 0 8', '00 | g2 1,2 | 0:8 | -'],
    ['b release 2 0 8', '00 | g2 1,2 | - | a:2a04'],
  ],
  'clearing tells all the others': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['a reserve 1 0 1', '00 | g2 1,2 | 1:1 | -'],
    ['c clear 0 0', '18 | g2 1,2 | 1:1 | -'],
    ['b clear 2 0', '00 | g3 - | - | a:2a03'],
  ],
  'preempting a registration leaves the reservation': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['c register 0 2', '00 | g3 1,2,2 | - | -'],
    ['a reserve 1 0 1', '00 | g3 1,2,2 | 1:1 | -'],
    ['a preempt 1 9 1', '18 | g3 1,2,2 | 1:1 | -'],
    ['a preempt 1 0 1', '02 05/2600 | g3 1,2,2 | 1:1 | -'],
    ['a preempt 1 2 3', '00 | g4 1 | 1:1 | b:2a05 c:2a05'],
  ],
  'preempting the holder takes the reservation over': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['a reserve 1 0 1', '00 | g2 1,2 | 1:1 | -'],
    ['b preempt 2 1 3', '00 | g3 2 | 2:3 | a:2a05'],
  ],
  'preempting a registrants only holder with another type tells who stays': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['c register 0 3', '00 | g3 1,2,3 | - | -'],
    ['a reserve 1 0 5', '00 | g3 1,2,3 | 1:5 | -'],
    ['b preempt 2 1 1', '00 | g4 2,3 | 2:1 | a:2a05 c:2a04'],
    ['b preempt 2 2 3', '00 | g5 2,3 | 2:3 | -'],
  ],
  'preempting with key zero takes an all registrants reservation over': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b register 0 2', '00 | g2 1,2 | - | -'],
    ['c register 0 3', '00 | g3 1,2,3 | - | -'],
    ['a reserve 1 0 7', '00 | g3 1,2,3 | 0:7 | -'],
    ['b preempt 2 3 7', '00 | g4 1,2 | 0:7 | c:2a05'],
    ['b preempt 2 0 1', '00 | g5 2 | 2:1 | a:2a05'],
  ],
  'a foreign key authorises nothing': [
    ['a register 0 1', '00 | g1 1 | - | -'],
    ['b preempt 1 1 1', '18 | g1 1 | - | -'],
    ['a preempt 2 1 1', '18 | g1 1 | - | -'],
    ['a clear 2 0', '18 | g1 1 | - | -'],
  ],
};

for (const [name, lines] of Object.entries(scripts)) {
  test(name, async (t) => {
    const world = new World();
    await world.attach(world.a, world.b, world.c);
    for (const [line, expected] of lines) t.is(await step(world, line), expected, line);
  });
}

test('PREEMPT AND ABORT answers when the tasks of the preempted are out of the way', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b, world.c);
  await step(world, 'a register 0 1');
  await step(world, 'b register 0 2');
  await step(world, 'a reserve 1 0 1');
  const aborted: Nexus[] = [];
  let release: () => void = () => {};
  world.target.onAbortTasks = (who, lun, done) => {
    t.is(lun, 0);
    aborted.push(who);
    release = done;
  };
  let answered = false;
  const running = step(world, 'b abort 2 1 1').then((line) => {
    answered = true;
    return line;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.false(answered);
  release();
  t.is(await running, '00 | g3 2 | 2:1 | a:2a05');
  t.deepEqual(aborted, [world.a]);
});

test('a registration outlives the session and is per initiator port', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b, world.c);
  await step(world, 'a register 0 1');
  await step(world, 'a reserve 1 0 3');
  world.target.detach(world.a);
  const again = nexus('a');
  const other = nexus('a', { isid: '80000000000b' });
  await world.attach(again, other);
  t.is(verdict(await world.run('28 00 00000000 00 0001', { from: again })), '00');
  t.is(verdict(await world.run('28 00 00000000 00 0001', { from: other })), '18');
});

test('REPORT CAPABILITIES and READ FULL STATUS', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b, world.c);
  const capabilities = await world.run('5e 02 00 00 00 00 00 00ff');
  t.deepEqual(capabilities.data, hex('0008 1c 80 ea01 0000'));
  await step(world, 'a register 0 1');
  await step(world, 'b register 0 2');
  await step(world, 'a reserve 1 0 1');
  const full = (await world.run('5e 03 00 00 00 00 00 ffff')).data;
  const id = new TextEncoder().encode('iqn.2026-11.test:a,i,0x80000000000a');
  const other = new TextEncoder().encode('iqn.2026-11.test:b,i,0x80000000000a');
  const padded = (bytes: Uint8Array) => [...bytes, ...new Array(36 - bytes.length).fill(0)];
  t.deepEqual(
    [...full],
    [
      ...hex('00000002 00000080'),
      ...hex('0000000000000001 00000000 01 01 00000000 0001 00000028 45000024'),
      ...padded(id),
      ...hex('0000000000000002 00000000 00 00 00000000 0001 00000028 45000024'),
      ...padded(other),
    ],
  );
  t.is((await world.run('5e 03 00 00 00 00 00 0009')).data.length, 9);
});

function moveList(port: string, relativePort: number, flags: number): Uint8Array {
  const name = new TextEncoder().encode(`${port}\0`);
  const idLength = 4 + Math.max(20, Math.ceil(name.length / 4) * 4);
  const out = new Uint8Array(24 + idLength);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, 1n);
  view.setBigUint64(8, 9n);
  out[17] = flags;
  view.setUint16(18, relativePort);
  view.setUint32(20, idLength);
  out[24] = 0x45;
  view.setUint16(26, idLength - 4);
  out.set(name, 28);
  return out;
}

async function move(world: World, from: Nexus, out: Uint8Array): Promise<string> {
  const length = out.length.toString(16).padStart(8, '0');
  return verdict(await world.run(`5f 07 00 0000 ${length}`, { from, out }));
}

test('REGISTER AND MOVE hands the reservation to another port', async (t) => {
  const world = new World();
  await world.attach(world.a, world.b, world.c);
  const port = 'iqn.2026-11.test:b,i,0x80000000000a';
  await step(world, 'a register 0 1');
  t.is(await move(world, world.a, moveList(port, 1, 0)), '18', 'nothing to move');
  await step(world, 'a reserve 1 0 1');
  t.is(await move(world, world.b, moveList(port, 1, 0)), '18', 'not the holder');
  t.is(await move(world, world.a, moveList(port, 2, 0)), '02 05/2600', 'no such target port');
  const self = 'iqn.2026-11.test:a,i,0x80000000000a';
  t.is(await move(world, world.a, moveList(self, 1, 0)), '02 05/2600', 'to itself');
  t.is(await move(world, world.a, moveList('nonsense', 1, 0)), '02 05/2600');
  t.is(await move(world, world.a, moveList(port, 1, 2)), '00');
  t.is(await seen(world), 'g2 9 | 9:1');
  t.is(verdict(await world.run('2a 00 00000000 00 0001', { out: new Uint8Array(512) })), '18');
});

test('APTPL without a durable store is refused', async (t) => {
  const world = new World();
  await world.attach(world.a);
  const result = await world.run('5f 00 00 0000 00000018', { out: list(0, 1, 0x01) });
  t.is(verdict(result), '02 05/2600');
  t.is(await seen(world), 'g0 - | -');
});

/** A store that keeps states like a disk would, and can be slow or fail. */
class SlowStore implements ReservationStore {
  readonly durable = true;
  state: ReservationState = noReservations;
  fail = false;
  saving = 0;

  load(): ReservationState {
    return this.state;
  }
  save(state: ReservationState, done: (error: Error | null) => void): void {
    this.saving++;
    setImmediate(() => {
      this.saving--;
      if (this.fail) {
        done(new Error('planted'));
        return;
      }
      this.state = state;
      done(null);
    });
  }
}

test('APTPL: what was acknowledged is there after a restart, and changes are one after the other', async (t) => {
  const store = new SlowStore();
  const world = new World({ store });
  await world.attach(world.a, world.b, world.c);
  const register = (from: Nexus, key: number) =>
    world.run('5f 00 00 0000 00000018', { from, out: list(0, key, 1) });
  const results = await Promise.all([register(world.a, 1), register(world.b, 2)]);
  t.deepEqual(results.map(verdict), ['00', '00']);
  await step(world, 'a reserve 1 0 3');
  t.is((await world.run('5e 02 00 00 00 00 00 00ff')).data[3], 0x81);
  const restarted = new World({ store });
  await restarted.attach(restarted.a, restarted.b, restarted.c);
  t.is(await seen(restarted), 'g2 1,2 | 1:3');
  const read = await restarted.run('28 00 00000000 00 0001', { from: restarted.b });
  t.is(verdict(read), '18');
});

test('a change the store could not keep is refused and changes nothing', async (t) => {
  const store = new SlowStore();
  const world = new World({ store });
  await world.attach(world.a, world.b, world.c);
  await step(world, 'a register 0 1');
  store.fail = true;
  t.is(await step(world, 'a reserve 1 0 3'), '02 04/4400 | g1 1 | - | -');
  store.fail = false;
  t.is(await step(world, 'b register 0 2'), '00 | g2 1,2 | - | -');
});

test('registrations are bounded', async (t) => {
  const world = new World();
  const all = Array.from({ length: 513 }, (_, i) => nexus(`n${i}`));
  await world.attach(...all);
  const last = all.at(-1) as Nexus;
  for (const each of all) {
    const result = await world.run('5f 00 00 0000 00000018', { from: each, out: list(0, 1) });
    t.is(verdict(result), each === last ? '02 05/5504' : '00');
  }
});

test('the memory store promises nothing beyond the process', (t) => {
  t.false(new MemoryReservationStore().durable);
});

test('thousands of changes that wait for the store are answered one after the other', async (t) => {
  const store = new SlowStore();
  const world = new World({ store });
  await world.attach(world.a);
  const many = Array.from({ length: 20_000 }, (_, i) =>
    world.run('5f 06 00 0000 00000018', { out: list(0, i === 0 ? 1 : 0) }),
  );
  const results = await Promise.all(many);
  t.true(results.every((result) => result.status === 0));
  t.is(store.state.generation, 2);
});
