/** The figures of `--neighbours` as a Markdown table. */
import { median } from './figures.ts';

export type Condition =
  | 'alone'
  | 'slow reader'
  | '1,000 strangers come, evenly'
  | '1,000 strangers come at once'
  | '1,000 strangers are timed out';

/** One measurement under one condition. */
export interface Visit {
  readonly round: number;
  readonly condition: Condition;
  readonly p99Us: number;
  /** Resident memory of the server, bytes. */
  readonly before: number;
  readonly during: number;
  readonly after: number;
}

/** The latency against that of the same round alone. */
export function latencyRatios(visits: readonly Visit[], condition: Condition): number[] {
  const alone = new Map(
    visits.filter((each) => each.condition === 'alone').map((each) => [each.round, each.p99Us]),
  );
  return visits
    .filter((each) => each.condition === condition)
    .map(({ round, p99Us }) => p99Us / (alone.get(round) ?? Number.NaN));
}

export function neighbourTable(visits: readonly Visit[]): string {
  const conditions = [...new Set(visits.map(({ condition }) => condition))];
  return [
    '| meanwhile | p99 of the reader, µs | against alone: median (range) | RSS before | during | after | cost |',
    '| --- | --: | --: | --: | --: | --: | --: |',
    ...conditions.sort().map((condition) => row(visits, condition)),
  ].join('\n');
}

function row(visits: readonly Visit[], condition: Condition): string {
  const these = visits.filter((each) => each.condition === condition);
  const middle = (of: (visit: Visit) => number) => median(these.map(of));
  const ratios = latencyRatios(visits, condition);
  const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
  const memory = [
    middle(({ before }) => before),
    middle(({ during }) => during),
    middle(({ after }) => after),
    middle(({ before, during }) => during - before),
  ];
  return (
    `| ${condition} | ${Math.round(middle(({ p99Us }) => p99Us))} | ` +
    `${median(ratios).toFixed(2)}× (${range}) | ${memory.map(mebibytes).join(' | ')} |`
  );
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
