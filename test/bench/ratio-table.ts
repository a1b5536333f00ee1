/** Ours beside another's as a Markdown table: ratios of the same round, and whether a goal holds. */
import { median } from './figures.ts';
import type { LoadReport } from './loadgen.ts';

/** What the median of the rounds is to be at least; absent: reported only. */
export interface Goal {
  /** Our operations a second over theirs. */
  readonly rate?: number;
  /** Their processor time for an operation over ours. */
  readonly processor?: number;
}

export interface RatioSeries extends Goal {
  readonly name: string;
  /** One a round, both sides of the same round at the same index. */
  readonly ours: LoadReport[];
  readonly theirs: LoadReport[];
}

export function processorUs({ targetUserUs, targetSystemUs }: LoadReport): number {
  if (targetUserUs === null || targetSystemUs === null) return Number.NaN;
  return targetUserUs + targetSystemUs;
}

/** How many times better than theirs, round by round. */
export function ratesOf({ ours, theirs }: RatioSeries): number[] {
  return ours.map(({ iops }, round) => iops / (theirs[round]?.iops ?? Number.NaN));
}

export function processorRatiosOf({ ours, theirs }: RatioSeries): number[] {
  return ours.map((each, round) => {
    const other = theirs[round];
    return (other === undefined ? Number.NaN : processorUs(other)) / processorUs(each);
  });
}

export function ratioTable(series: readonly RatioSeries[]): string {
  return [
    '| workload | IOPS, ours : tgt | ratio: median (range) | goal | CPU µs/op, ours : tgt | ratio: median (range) | goal |',
    '| --- | --: | --: | --: | --: | --: | --: |',
    ...series.map(ratioRow),
  ].join('\n');
}

export function ratioRow(series: RatioSeries): string {
  const both = (of: (report: LoadReport) => number, show: (value: number) => string) =>
    [series.ours, series.theirs].map((side) => show(median(side.map(of)))).join(' : ');
  const rates = both(
    ({ iops }) => iops,
    (value) => Math.round(value).toLocaleString('en-US'),
  );
  const processor = both(processorUs, (value) => value.toFixed(1));
  return (
    `| ${series.name} | ${rates} | ${spread(ratesOf(series))} | ${goal(series.rate)} ` +
    `| ${processor} | ${spread(processorRatiosOf(series))} | ${goal(series.processor)} |`
  );
}

function spread(ratios: readonly number[]): string {
  const figure = (ratio: number) => ratio.toFixed(ratio < 10 ? 2 : 1);
  return `${figure(median(ratios))}× (${figure(Math.min(...ratios))}–${figure(Math.max(...ratios))})`;
}

function goal(least: number | undefined): string {
  return least === undefined ? '–' : `≥ ${least}×`;
}
