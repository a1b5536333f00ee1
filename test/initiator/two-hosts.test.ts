/**
 * Two hosts share a disk through two portals as failover clusters and ESXi do, encoded by libiscsi
 * (two-hosts/main.c tells the phases), with the daemon killed and restarted in between.
 */
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Daemon, type DiskInfo } from '../kit/daemon.ts';
import { describe, run, runOk } from '../kit/run.ts';
import { freePort, makeDirectory, removeDirectory } from '../kit/temp.ts';

const PHASE_TIMEOUT_MS = 60_000;

let directory = '';
let program = '';

test.before('build', async () => {
  directory = await makeDirectory('petal-two-hosts-');
  program = join(directory, 'two-hosts');
  const from = join(import.meta.dirname, 'two-hosts');
  const sources = ['main.c', 'reservations.c', 'vaai.c'].map((name) => join(from, name));
  const strict = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror'];
  await runOk('cc', [...strict, '-o', program, ...sources, '-liscsi']);
});

test.after.always('remove', () => removeDirectory(directory));

/** A daemon whose two portals keep their ports over a restart, and how to run a phase against it. */
async function serve(t: ExecutionContext, storeSize: string, size: string) {
  const portals = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const args = portals.flatMap((portal) => ['--iscsi', portal]);
  const daemon = await Daemon.forTest(t, { storeSize, args });
  const disk: DiskInfo = await daemon.createDisk('shared', size);
  const phase = async (name: string): Promise<string> => {
    const result = await run(program, [disk.iqn, ...portals, name], {
      timeoutMs: PHASE_TIMEOUT_MS,
    });
    t.is(result.status, 0, describe(result));
    return result.stdout;
  };
  return { daemon, phase };
}

test('reservations of a cluster: kept over a kill and a restart, preempted, aborted', async (t) => {
  const { daemon, phase } = await serve(t, '512MiB', '256MiB');
  await phase('reserve');
  await daemon.kill();
  await daemon.launch();
  await phase('held');
  await daemon.stop();
  await daemon.launch();
  await phase('preempt');
});

test('VAAI: ATS, Zero, Delete, Clone, over a restart', async (t) => {
  const { daemon, phase } = await serve(t, '512MiB', '256MiB');
  t.regex(await phase('vaai'), /300 rounds: host a won \d+, host b \d+/);
  await daemon.kill();
  await daemon.launch();
  await phase('vaai');
});

test('a pool without room says 27/07, and has room again after Delete', async (t) => {
  const { phase } = await serve(t, '128MiB', '1GiB');
  await phase('full');
});
