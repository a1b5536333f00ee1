/** Target port groups: what hosts are told of them, which commands each state refuses, and who sets them. */
import test from 'ava';
import {
  type Alua,
  type AluaChange,
  AluaState,
  type PortGroup,
} from '../../../target/scsi/alua.ts';
import { commands } from '../../../target/scsi/dispatch.ts';
import { hex, nexus, pointer, TestTask, verdict, World } from './kit.ts';

/** Two groups: 1 with ports 1 and 3, 2 with port 2. */
class Groups implements Alua {
  states: [AluaState, AluaState] = [AluaState.optimized, AluaState.nonOptimized];
  asked: readonly AluaChange[] = [];
  set?: (changes: readonly AluaChange[]) => Promise<void>;

  constructor(explicit: boolean) {
    if (explicit) {
      this.set = async (changes) => {
        this.asked = changes;
        for (const { group, state } of changes) this.states[group - 1] = state;
      };
    }
  }
  groups(): readonly PortGroup[] {
    return [
      { id: 1, state: this.states[0], preferred: true, ports: [1, 3] },
      { id: 2, state: this.states[1], preferred: false, ports: [2] },
    ];
  }
}

async function ready(explicit = true): Promise<{ world: World; groups: Groups }> {
  const groups = new Groups(explicit);
  const world = new World({ target: { alua: groups } });
  await world.attach(world.a, world.b);
  return { world, groups };
}

test('both formats list every group and port, the same through every port', async (t) => {
  const { world, groups } = await ready();
  const other = nexus('d', { relativePort: 2, portalGroup: 2 });
  await world.attach(other);
  groups.states = [AluaState.transitioning, AluaState.standby];
  const body = '8f cf 0001 00 00 00 02 0000 0001 0000 0003 02 cf 0002 00 00 00 01 0000 0002';
  for (const from of [world.a, other]) {
    const short = await world.run('a3 0a 00000000 000000ff', { from });
    t.deepEqual(short.data, hex(`0000001c ${body}`));
    const long = await world.run('a3 2a 00000000 000000ff', { from });
    t.deepEqual(long.data, hex(`00000020 10000000 ${body}`));
    t.is((await world.run('a3 0a 00000000 00000007', { from })).data.length, 7);
  }
});

test('without states of its own each port is a group, always active/optimized', async (t) => {
  const world = new World({ target: { ports: () => [1, 4] } });
  await world.attach(world.a);
  t.deepEqual(
    (await world.run('a3 0a 00000000 000000ff')).data,
    hex('00000018 00 01 0001 00 00 00 01 0000 0001 00 01 0004 00 00 00 01 0000 0004'),
  );
});

test('TPGS says whether hosts may set states', async (t) => {
  for (const [explicit, bits] of [
    [false, 0x10],
    [true, 0x30],
  ] as const) {
    const { world } = await ready(explicit);
    t.is(((await world.run('12 00 00 0060')).data[5] ?? 0) & 0x30, bits);
    const set = await world.run('a4 0a 00000000 00000000');
    t.is(verdict(set), explicit ? '00' : '02 05/2000');
  }
});

// SPC-4 5.15.2.4 to 5.15.2.7: what is served in which state, by the start of the command's name.
const always = [
  'INQUIRY',
  'REPORT LUNS',
  'REQUEST SENSE',
  'REPORT TARGET PORT GROUPS',
  'SET TARGET',
];
const standby = [...always, 'LOG SENSE', 'MODE SENSE', 'MODE SELECT', 'PERSISTENT RESERVE'];
const everything = [''];
const states: readonly (readonly [AluaState, string, readonly string[]])[] = [
  [AluaState.optimized, '', everything],
  [AluaState.nonOptimized, '', everything],
  [AluaState.standby, '02 02/040b', standby],
  [AluaState.unavailable, '02 02/040c', always],
  [AluaState.offline, '02 02/0412', always],
  [AluaState.transitioning, '02 02/040a', always],
];

for (const [state, refusal, served] of states) {
  test(`state ${state.toString(16)}h serves what it should`, async (t) => {
    const { world, groups } = await ready();
    groups.states[0] = state;
    const unit = world.target.route(0, 0);
    for (const each of commands) {
      if (each.supported !== null && !each.supported(unit as never)) continue;
      const cdb = new Uint8Array(16);
      cdb[0] = each.opcode;
      cdb[1] = each.action ?? 0;
      const task = new TestTask(cdb, world.a, 0);
      unit.start(task);
      const refused = verdict(task).startsWith('02 02/04');
      t.is(refused, !served.some((name) => each.name.startsWith(name)), each.name);
      if (refused) t.is(verdict(task), refusal, each.name);
    }
  });
}

test('a state counts for the ports of its group only', async (t) => {
  const { world, groups } = await ready();
  groups.states[0] = AluaState.standby;
  const third = nexus('d', { relativePort: 3 });
  const second = nexus('e', { relativePort: 2 });
  world.target.attach(third);
  world.target.attach(second);
  for (const from of [third, second]) await world.run('03 00 00 00 12', { from });
  t.is(verdict(await world.run('00')), '02 02/040b');
  t.is(verdict(await world.run('00', { from: third })), '02 02/040b');
  t.is(verdict(await world.run('00', { from: second })), '00');
});

test('a unit attention comes before the refusal; a change is told to every nexus', async (t) => {
  const { world, groups } = await ready();
  groups.states[0] = AluaState.unavailable;
  world.target.accessChanged(null);
  t.is(verdict(await world.run('00')), '02 06/2a06');
  t.is(verdict(await world.run('00')), '02 02/040c');
  t.is(verdict(await world.run('00', { from: world.b })), '02 06/2a06');
});

// [name, list in hex, status and sense, pointer, what the port is asked for]
const rows: readonly (readonly [string, string, string, string, string])[] = [
  ['one group', '00000000 02000001', '00', '', '1:2'],
  ['two groups', '00000000 01000001 00000002', '00', '', '1:1 2:0'],
  ['no group', '00000000', '00', '', ''],
  ['an unknown group', '00000000 02000003', '02 05/2600', 'list 6', ''],
  ['a group twice', '00000000 02000001 01000001', '02 05/2600', 'list 10', ''],
  ['offline', '00000000 0e000001', '02 05/2600', 'list 4', ''],
  ['transitioning', '00000000 0f000001', '02 05/2600', 'list 4', ''],
  ['a reserved state', '00000000 04000001', '02 05/2600', 'list 4', ''],
  ['the second wrong', '00000000 02000001 0f000002', '02 05/2600', 'list 8', ''],
  ['half a descriptor', '00000000 0200', '02 05/1a00', '', ''],
  ['half a header', '0000', '02 05/1a00', '', ''],
  ['too many', `00000000 ${'02000001'.repeat(65)}`, '02 05/1a00', '', ''],
];

for (const [name, bytes, expected, field, asked] of rows) {
  test(`SET TARGET PORT GROUPS: ${name}`, async (t) => {
    const { world, groups } = await ready();
    const out = hex(bytes);
    const command = `a4 0a 00000000 ${out.length.toString(16).padStart(8, '0')}`;
    const result = await world.run(command, { out });
    t.is(verdict(result), expected);
    t.is(pointer(result.sense), field);
    t.is(groups.asked.map((each) => `${each.group}:${each.state}`).join(' '), asked);
    const told = verdict(await world.run('00', { from: world.b }));
    t.is(told, asked === '' ? '00' : '02 06/2a06', 'the other nexus');
    const own = verdict(await world.run('a3 0a 00000000 000000ff'));
    t.is(own, '00', 'the sender knows');
  });
}

test('who may not change, and a change that fails', async (t) => {
  const { world, groups } = await ready();
  const reader = nexus('reader', { readOnly: true });
  await world.attach(reader);
  const send = (from = world.a) =>
    world.run('a4 0a 00000000 00000008', { from, out: hex('00000000 02000001') });
  t.is(verdict(await send(reader)), '02 07/2700');
  t.deepEqual(groups.asked, []);
  groups.set = () => Promise.reject(new Error('planted'));
  t.is(verdict(await send()), '02 04/670a');
  t.is(verdict(await world.run('00', { from: world.b })), '00', 'nothing changed, nobody is told');
});
