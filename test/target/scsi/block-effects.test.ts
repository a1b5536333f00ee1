/** What the block commands do to the medium, against bytes computed here. */
import test from 'ava';
import { hex, sector, verdict, World } from './kit.ts';

function pattern(sectors: number, seed: number): Uint8Array {
  const out = new Uint8Array(sectors * sector);
  for (let i = 0; i < out.length; i++) out[i] = (i * 7 + seed * 31 + (i >> 9)) & 0xff;
  return out;
}

function peek(world: World, lba: number, sectors: number): Uint8Array {
  const out = new Uint8Array(sectors * sector);
  world.device.ram.readNow(lba * sector, out.length, out, 0);
  return out;
}

async function ready(options: ConstructorParameters<typeof World>[0] = {}): Promise<World> {
  const world = new World(options);
  await world.attach(world.a);
  return world;
}

function information(sense: Uint8Array | null): number | null {
  if (sense === null || ((sense[0] ?? 0) & 0x80) === 0) return null;
  return new DataView(sense.buffer, sense.byteOffset).getUint32(3);
}

test('every form of WRITE is read back by every form of READ', async (t) => {
  const world = await ready();
  const writes = ['0a 000005 02', '2a 00 00000005 00 0002', 'aa 00 00000005 00000002'];
  writes.push('8a 00 0000000000000005 00000002');
  const reads = ['08 000005 02', '28 00 00000005 00 0002', 'a8 00 00000005 00000002'];
  reads.push('88 00 0000000000000005 00000002');
  for (const [i, write] of writes.entries()) {
    const data = pattern(2, i);
    t.is(verdict(await world.run(write, { out: data })), '00');
    for (const read of reads) t.deepEqual((await world.run(read)).data, data);
  }
});

test('FUA reaches the device, and only when asked for', async (t) => {
  const world = await ready();
  await world.run('2a 08 00000000 00 0001', { out: pattern(1, 1) });
  await world.run('2a 00 00000001 00 0001', { out: pattern(1, 1) });
  t.deepEqual(world.device.calls, ['write fua 0 512', 'write 512 512']);
});

for (const [name, opcode] of [
  ['VERIFY(10)', '2f %b 00000003 00 0400'],
  ['VERIFY(12)', 'af %b 00000003 00000400'],
  ['VERIFY(16)', '8f %b 0000000000000003 00000400'],
] as const) {
  test(`${name} compares all of it, in pieces, and says where it differs`, async (t) => {
    const world = await ready();
    const data = pattern(0x400, 3);
    world.device.ram.write(3 * sector, data, false, { complete() {} });
    const byteCheck = (bits: string) => opcode.replace('%b', bits);
    t.is(verdict(await world.run(byteCheck('02'), { out: data })), '00');
    t.true(world.device.largest <= 256 * 1024);
    const other = data.slice();
    other[300_001] = (other[300_001] ?? 0) ^ 1;
    const result = await world.run(byteCheck('02'), { out: other });
    t.is(verdict(result), '02 0e/1d00');
    t.is(information(result.sense), 300_001);
    t.is(verdict(await world.run(byteCheck('00'))), '00');
    const repeated = await world.run(byteCheck('06'), { out: data.slice(0, sector) });
    t.is(verdict(repeated), '02 0e/1d00');
  });
}

test('VERIFY with BYTCHK 11b compares each block with the one sent', async (t) => {
  const world = await ready();
  const one = pattern(1, 9);
  for (let i = 0; i < 600; i++) world.device.ram.write(i * sector, one, false, { complete() {} });
  t.is(verdict(await world.run('2f 06 00000000 00 0258', { out: one })), '00');
  const bad = one.slice();
  bad[511] = (bad[511] ?? 0) ^ 0x80;
  world.device.ram.write(599 * sector, bad, false, { complete() {} });
  const result = await world.run('2f 06 00000000 00 0258', { out: one });
  t.is(verdict(result), '02 0e/1d00');
  t.is(information(result.sense), 511);
});

test('WRITE AND VERIFY writes through the cache, then reads back', async (t) => {
  const world = await ready();
  const data = pattern(700, 2);
  t.is(verdict(await world.run('2e 02 00000010 00 02bc', { out: data })), '00');
  t.deepEqual(peek(world, 16, 700), data);
  t.deepEqual(
    world.device.calls.map((call) => call.split(' ').slice(0, -2).join(' ')),
    ['write fua', 'write fua', 'read', 'read'],
  );
});

test('WRITE AND VERIFY writes the whole blocks that came, when fewer came', async (t) => {
  const world = await ready();
  const data = pattern(1, 4);
  t.is(verdict(await world.run('2e 00 00000000 00 0002', { out: data })), '00');
  t.deepEqual(peek(world, 0, 1), data);
  t.deepEqual(peek(world, 1, 1), new Uint8Array(sector));
});

test('COMPARE AND WRITE writes when equal, and else says where it differs', async (t) => {
  const world = await ready();
  const old = pattern(2, 5);
  const next = pattern(2, 6);
  world.device.ram.write(8 * sector, old, false, { complete() {} });
  const command = '89 00 0000000000000008 000000 02';
  const both = (a: Uint8Array, b: Uint8Array) => Buffer.concat([a, b]);
  const wrong = old.slice();
  wrong[777] = (wrong[777] ?? 0) ^ 1;
  const refused = await world.run(command, { out: both(wrong, next) });
  t.is(verdict(refused), '02 0e/1d00');
  t.is(information(refused.sense), 777);
  t.deepEqual(peek(world, 8, 2), old);
  t.is(verdict(await world.run(command, { out: both(old, next) })), '00');
  t.deepEqual(peek(world, 8, 2), next);
});

test('COMPARE AND WRITE with FUA flushes a write-back device', async (t) => {
  const world = await ready({ capabilities: { writeBack: true } });
  await world.run('89 08 0000000000000000 000000 01', { out: new Uint8Array(1024) });
  t.deepEqual(world.device.calls, ['compareAndWrite 0 512', 'flush']);
});

test('ORWRITE sets bits, also where another writer is faster', async (t) => {
  const world = await ready();
  const old = pattern(300, 7);
  const mask = pattern(300, 8);
  world.device.ram.write(0, old, false, { complete() {} });
  let disturbed = 0;
  world.device.behaviour.before = (call) => {
    // Between the read of a piece and the write of its result.
    if (call !== 'compareAndWrite' || disturbed++ !== 0) return;
    old[5] = 0x55;
    world.device.ram.write(0, old.slice(0, sector), false, { complete() {} });
  };
  t.is(verdict(await world.run('8b 00 0000000000000000 0000012c', { out: mask })), '00');
  t.deepEqual(
    peek(world, 0, 300),
    old.map((byte, i) => byte | (mask[i] ?? 0)),
  );
  t.true(disturbed > 3);
});

test('ORWRITE against a writer that never rests ends with BUSY', async (t) => {
  const world = await ready();
  let count = 0;
  world.device.behaviour.before = (call) => {
    if (call !== 'compareAndWrite') return;
    world.device.ram.write(0, pattern(1, ++count), false, { complete() {} });
  };
  const result = await world.run('8b 00 0000000000000000 00000001', { out: pattern(1, 0) });
  t.is(verdict(result), '08');
  t.true(count < 1000);
});

test('WRITE SAME writes a pattern in pieces, and zeros without any', async (t) => {
  const world = await ready();
  const one = pattern(1, 11);
  t.is(verdict(await world.run('41 00 00000002 00 0300', { out: one })), '00');
  const written = peek(world, 0, 0x303);
  for (let i = 0; i < 0x300; i++) {
    t.deepEqual(written.subarray((i + 2) * sector, (i + 3) * sector), one);
  }
  t.deepEqual(written.subarray(0, 2 * sector), new Uint8Array(2 * sector));
  t.deepEqual(written.subarray(0x302 * sector), new Uint8Array(sector));
  t.true(world.device.largest <= 256 * 1024);
  world.device.calls.length = 0;
  await world.run('93 00 0000000000000002 00000300', { out: new Uint8Array(sector) });
  await world.run('93 08 0000000000000002 00000300', { out: new Uint8Array(sector) });
  await world.run('93 09 0000000000000002 00000300');
  t.deepEqual(world.device.calls, [
    'zero 1024 393216',
    'zero unmap 1024 393216',
    'zero unmap 1024 393216',
  ]);
  t.deepEqual(peek(world, 0, 0x303), new Uint8Array(0x303 * sector));
});

test('WRITE SAME with UNMAP and a pattern writes the pattern', async (t) => {
  const world = await ready();
  const one = pattern(1, 12);
  t.is(verdict(await world.run('93 08 0000000000000000 00000002', { out: one })), '00');
  t.deepEqual(peek(world, 0, 1), one);
  t.deepEqual(peek(world, 1, 1), one);
});

function unmapList(...ranges: (readonly [number, number])[]): Uint8Array {
  const out = new Uint8Array(8 + ranges.length * 16);
  const view = new DataView(out.buffer);
  view.setUint16(0, out.length - 2);
  view.setUint16(2, ranges.length * 16);
  ranges.forEach(([lba, blocks], i) => {
    view.setBigUint64(8 + i * 16, BigInt(lba));
    view.setUint32(16 + i * 16, blocks);
  });
  return out;
}

async function unmap(world: World, list: Uint8Array): Promise<string> {
  const length = list.length.toString(16).padStart(4, '0');
  return verdict(await world.run(`42 00 00000000 00 ${length}`, { out: list }));
}

test('UNMAP unmaps each range, or nothing when one of them is wrong', async (t) => {
  const world = await ready();
  const data = pattern(64, 1);
  world.device.ram.write(0, data, false, { complete() {} });
  t.is(await unmap(world, unmapList([8, 8], [0x7ff8, 9])), '02 05/2100');
  t.deepEqual(peek(world, 0, 64), data);
  t.is(await unmap(world, unmapList([8, 8], [0, 0], [32, 1])), '00');
  data.fill(0, 8 * sector, 16 * sector);
  data.fill(0, 32 * sector, 33 * sector);
  t.deepEqual(peek(world, 0, 64), data);
});

test('UNMAP refuses more descriptors and more blocks than VPD B0h announces', async (t) => {
  const world = await ready();
  const many = Array.from({ length: 257 }, () => [0, 1] as const);
  t.is(await unmap(world, unmapList(...many)), '02 05/2600');
  t.is(await unmap(world, unmapList(...many.slice(1))), '00');
  // 32 times the whole disk is the maximum of 1 Mi blocks; one more block is too many.
  const whole = Array.from({ length: 32 }, () => [0, 0x8000] as const);
  t.is(await unmap(world, unmapList(...whole)), '00');
  t.is(await unmap(world, unmapList(...whole, [0, 1])), '02 05/2600');
});

test('GET LBA STATUS tells mapped from deallocated, as far as the answer has room', async (t) => {
  const world = await ready();
  world.device.ram.write(128 * sector, pattern(1, 1), false, { complete() {} });
  const all = await world.run('9e 12 0000000000000000 00000100');
  t.deepEqual(
    all.data,
    hex(`00000034 00000000
      0000000000000000 00000080 01000000
      0000000000000080 00000080 00000000
      0000000000000100 00007f00 01000000`),
  );
  const one = await world.run('9e 12 0000000000000090 00000018');
  t.deepEqual(one.data, hex('00000014 00000000 0000000000000090 00000070 00000000'));
  t.is((await world.run('9e 12 0000000000000000 00000000')).data.length, 0);
  t.is((await world.run('9e 12 0000000000000000 00000003')).data.length, 3);
});

test('WRITE ATOMIC is one call to the device, within its alignment and length', async (t) => {
  const world = await ready({ capabilities: { atomicBytes: 4096 } });
  const data = pattern(8, 3);
  const atomic = (lba: string, blocks: string, boundary = '0000') =>
    world.run(`9c 00 ${lba.padStart(16, '0')} ${boundary} ${blocks}`, {
      out: data.subarray(0, Number.parseInt(blocks, 16) * sector),
    });
  t.is(verdict(await atomic('8', '0008')), '00');
  t.deepEqual(world.device.calls, ['write 4096 4096']);
  t.is(verdict(await atomic('8', '0003')), '00');
  t.is(verdict(await atomic('9', '0001')), '02 05/2400');
  t.is(verdict(await atomic('8', '0009')), '02 05/2400');
  t.is(verdict(await atomic('8', '0008', '0008')), '02 05/2400');
  t.is(verdict(await atomic('8000', '0008')), '02 05/2100');
});

test('READ CAPACITY tells size, sector, physical sector and provisioning', async (t) => {
  const world = await ready();
  t.deepEqual((await world.run('25')).data, hex('00007fff 00000200'));
  const sixteen = await world.run('9e 10 0000000000000000 00000020');
  t.deepEqual(sixteen.data, hex(`0000000000007fff 00000200 00 03 c000 ${'00'.repeat(16)}`));
  const thick = await ready({
    sectorBytes: 4096,
    physicalSectorBytes: 4096,
    capabilities: { thin: false },
  });
  const four = await thick.run('9e 10 0000000000000000 0000000f');
  t.deepEqual(four.data, hex('0000000000000fff 00001000 00 00 00'));
});

test('READ DEFECT DATA has no defects and echoes the format', async (t) => {
  const world = await ready();
  t.deepEqual((await world.run('37 00 1d 00000000 00ff')).data, hex('001d0000'));
  t.deepEqual((await world.run('b7 15 00000000 000000ff')).data, hex('0015000000000000'));
});

test('START STOP UNIT stops with a flush, and the unit stays ready', async (t) => {
  const world = await ready();
  t.is(verdict(await world.run('1b 00 00 00 00')), '00');
  t.deepEqual(world.device.calls, ['flush']);
  t.is(verdict(await world.run('00')), '00');
  await world.run('1b 00 00 00 04');
  t.is(world.device.calls.length, 1);
});

test('a removable medium is ejected unless a nexus prevents it', async (t) => {
  const world = await ready({ capabilities: { removable: true } });
  await world.attach(world.b);
  t.is(verdict(await world.run('1e 00 00 00 01', { from: world.b })), '00');
  t.is(verdict(await world.run('1b 00 00 00 02')), '02 05/5302');
  t.is(verdict(await world.run('00')), '00');
  world.target.detach(world.b);
  t.is(verdict(await world.run('1b 00 00 00 02')), '00');
  for (const command of ['00', '28 00 00000000 00 0001', '25', '2f 00 00000000 00 0001']) {
    t.is(verdict(await world.run(command)), '02 02/3a00');
  }
  t.is(verdict(await world.run('12 00 00 00ff')), '00');
  t.is((await world.run('03 00 00 00 ff')).data[12], 0x3a);
  t.is(verdict(await world.run('1e 00 00 00 01')), '00');
  t.is(verdict(await world.run('1b 00 00 00 03')), '02 05/5302', 'nor loaded');
  t.is(verdict(await world.run('1e 00 00 00 00')), '00');
  t.is(verdict(await world.run('1b 00 00 00 03')), '00');
  t.is(verdict(await world.run('00')), '00');
});
