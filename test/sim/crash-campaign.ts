/**
 * Crash points by the hundred thousand: for each layout a trace of many disk writes, with snapshots, clones,
 * rollbacks, groups and removals in the load, cleaning and checkpoints going on all the time; for those with
 * redundancy also traces in which a disk is lost and rebuilt, or replaced, under the load.
 */
import type { Layout } from '../../storage/disk/array/geometry.ts';
import * as one from '../../storage/map/open.ts';
import { ourSoftware } from './array-bed.ts';
import { arrayChanges } from './array-changes.ts';
import { type ArrayLoad, checkArray, recordArray } from './array-crash.ts';
import {
  type CheckOptions,
  emptyVerdict,
  pointsOf,
  type Recording,
  type Verdict,
} from './crash-check.ts';
import { check, crashStore, record } from './crash-points.ts';

export interface Case {
  readonly name: string;
  readonly layout: Layout;
  readonly disks: number;
  readonly change?: keyof typeof arrayChanges;
  /** Which disks are lost, one in each state; -1: none. */
  readonly lose: readonly number[];
  /** Its part of the states and of the writes. */
  readonly share: number;
  readonly writes: number;
}

const lose = (disks: number): number[] => [-1, ...Array(disks).keys()];

/** A moving case has a trace of a quarter: the move is in the middle of it. */
export const cases: readonly Case[] = [
  { name: 'single', layout: 'single', disks: 1, lose: [-1], share: 0.4, writes: 1 },
  { name: 'striped', layout: 'striped', disks: 3, lose: [-1], share: 0.16, writes: 1 },
  { name: 'mirrored', layout: 'mirrored', disks: 2, lose: lose(2), share: 0.16, writes: 1 },
  { name: 'parity', layout: 'parity', disks: 3, lose: lose(3), share: 0.16, writes: 1 },
  ...moving('mirrored', 2),
  ...moving('parity', 3),
];

function moving(layout: Layout, disks: number): Case[] {
  const common = { layout, disks, share: 0.03, writes: 0.25 };
  return [
    // The lost one is the one that may be lost: another was not there to be borne.
    { ...common, name: `${layout}, rebuilt`, change: 'rebuilt', lose: [-1, 1] },
    { ...common, name: `${layout}, replaced`, change: 'replaced', lose: lose(disks + 1) },
  ];
}

export interface Traced {
  readonly recording: Recording;
  readonly images: Readonly<Record<string, number>>;
  check(options: CheckOptions): Promise<Verdict>;
}

/** A trace of at least so many disk writes. */
export async function trace(of: Case, seed: number, writes: number): Promise<Traced> {
  const common = { seed, writes: Math.ceil(writes * of.writes), options: crashStore };
  if (of.layout === 'single') {
    const size = 24 * 1024 * 1024;
    const recording = await record(one, { ...common, operations: 500, size, images: true });
    const judge = (options: CheckOptions): Promise<Verdict> => check(one, recording, options);
    return { recording, images: recording.images, check: judge };
  }
  const software = await ourSoftware();
  const { layout, disks, change } = of;
  const load: ArrayLoad = { ...common, software, layout, disks, operations: 600, images: true };
  const recording = await recordArray(
    change === undefined ? load : { ...load, during: arrayChanges[change] },
  );
  const judge = (options: CheckOptions): Promise<Verdict> =>
    checkArray(recording, { ...options, software, lose: of.lose });
  return { recording, images: recording.images, check: judge };
}

/** How a trace is looked at so that about `states` states are judged: all its points if that is enough. */
export function planFor(
  recording: Recording,
  states: number,
): Pick<CheckOptions, 'every' | 'ways' | 'subsets'> {
  const points = pointsOf(recording);
  // Odd: writes and what makes them durable often alternate.
  const every = Math.floor(points / states) | 1;
  if (states < points) return { every, ways: 1, subsets: 3 };
  const ways = Math.ceil(states / points);
  return { every: 1, ways, subsets: Math.max(3, ways - 2) };
}

export function addVerdict(sum: Verdict, verdict: Verdict): void {
  sum.states += verdict.states;
  sum.reopened += verdict.reopened;
  sum.whole += verdict.whole;
  sum.degraded += verdict.degraded;
  for (const mode of Object.keys(sum.modes) as (keyof Verdict['modes'])[]) {
    sum.modes[mode] += verdict.modes[mode];
  }
  sum.violations.push(...verdict.violations);
}

export const total = (verdicts: Iterable<Verdict>): Verdict => {
  const sum = emptyVerdict();
  for (const verdict of verdicts) addVerdict(sum, verdict);
  return sum;
};
