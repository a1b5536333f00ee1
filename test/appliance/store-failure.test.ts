/**
 * When the disk under the store fails, nothing is written any more and everybody is told; what was
 * written is still read. The failure is real: a limit on the size of files makes write(2) fail.
 */
import test from 'ava';
import type { Status } from '#appliance/status.ts';
import { Daemon } from '#test/kit/daemon.ts';
import { run } from '#test/kit/run.ts';
import { petal, storeSize } from './harness.ts';

/** The kernel sends SIGXFSZ with the error, and its default is to end the process. */
const ignoreSignal = `--import=data:text/javascript,process.on('SIGXFSZ',()=>{})`;

test('a failed store refuses writes and changes, answers reads and says why', async (t) => {
  const wrapper = ['env', `NODE_OPTIONS=${ignoreSignal}`];
  const daemon = await Daemon.start({ storeSize, wrapper });
  t.teardown(() => daemon.dispose());
  const host = await daemon.login(await daemon.disk());
  await host.settle();
  await host.write(0, Buffer.alloc(4096, 5));

  // Below every offset of the log, so that the next write fails with EFBIG.
  const limit = await run('prlimit', [`--pid=${daemon.pid}`, '--fsize=1048576:1048576']);
  t.is(limit.status, 0, limit.output);
  await t.throwsAsync(host.write(1024, Buffer.alloc(4096, 6)), { message: /sense 03\/0c\/00/ });
  await t.throwsAsync(host.write(2048, Buffer.alloc(4096, 7)), { message: /sense 03\/0c\/00/ });
  t.deepEqual(await host.read(0, 8), Buffer.alloc(4096, 5));

  const told = await daemon.petalRaw('status');
  t.is(told.status, 4, 'needs attention');
  const status = JSON.parse(told.stdout) as Status;
  t.deepEqual(
    status.alarms.map(({ code }) => code),
    ['STORE_FAILED'],
  );
  t.is(status.state, 'failed');
  t.regex(status.store.failed ?? '', /store\.petal: write failed: EFBIG/);
  for (const args of [
    ['disk', 'create', 'more', '1G'],
    ['disk', 'rename', 'disk0', 'other'],
    ['access', 'allow', 'disk0', '192.0.2.1'],
  ]) {
    const refused = await petal(daemon, ...args);
    t.is(refused.status, 1, refused.output);
    t.regex(refused.stderr, /EFBIG/);
  }
  t.is((await daemon.disk()).name, 'disk0');
  t.regex(daemon.log, /"level":"fatal".*the store has failed/);

  // It lost nothing that was acknowledged.
  await daemon.kill();
  await daemon.launch();
  const again = await daemon.login(await daemon.disk());
  await again.settle();
  t.deepEqual(await again.read(0, 8), Buffer.alloc(4096, 5));
  await daemon.stop();
});
