/** Medians, ranges and ratios of a bench, as a Markdown table. */
import type { Measurement, Workload } from './workloads.ts';

export interface Series {
  readonly load: Workload;
  /** One a round, ours and the peer's of the same round side by side. */
  readonly ours: readonly Measurement[];
  readonly theirs: readonly Measurement[];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

/** Ours over theirs, round by round, so that a slow moment of the machine hits both. */
export function rateRatios({ ours, theirs }: Series): number[] {
  return ours.map(({ rate }, round) => rate / (theirs[round]?.rate ?? Number.NaN));
}

export function table(series: readonly Series[]): string {
  return [
    '| workload | this target, IOPS | tgt O_SYNC, IOPS | ratio: median (range) | CPU µs/op, ours : tgt |',
    '| --- | --: | --: | --: | --: |',
    ...series.map(row),
  ].join('\n');
}

function row(series: Series): string {
  const rate = (side: readonly Measurement[]) =>
    Math.round(median(side.map((each) => each.rate))).toLocaleString('en-US');
  const ratios = rateRatios(series);
  const range = `${figure(Math.min(...ratios))}–${figure(Math.max(...ratios))}`;
  const [ours, theirs] = [processor(series.ours), processor(series.theirs)];
  const processorText = ours === null || theirs === null ? '–' : `${ours} : ${theirs}`;
  return (
    `| ${series.load.name} (${series.load.tool}) | ${rate(series.ours)} | ${rate(series.theirs)} | ` +
    `${figure(median(ratios))}× (${range}) | ${processorText} |`
  );
}

function processor(side: readonly Measurement[]): string | null {
  const values = side.flatMap(({ processorUs }) => (processorUs === null ? [] : [processorUs]));
  return values.length === 0 ? null : median(values).toFixed(1);
}

function figure(ratio: number): string {
  return ratio.toFixed(2);
}
