/**
 * What iscsi-test-cu 1.19 prints, parsed. CUnit counts a test that skipped itself as passed; here a
 * test is passed only when it passed and said [SKIPPED] nowhere.
 *
 *   Suite: NAME
 *     Test: NAME ...    [SKIPPED] why
 *   passed
 *     Test: NAME ...FAILED
 *       1. file.c:98  - CU_ASSERT_EQUAL(…)
 */

export const Outcome = {
  passed: 'passed',
  failed: 'failed',
  skipped: 'skipped',
  /** It was running when the time limit came or the tool died. */
  hung: 'hung',
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

export interface TestOutcome {
  readonly suite: string;
  readonly test: string;
  readonly outcome: Outcome;
  /** The first assertion that failed or the reason of the skip; empty for a pass. */
  readonly reason: string;
}

/** `ALL.Suite.Test` lines of `iscsi-test-cu --list`, by suite, in order. */
export function parseList(text: string): Map<string, string[]> {
  const suites = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [family, suite, test] = line.trim().split('.');
    if (family !== 'ALL' || suite === undefined || test === undefined) continue;
    const tests = suites.get(suite);
    if (tests === undefined) suites.set(suite, [test]);
    else tests.push(test);
  }
  return suites;
}

/** Outcomes of the tests that began; the last one is `hung` when it has no verdict. */
export function parseRun(suite: string, output: string): TestOutcome[] {
  const body = output.split(/^Run Summary:/m)[0] ?? '';
  return body
    .split(/^ {2}Test: /m)
    .slice(1)
    .map((text) => parseTest(suite, text));
}

function parseTest(suite: string, text: string): TestOutcome {
  const at = text.indexOf(' ...');
  const test = text.slice(0, at < 0 ? undefined : at).trim();
  const said = at < 0 ? '' : text.slice(at + 4);
  const lines = said.split('\n').map((line) => line.trim());
  // The verdict begins a line; what the suite's tear-down says may follow on the same one.
  const verdict = lines.find((line) => /^(passed|FAILED)/.test(line));
  const skip = lines.find((line) => line.includes('[SKIPPED]'));
  if (verdict === undefined) return { suite, test, outcome: Outcome.hung, reason: '' };
  if (verdict.startsWith('FAILED')) {
    const assertion = lines.find((line) => /^\d+\. /.test(line)) ?? '';
    const note = lines.find((line) => line.startsWith('[FAILED]')) ?? '';
    const reason = [assertion.replace(/^\d+\. /, '').replace(/ +/g, ' '), note]
      .filter((part) => part !== '')
      .join('; ');
    return { suite, test, outcome: Outcome.failed, reason };
  }
  if (skip !== undefined) {
    return { suite, test, outcome: Outcome.skipped, reason: skip.replace('[SKIPPED] ', '') };
  }
  return { suite, test, outcome: Outcome.passed, reason: '' };
}
