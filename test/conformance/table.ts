/** Figures and tables of a conformance run: for people on the terminal and for docs/. */
import { Outcome, type TestOutcome } from './cunit.ts';
import type { ConformanceRun } from './suites.ts';

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

/** A table a suite, then every test that did not pass with its reason. */
export function markdown(run: ConformanceRun): string {
  const suites = new Map<string, TestOutcome[]>();
  for (const outcome of run.outcomes) {
    const list = suites.get(outcome.suite);
    if (list === undefined) suites.set(outcome.suite, [outcome]);
    else list.push(outcome);
  }
  const row = (name: string, { passed, failed, skipped, hung }: Counts) =>
    `| ${name} | ${passed} | ${failed} | ${skipped} | ${hung} |`;
  const others = run.outcomes.filter(({ outcome }) => outcome !== Outcome.passed);
  return [
    '| suite | passed | failed | skipped | hung |',
    '| --- | --: | --: | --: | --: |',
    ...[...suites].map(([suite, outcomes]) => row(suite, count(outcomes))),
    row('**all**', count(run.outcomes)),
    '',
    '| test | outcome | why, in the words of the tool |',
    '| --- | --- | --- |',
    ...others.map(
      ({ suite, test, outcome, reason }) =>
        `| ${suite}.${test} | ${outcome} | ${reason.replaceAll('|', '\\|')} |`,
    ),
    '',
  ].join('\n');
}
