/**
 * The load generator's word is good: it finds one wrong byte with either engine, through digests or
 * without, and a target that breaks the protocol is named and not measured.
 */
import { connect, createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { freePort, makeDirectory, removeDirectory } from '#test/kit/temp.ts';
import { IscsiServer, RamDevice } from '../../target/index.ts';
import { LoadGenerator } from './loadgen.ts';

const NAME = 'iqn.2026-11.internal.petal:loadgen-test';
const BYTES = 2 ** 20;
/** Every place of the LUN once, four at a time. */
const ONCE = ['--once', '--block', '16384', '--depth', '4'];

/** Undefined behaviour ends the program in these tests. */
const CHECKED = [
  '-std=gnu11',
  '-g',
  '-O1',
  '-fsanitize=address,undefined',
  '-fno-sanitize-recover',
];

let directory: string;
let generator: LoadGenerator;

test.before(async () => {
  directory = await makeDirectory();
  generator = await LoadGenerator.build(directory, CHECKED);
});
test.after.always(() => removeDirectory(directory));

async function world(t: ExecutionContext, sectorBytes: 512 | 4096 = 512) {
  const server = new IscsiServer();
  const device = new RamDevice({ bytes: BYTES, sectorBytes });
  const target = server.addTarget({ name: NAME, access: () => 'read-write' });
  target.scsi.add(0, device);
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(() => server.close());
  const run = (...args: string[]) =>
    generator.run([...args, `iscsi://127.0.0.1:${port}/${NAME}/0`]);
  return { device, port, run };
}

function damage(device: RamDevice, at: number): void {
  const sector = Buffer.alloc(device.sectorBytes);
  const start = at - (at % sector.length);
  device.readNow(start, sector.length, sector, 0);
  sector[at % sector.length]! ^= 0x40;
  device.write(start, sector, false, { complete: () => {} });
}

/** Passes bytes on both ways, and turns one bit of what the target says from byte `at` on. */
async function flipping(t: ExecutionContext, to: number, at: number): Promise<number> {
  const port = await freePort();
  const proxy = createServer((down) => {
    const up = connect(to, '127.0.0.1');
    let passed = 0;
    down.pipe(up);
    up.on('data', (chunk: Buffer) => {
      if (at >= passed && at < passed + chunk.length) chunk[at - passed]! ^= 1;
      passed += chunk.length;
      down.write(chunk);
    });
    for (const socket of [up, down]) {
      socket.on('error', () => {});
      socket.on('close', () => (socket === up ? down : up).destroy());
    }
  });
  await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  t.teardown(() => proxy.close());
  return port;
}

for (const engine of ['raw', 'libiscsi']) {
  test(`${engine}: what was stamped is verified, and one wrong byte is found`, async (t) => {
    const { device, run } = await world(t);
    const written = await run('--engine', engine, '--write', '--stamp', '7', ...ONCE);
    t.is(written.status, 0, written.output);
    t.is(JSON.parse(written.stdout).operations, BYTES / 16384);
    const whole = await run('--engine', engine, '--verify', '7', ...ONCE);
    t.is(whole.status, 0, whole.output);
    damage(device, 777_777);
    const wrong = await run('--engine', engine, '--verify', '7', ...ONCE);
    t.is(wrong.status, 1);
    t.is(wrong.stderr, 'loadgen: wrong byte at 777777\n');
    t.like(JSON.parse(wrong.stdout), { operations: BYTES / 16384, wrong: 1, failed: 0 });
    const other = await run('--engine', engine, '--verify', '8', ...ONCE);
    t.like(JSON.parse(other.stdout), { wrong: BYTES / 16384 });
  });
}

test('both engines and 4096-byte sectors mean the same content, whatever the block size', async (t) => {
  const { run } = await world(t, 4096);
  const big = ['--once', '--block', '524288', '--connections', '2'];
  const written = await run('--write', '--stamp', '3', '--sync', '--fua', ...big);
  t.is(written.status, 0, written.output);
  for (const args of [ONCE, big, ['--once', '--block', '4096', '--depth', '200']]) {
    for (const engine of ['raw', 'libiscsi']) {
      const read = await run('--engine', engine, '--verify', '3', ...args);
      t.is(read.status, 0, read.output);
    }
  }
});

test('digests are asked for, computed and checked', async (t) => {
  const { port, run } = await world(t);
  const digests = ['--header-digest', '--data-digest'];
  const written = await run(...digests, '--write', '--stamp', '1', ...ONCE);
  t.is(written.status, 0, written.output);
  t.is((await run(...digests, '--verify', '1', ...ONCE)).status, 0);
  // Far enough behind the login to lie in the payload of a read.
  const bad = await flipping(t, port, 100_000);
  const read = (...args: string[]) =>
    generator.run([...args, ...ONCE, `iscsi://127.0.0.1:${bad}/${NAME}/0`]);
  t.is((await read(...digests)).stderr, 'loadgen: wrong data digest\n');
  t.like(JSON.parse((await read('--verify', '1')).stdout), { wrong: 1 });
});

test('a failed operation and a target that is not there are no success', async (t) => {
  const { device, run } = await world(t);
  device.setCapabilities({ readOnly: true });
  const refused = await run('--write', ...ONCE);
  t.is(refused.status, 1);
  t.like(JSON.parse(refused.stdout), { failed: BYTES / 16384 });
  const nobody = await generator.run([...ONCE, `iscsi://127.0.0.1:${await freePort()}/${NAME}/0`]);
  t.is(nobody.status, 1);
  t.regex(nobody.stderr, /^loadgen: connecting to 127\.0\.0\.1 port \d+: Connection refused\n$/);
  for (const args of [
    ['--depth', '0'],
    ['--write', '--verify', '1'],
    ['--block', '1000'],
    ['--no'],
  ]) {
    t.is((await run(...args)).status, 2, args.join(' '));
  }
});

test('reads and writes for a time, with figures that add up', async (t) => {
  const { run } = await world(t);
  for (const args of [[], ['--write'], ['--sequential'], ['--engine', 'libiscsi']]) {
    const time = ['--seconds', '0.2', '--warm-up', '0.05'];
    const result = await run(...args, ...time, '--depth', '8', '--pid', String(process.pid));
    t.is(result.status, 0, result.output);
    const report = JSON.parse(result.stdout);
    t.true(
      report.operations > 0 && report.p50Us > 0 && report.p50Us <= report.p99Us,
      result.stdout,
    );
    t.true(Math.abs(report.iops - report.operations / report.seconds) < 1);
    t.true(report.targetUserUs + report.targetSystemUs >= 0);
  }
});
