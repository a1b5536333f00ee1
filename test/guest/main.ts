/**
 * `npm run test:guest`: the daemon served to a real Linux host. Each job runs in a fresh guest with
 * the kernel's initiator against a disk of its own; the last line counts them, the exit status is 0
 * when none failed. docs/guest-tests.md says what is shown.
 */
import { randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bed, openBed } from './bed.ts';
import { type Job, jobs, library, script } from './jobs.ts';
import { runLogged } from './log-writes/run.ts';
import { type GuestResult, runGuest } from './machine.ts';
import { type GuestServer, type JobDisk, PetalServer, ServerKind } from './server.ts';
import { TgtServer } from './tgt.ts';

const USAGE = `npm run test:guest -- [--only NAME]… [--server petal|tgt] [--accelerator tcg|kvm]
                        [--keep DIRECTORY] [--verbose] [--list] [--seed N]
  --seed   of the load of the log-writes jobs; default a new one, which is printed
  --keep   leave each job's output and files there
  --verbose  print the output of jobs that passed too`;

interface Options {
  readonly only: readonly string[];
  readonly server: ServerKind;
  readonly accelerator: string;
  readonly keep: string | null;
  readonly verbose: boolean;
  readonly list: boolean;
  readonly seed: number;
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      server: { type: 'string', default: ServerKind.petal },
      accelerator: { type: 'string', default: 'tcg' },
      keep: { type: 'string' },
      verbose: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    },
  });
  const server = Object.values(ServerKind).find((kind) => kind === values.server);
  if (server === undefined) throw new Error(`no such server: ${values.server}`);
  for (const name of values.only) {
    if (!jobs.some((job) => job.name === name)) throw new Error(`no such job: ${name}`);
  }
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`no seed: ${values.seed}`);
  return { ...values, server, seed, keep: values.keep ?? null };
}

/** An interrupted run ends its guest and its server as any other run does. */
const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupt.abort());
}

const note = (text: string): void => console.log(text);

/** One job in one guest. Resolves to null when it passed, else to what went wrong. */
async function runJob(
  bed: Bed,
  server: GuestServer,
  job: Job,
  chosen: Options,
): Promise<string | null> {
  let result: GuestResult;
  try {
    const disk = job.sizeMiB === null ? null : await server.disk(job.name, job.sizeMiB);
    result = await runGuest(bed, {
      script: script(job),
      files: { ...library(), environment: disk === null ? '' : environment(server.kind, disk) },
      timeoutS: job.timeoutS,
      restrict: disk === null,
      accelerator: chosen.accelerator,
      interrupt: interrupt.signal,
      answer: (words) => answer(server, job, words),
    });
    server.assertAlive();
  } catch (error) {
    return `${(error as Error).message}\n${serverTail(server)}`;
  }
  if (chosen.keep !== null) await keep(join(chosen.keep, job.name), result);
  if (result.status !== 0) {
    const iscsid = result.files.get('iscsid.log')?.toString('utf8') ?? '';
    return [storyOf(result), `iscsid:\n${iscsid}`, serverTail(server)].join('\n');
  }
  if (chosen.verbose) note(result.output);
  return null;
}

/** As `runJob`, with a server of the job's own where it needs one. */
async function runAlone(
  bed: Bed,
  shared: GuestServer,
  job: Job,
  chosen: Options,
): Promise<string | null> {
  if (job.logged !== undefined) return runStore(bed, job, chosen);
  if (job.storeSize === undefined) return runJob(bed, shared, job, chosen);
  const own = await PetalServer.start(job.storeSize);
  try {
    return await runJob(bed, own, job, chosen);
  } finally {
    await own.stop();
  }
}

/** A job whose store is in the guest. */
async function runStore(bed: Bed, job: Job, chosen: Options): Promise<string | null> {
  try {
    const { seed } = chosen;
    const result = await runLogged(bed, { ...job.logged!, seed }, note, {
      script: script(job),
      files: library(),
      timeoutS: job.timeoutS,
      accelerator: chosen.accelerator,
      interrupt: interrupt.signal,
    });
    if (chosen.keep !== null) await keep(join(chosen.keep, job.name), result);
    if (chosen.verbose) note(result.output);
    return result.status === 0 ? null : storyOf(result);
  } catch (error) {
    return (error as Error).message;
  }
}

const storyOf = ({ status, output, files }: GuestResult): string =>
  [`exit status ${status}`, output, files.get('diagnosis')?.toString('utf8') ?? ''].join('\n');

async function answer(server: GuestServer, job: Job, words: readonly string[]): Promise<string> {
  if (job.sizeMiB !== null) return server.answer(job.name, words);
  if (words[0] === 'echo') return words.slice(1).join('|');
  throw new Error(`the host does not know "${words[0]}"`);
}

const environment = (kind: ServerKind, disk: JobDisk): string =>
  [
    `KIND=${kind}`,
    `TARGET=${disk.target}`,
    `LUN=${disk.lun}`,
    `SIZE=${disk.size}`,
    `PORTALS='${disk.portals.join(' ')}'`,
    '',
  ].join('\n');

const SERVER_TAIL_LINES = 40;
const serverTail = (server: GuestServer): string =>
  `the server's log:\n${server.log().split('\n').slice(-SERVER_TAIL_LINES).join('\n')}`;

async function keep(directory: string, result: GuestResult): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const [name, content] of result.files) {
    await writeFile(join(directory, name.replaceAll('/', '_')), content);
  }
}

async function main(chosen: Options): Promise<number> {
  const wanted = jobs.filter(
    (job) =>
      job.servers.includes(chosen.server) &&
      (chosen.only.length === 0 || chosen.only.includes(job.name)),
  );
  if (chosen.list) {
    for (const job of wanted) note(`${job.name.padEnd(12)} ${job.promise}`);
    return 0;
  }
  if (wanted.length === 0) throw new Error(`no such job runs against ${chosen.server}`);
  const bed = await openBed(note);
  const server =
    chosen.server === ServerKind.tgt ? await TgtServer.start() : await PetalServer.start();
  let failed = 0;
  try {
    for (const job of wanted) {
      if (interrupt.signal.aborted) throw new Error('interrupted');
      const started = performance.now();
      const trouble = await runAlone(bed, server, job, chosen);
      const elapsedS = ((performance.now() - started) / 1000).toFixed(0);
      if (trouble !== null) failed += 1;
      const word = trouble === null ? 'passed' : 'FAILED';
      note(`${word}  ${job.name.padEnd(10)} ${elapsedS.padStart(4)} s  ${job.promise}`);
      if (trouble !== null) note(trouble.replaceAll(/^/gm, '    '));
    }
  } finally {
    await server.stop();
  }
  note(`${wanted.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

let chosen: Options;
try {
  chosen = options();
} catch (error) {
  console.error(`${(error as Error).message}\n${USAGE}`);
  process.exit(2);
}
try {
  process.exitCode = await main(chosen);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
