/** Two servers under the same loads, one at a time, round by round. */

import type { Load, LoadGenerator, LoadReport } from './loadgen.ts';
import { type Goal, type RatioSeries, ratioRow } from './ratio-table.ts';

export interface GoalLoad extends Goal {
  readonly name: string;
  readonly ours: Load;
  /** As ours unless said. */
  readonly theirs?: Load;
}

export interface LoadedSide {
  /** `iscsi://…` of the LUN that the load goes to. */
  url(load: GoalLoad): string;
  readonly pid: number;
}

export interface Rounds {
  readonly rounds: number;
  readonly seconds: number;
}

/** Those whose name has one of the texts; throws when none has. */
export function chosen(
  loads: readonly GoalLoad[],
  only: readonly string[] | undefined,
): readonly GoalLoad[] {
  const found = loads.filter(({ name }) => only?.some((text) => name.includes(text)) ?? true);
  if (found.length === 0) throw new Error(`no workload has ${only?.join(' or ')} in its name`);
  return found;
}

/** Who goes first alternates, so that neither always follows the other. Rows go to stderr as they come. */
export async function sideBySide(
  generator: LoadGenerator,
  [ours, theirs]: readonly [LoadedSide, LoadedSide],
  loads: readonly GoalLoad[],
  { rounds, seconds }: Rounds,
): Promise<RatioSeries[]> {
  const series: RatioSeries[] = [];
  for (const load of loads) {
    const one: RatioSeries = { ...load, ours: [], theirs: [] };
    const measure = async (side: LoadedSide, shape: Load, into: LoadReport[]) => {
      into.push(await generator.measure(shape, { url: side.url(load), pid: side.pid, seconds }));
    };
    const us = () => measure(ours, load.ours, one.ours);
    const them = () => measure(theirs, load.theirs ?? load.ours, one.theirs);
    for (let round = 0; round < rounds; round++) {
      for (const turn of round % 2 === 0 ? [us, them] : [them, us]) await turn();
    }
    series.push(one);
    console.error(ratioRow(one));
  }
  return series;
}
