/** What the third-party copy page says of tokens (SPC-4 7.8.17, SBC-3 6.6.5), field by field. */
import test from 'ava';
import { hex, World } from './kit.ts';

async function descriptors(world: World): Promise<Map<number, Uint8Array>> {
  const page = Buffer.from((await world.run('12 01 8f 0fff')).data);
  const found = new Map<number, Uint8Array>();
  for (let at = 4; at < page.length; ) {
    const length = page.readUInt16BE(at + 2);
    found.set(page.readUInt16BE(at), page.subarray(at, at + 4 + length));
    at += 4 + length;
  }
  return found;
}

for (const [sectorBytes, most, best] of [
  [512, '0000000000080000', '0000000000020000'],
  [4096, '0000000000010000', '0000000000004000'],
] as const) {
  test(`limits, features and types of tokens with sectors of ${sectorBytes}`, async (t) => {
    const world = new World({ sectorBytes, physicalSectorBytes: 4096 });
    await world.attach(world.a);
    const found = await descriptors(world);
    t.deepEqual([...found.keys()], [0, 1, 4, 8, 0xc, 0x106, 0x108, 0x8001, 0xc001], 'ascending');
    t.deepEqual(
      found.get(0),
      Buffer.from(hex(`0000 0020 000000000000 0040 00000258 0000001e ${most} ${best}`)),
    );
    const bytes = '0000000010000000';
    const optimal = '0000000004000000';
    t.deepEqual(
      found.get(0x106),
      Buffer.from(
        hex(`0106 005c 00 0000000000000000000000 00000000 00000258 00000258
          000000000000000000000000000000000000 0030
          00 00 002c 0000 0000 ${bytes} ${optimal} ${optimal} ${optimal} 0000000000000000`),
      ),
    );
    t.deepEqual(
      found.get(0x108),
      Buffer.from(
        hex(`0108 0084 0000 0080 00800001 03 ${'00'.repeat(59)} ffff0001 02 ${'00'.repeat(59)}`),
      ),
    );
    t.is(((await world.run('12 00 00 0060')).data[5] ?? 0) & 0x08, 0x08, '3PC');
  });
}

test('REPORT SUPPORTED OPERATION CODES knows the three commands and their fields', async (t) => {
  const world = new World();
  await world.attach(world.a);
  const usage = async (opcode: string, action: string) =>
    Buffer.from((await world.run(`a3 0c 02 ${opcode} 00${action} 000000ff 00 00`)).data).toString(
      'hex',
    );
  const tail = 'ffffffffffffffff1f00';
  t.is(await usage('83', '10'), `00030010831000000000${tail}`);
  t.is(await usage('83', '11'), `00030010831100000000${tail}`);
  t.is(await usage('84', '07'), '000300108407ffffffff00000000ffffffff0000');
});
