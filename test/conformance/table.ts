/** Figures and tables of a conformance run: for people on the terminal and for docs/. */
import { Outcome, type TestOutcome } from './cunit.ts';
import type { MergedOutcome } from './merge.ts';

export type Counts = Record<Outcome, number>;

export function count(outcomes: readonly TestOutcome[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0, hung: 0 };
  for (const { outcome } of outcomes) counts[outcome]++;
  return counts;
}

export function suiteLine(outcomes: readonly TestOutcome[]): string {
  const { passed, failed, skipped, hung } = count(outcomes);
  const notes = outcomes
    .filter(({ outcome }) => outcome === Outcome.failed || outcome === Outcome.hung)
    .map(({ test, outcome, reason }) => `\n    ${outcome} ${test}: ${reason}`);
  const name = (outcomes[0]?.suite ?? '').padEnd(24);
  const figures = [passed, failed, skipped, hung].map((figure) => String(figure).padStart(5));
  return `${name}${figures.join('')}${notes.join('')}`;
}

export const TABLE_HEAD = `${'suite'.padEnd(24)} pass fail skip hung`;

/** The last line of `npm run conformance`. */
export function verdict(outcomes: readonly TestOutcome[]): string {
  const { passed, failed, skipped, hung } = count(outcomes);
  return (
    `iscsi-test-cu: ${passed} passed, ${failed} failed, ${skipped} skipped, ` +
    `${hung} hung of ${outcomes.length}`
  );
}

/** One configuration's line of the summary. */
export function configurationLine(name: string, outcomes: readonly TestOutcome[]): string {
  const { passed, failed, skipped, hung } = count(outcomes);
  return `| ${name} | ${passed} | ${failed} | ${skipped} | ${hung} | ${outcomes.length} |`;
}

/** A table of suites, then every test that did not pass in the first configuration or not at all. */
export function markdown(merged: readonly MergedOutcome[], first: string): string {
  const suites = new Map<string, MergedOutcome[]>();
  for (const outcome of merged) {
    const list = suites.get(outcome.suite);
    if (list === undefined) suites.set(outcome.suite, [outcome]);
    else list.push(outcome);
  }
  const row = (name: string, { passed, failed, skipped, hung }: Counts) =>
    `| ${name} | ${passed} | ${failed} | ${skipped} | ${hung} |`;
  const others = merged.filter(({ outcome }) => outcome !== Outcome.passed);
  const elsewhere = merged.filter(
    ({ outcome, configurations }) => outcome === Outcome.passed && !configurations.includes(first),
  );
  const plain = (text: string) => text.replaceAll('|', '\\|');
  return [
    '| suite | passed | failed | skipped | hung |',
    '| --- | --: | --: | --: | --: |',
    ...[...suites].map(([suite, outcomes]) => row(suite, count(outcomes))),
    row('**all**', count(merged)),
    '',
    `| passed, but not with ${first} | where | deviation |`,
    '| --- | --- | --- |',
    ...elsewhere.map(
      ({ suite, test, configurations, deviation }) =>
        `| ${suite}.${test} | ${configurations.join(', ')} | ${plain(deviation?.source ?? '')} |`,
    ),
    '',
    '| not passed | outcome | where | why, in the words of the tool |',
    '| --- | --- | --- | --- |',
    ...others.map(
      ({ suite, test, outcome, reason, configurations }) =>
        `| ${suite}.${test} | ${outcome} | ${configurations.join(', ')} | ${plain(reason)} |`,
    ),
    '',
  ].join('\n');
}
