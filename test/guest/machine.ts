/**
 * Runs one shell job in a fresh guest under QEMU and returns its exit status, output and files.
 *
 * The guest starts from the same bytes each time and keeps nothing. Its only way out is QEMU's user
 * network: the host's loopback is 10.0.2.2 there, nothing outside reaches the guest. Everything is
 * under a time limit: the guest's own first, so that it can say what hung, then QEMU's life.
 */
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { runOk } from '#test/kit/run.ts';
import { makeDirectory, removeDirectory } from '#test/kit/temp.ts';
import type { Bed } from './bed.ts';
import { formatReply, LineSplitter, parseLine } from './wire.ts';

export interface GuestJob {
  /** Bash; runs as root in /job, beside `files`. What it leaves in /out comes back. */
  readonly script: string;
  /** By relative path. */
  readonly files?: Readonly<Record<string, string>>;
  /** For the job itself; the boot and the clearing up have their own allowance. */
  readonly timeoutS: number;
  /** From /dev/vdd on: disks of the job's own, which the caller keeps. */
  readonly disks?: readonly GuestDisk[];
  /** No network at all. */
  readonly restrict?: boolean;
  /** QEMU's: "tcg" (default) works everywhere, "kvm" needs /dev/kvm. */
  readonly accelerator?: string;
  /** Ends the guest at once; the run is then a failure. */
  readonly interrupt?: AbortSignal;
  /** Answers `host WORD…` of the job. A rejection makes `host` fail with the message. */
  readonly answer?: (words: readonly string[]) => Promise<string>;
}

export interface GuestDisk {
  /** An image as it is on the disk. */
  readonly path: string;
  readonly readOnly: boolean;
}

export interface GuestResult {
  readonly status: number;
  /** stdout and stderr of the job in the order in which they came. */
  readonly output: string;
  readonly files: ReadonlyMap<string, Buffer>;
  readonly elapsedMs: number;
}

const MEMORY_MIB = 768;
const RESULT_BYTES_MAX = 64 * 1024 * 1024;
/** Boot, diagnosis and power-off under emulation on a busy machine; 7 s in quiet. */
const OVERHEAD_S = 90;
const CONSOLE_TAIL_LINES = 60;

/** Throws with the end of the console when the guest dies or its time is over. */
export async function runGuest(bed: Bed, job: GuestJob): Promise<GuestResult> {
  const directory = await makeDirectory('petal-guest-');
  const started = performance.now();
  try {
    await writeDisks(directory, job);
    const end = await boot(bed, job, directory);
    if (end.status === null) throw new Error(await story(directory, job, end));
    const files = await readResults(directory);
    const output = files.get('output')?.toString('utf8') ?? '';
    return { status: end.status, output, files, elapsedMs: performance.now() - started };
  } finally {
    await removeDirectory(directory);
  }
}

async function writeDisks(directory: string, job: GuestJob): Promise<void> {
  const files = { ...job.files, 'job.sh': job.script, limit: `${job.timeoutS}\n` };
  const tree = join(directory, 'job');
  for (const [name, text] of Object.entries(files)) {
    const path = join(tree, name);
    if (normalize(name) !== name || !path.startsWith(`${tree}/`)) {
      throw new Error(`not a path inside the job: ${name}`);
    }
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  await runOk('tar', ['-C', tree, '-cf', join(directory, 'in.tar'), '.']);
  await writeFile(join(directory, 'out.tar'), '');
  await truncate(join(directory, 'out.tar'), RESULT_BYTES_MAX);
}

async function readResults(directory: string): Promise<Map<string, Buffer>> {
  const tree = join(directory, 'out');
  await mkdir(tree);
  await runOk('tar', ['-C', tree, '--no-same-owner', '-xf', join(directory, 'out.tar')]);
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(tree.length + 1), await readFile(path));
  }
  return files;
}

function qemuArguments(bed: Bed, job: GuestJob, directory: string): string[] {
  const disk = (id: string, file: string, readOnly: boolean): string[] => [
    ...['-drive', `if=none,id=${id},format=raw,file=${file},readonly=${readOnly ? 'on' : 'off'}`],
    ...['-device', `virtio-blk-pci,drive=${id}`],
  ];
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ...['-machine', 'q35', '-accel', job.accelerator ?? 'tcg', '-cpu', 'max'],
    ...['-smp', '1', '-m', String(MEMORY_MIB)],
    ...['-kernel', bed.kernel, '-initrd', bed.initrd],
    ...['-append', 'console=ttyS0 quiet panic=-1 net.ifnames=0'],
    ...['-serial', `file:${join(directory, 'console')}`],
    ...['-chardev', 'stdio,id=lines,signal=off', '-serial', 'chardev:lines'],
    ...disk('root', bed.root, true),
    ...disk('in', join(directory, 'in.tar'), true),
    ...disk('out', join(directory, 'out.tar'), false),
    ...(job.disks ?? []).flatMap(({ path, readOnly }, index) => disk(`d${index}`, path, readOnly)),
    ...['-netdev', `user,id=net,restrict=${job.restrict === true ? 'on' : 'off'}`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile=', '-device', 'virtio-rng-pci'],
  ];
}

interface End {
  /** The job's, or null when the guest ended without telling one. */
  readonly status: number | null;
  readonly timedOut: boolean;
  readonly stderr: string;
}

/** Resolves when QEMU has ended, by itself or at its time limit. */
function boot(bed: Bed, job: GuestJob, directory: string): Promise<End> {
  const child = spawn('qemu-system-x86_64', qemuArguments(bed, job, directory), {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let status: number | null = null;
  let timedOut = false;
  let stderr = '';
  const lines = new LineSplitter();
  const onLine = async (line: string): Promise<void> => {
    const said = parseLine(line);
    if (said.kind === 'exit') {
      status = said.status;
      return;
    }
    const reply = await answer(job, said.words);
    // The guest may be gone by now; its end is told by 'close'.
    if (child.stdin.writable) child.stdin.write(reply);
  };
  const fail = (error: Error): void => {
    stderr += `${error.message}\n`;
    child.kill('SIGKILL');
  };
  child.stdin.on('error', () => {});
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-RESULT_BYTES_MAX);
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    try {
      for (const line of lines.push(text)) onLine(line).catch(fail);
    } catch (error) {
      fail(error as Error);
    }
  });
  const limit = setTimeout(
    () => {
      timedOut = true;
      child.kill('SIGKILL');
    },
    (job.timeoutS + OVERHEAD_S) * 1000,
  );
  const onAbort = (): void => fail(new Error('interrupted'));
  job.interrupt?.addEventListener('abort', onAbort);
  return new Promise((resolve, reject) => {
    const settle = (then: () => void): void => {
      clearTimeout(limit);
      job.interrupt?.removeEventListener('abort', onAbort);
      then();
    };
    child.once('error', (error) => settle(() => reject(error)));
    child.once('close', () => settle(() => resolve({ status, timedOut, stderr })));
  });
}

async function answer(job: GuestJob, words: readonly string[]): Promise<string> {
  if (job.answer === undefined) return formatReply(1, 'nobody answers in this job\n');
  try {
    return formatReply(0, await job.answer(words));
  } catch (error) {
    return formatReply(1, `${(error as Error).message}\n`);
  }
}

async function story(directory: string, job: GuestJob, end: End): Promise<string> {
  const console = await readFile(join(directory, 'console'), 'utf8').catch(() => '');
  const tail = console.split('\n').slice(-CONSOLE_TAIL_LINES).join('\n');
  const why = end.timedOut
    ? `the guest was killed: not done within ${job.timeoutS} s and ${OVERHEAD_S} s to boot and end`
    : 'the guest ended without an exit status';
  return `${why}\n${end.stderr}\nThe end of its console:\n${tail}`;
}
