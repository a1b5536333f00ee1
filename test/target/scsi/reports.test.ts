/** MAINTENANCE IN and LOG SENSE: what the unit says that it does is what it does. */
import test from 'ava';
import { fixedAlua } from '../../../target/scsi/alua.ts';
import { commands } from '../../../target/scsi/dispatch.ts';
import { Opcode } from '../../../target/scsi/opcode.ts';
import { hex, World } from './kit.ts';

async function ready(options = {}): Promise<World> {
  const world = new World(options);
  await world.attach(world.a);
  return world;
}

const hex2 = (value: number) => value.toString(16).padStart(2, '0');

test('all opcodes, with and without timeouts, are those of the table', async (t) => {
  const world = await ready();
  for (const [flags, size] of [
    ['00', 8],
    ['80', 20],
  ] as const) {
    const { data } = await world.run(`a3 0c ${flags} 00 0000 0000ffff`);
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    t.is(view.getUint32(0), data.length - 4);
    t.is((data.length - 4) % size, 0);
    const expected = commands.filter((each) => {
      // Not removable, no atomic writes, no SANITIZE, no SET TARGET PORT GROUPS.
      return ![0x1e, 0x9c, 0x48, 0xa4].includes(each.opcode);
    });
    t.is((data.length - 4) / size, expected.length);
    expected.forEach((each, i) => {
      const at = 4 + i * size;
      t.is(data[at], each.opcode);
      t.is(view.getUint16(at + 2), each.action ?? 0);
      t.is(data[at + 5], (size === 20 ? 2 : 0) | (each.action === null ? 0 : 1));
      t.is(view.getUint16(at + 6), each.usage.length);
      if (size === 20) t.is(view.getUint16(at + 8), 10);
    });
  }
});

test('one command: its CDB size and usage; what is not there is not supported', async (t) => {
  const world = await ready();
  const read = await world.run('a3 0c 01 28 0000 000000ff');
  t.deepEqual(read.data, hex('00 03 000a 28 f8 ffffffff 1f ffff 00'));
  const timed = await world.run('a3 0c 81 28 0000 000000ff');
  t.deepEqual(timed.data, hex('00 83 000a 28 f8 ffffffff 1f ffff 00 000a 0000 00000000 00000000'));
  const action = await world.run('a3 0c 02 9e 0010 000000ff');
  t.deepEqual(action.data, hex('00 03 0010 9e 10 0000000000000000 ffffffff 00 00'));
  for (const query of [
    '01 ff 0000',
    '02 9e 001f',
    '02 9e 0110',
    '03 28 0001',
    '01 1e 0000',
    '01 9c 0000',
    '02 48 0001',
  ]) {
    const { data } = await world.run(`a3 0c ${query} 000000ff`);
    t.deepEqual(data, hex('00 01 0000'), query);
  }
  t.is((await world.run('a3 0c 03 28 0000 000000ff')).data[1], 3);
  t.is((await world.run('a3 0c 03 9e 0012 000000ff')).data[1], 3);
});

test('whatever bit a usage map does not have is refused or is a field of old', async (t) => {
  const world = await ready({
    capabilities: { removable: true, atomicBytes: 4096, sanitize: true, cryptographicErase: true },
    target: { alua: { ...fixedAlua(1, 1), set: () => Promise.resolve() } },
  });
  const ignored: Record<string, string> = {};
  for (const each of commands) {
    for (let byte = 1; byte < each.usage.length - 1; byte++) {
      const spare = ~(each.usage[byte] ?? 0) & 0xff;
      for (let bit = 0; bit < 8; bit++) {
        if (((spare >> bit) & 1) === 0) continue;
        if (byte === 1 && each.action !== null && bit < 5) continue;
        const bytes = new Uint8Array(16);
        bytes[0] = each.opcode;
        bytes[1] = each.action ?? 0;
        bytes[byte] = (bytes[byte] ?? 0) | (1 << bit);
        const result = await world.run(bytes, { expected: 0 });
        const field = result.sense;
        const refused = field?.[12] === 0x24 && field[15] === (0xc8 | bit) && field[17] === byte;
        if (!refused) ignored[each.name] = `${ignored[each.name] ?? ''} ${byte}.${bit}`;
      }
    }
  }
  // Only the LUN of SCSI-2 (byte 1, bits 5–7), and the obsolete fields that dispatch rows name.
  for (const [name, bits] of Object.entries(ignored)) {
    const rest = bits.replaceAll(/ 1\.[567]/g, '');
    if (name.startsWith('READ CAPACITY')) continue;
    const flags = /^(READ|WRITE|ORWRITE|COMPARE AND WRITE)/.test(name)
      ? /^( 1\.0)?( 1\.1)?$/
      : /^$/;
    t.regex(rest, flags, name);
  }
});

test('task management functions', async (t) => {
  const world = await ready();
  t.deepEqual((await world.run('a3 0d 00 00 0000 000000ff')).data, hex('d8 00 00 00'));
  t.deepEqual(
    (await world.run('a3 0d 80 00 0000 000000ff')).data,
    hex(`d8 00 00 0c ${'00'.repeat(12)}`),
  );
});

test('target port groups, both formats', async (t) => {
  const world = await ready();
  const group = '00 01 0001 00 00 00 01 0000 0001';
  t.deepEqual((await world.run('a3 0a 0000 0000 000000ff')).data, hex(`0000000c ${group}`));
  t.deepEqual(
    (await world.run('a3 2a 0000 0000 000000ff')).data,
    hex(`00000010 10000000 ${group}`),
  );
  t.is((await world.run('a3 0a 0000 0000 00000003')).data.length, 3);
});

test('log pages', async (t) => {
  const world = await ready();
  t.deepEqual((await world.run('4d 00 40 00 00 0000 00ff')).data, hex('00 00 0003 00 0c 2f'));
  t.deepEqual(
    (await world.run('4d 00 6f 00 00 0000 00ff')).data,
    hex('2f 00 0008 0000 03 04 00 00 ff 00'),
  );
});

test('the table is complete in its own terms', (t) => {
  const names = new Set<string>();
  for (const each of commands) {
    t.false(names.has(each.name), each.name);
    names.add(each.name);
    t.true(each.source.length > 0);
    t.is(each.usage[0], each.opcode, hex2(each.opcode));
    t.is(each.refused.length, each.usage.length);
  }
  const opcodes = new Set(commands.map((each) => each.opcode));
  for (const opcode of Object.values(Opcode)) t.true(opcodes.has(opcode), hex2(opcode));
});
