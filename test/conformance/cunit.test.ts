/** A skip is not a pass, a test without a verdict hung: the counting that CUnit does not do. */
import test from 'ava';
import { Outcome, parseList, parseRun } from './cunit.ts';

const HEAD = `

     CUnit - A unit testing framework for C - Version 2.1-3
     http://cunit.sourceforge.net/


Suite: Sample
`;
const SUMMARY = `
Run Summary:    Type  Total    Ran Passed Failed Inactive
              suites      1      1    n/a      0        0
               tests      3      3      2      1        0
`;

const table: ReadonlyArray<{ said: string; outcome: Outcome; reason: string }> = [
  { said: '  Test: A ...passed\n', outcome: Outcome.passed, reason: '' },
  {
    said: '  Test: A ...    Take out a RESERVE6\n    Release it\npassed\n',
    outcome: Outcome.passed,
    reason: '',
  },
  {
    said: '  Test: A ...    [SKIPPED] not implemented.\npassed\n',
    outcome: Outcome.skipped,
    reason: 'not implemented.',
  },
  {
    said: '  Test: A ...FAILED\n    1. test_a.c:98  - CU_ASSERT_EQUAL(_r,0)\n    2. test_a.c:99  - X\n',
    outcome: Outcome.failed,
    reason: 'test_a.c:98 - CU_ASSERT_EQUAL(_r,0)',
  },
  {
    said: '  Test: A ...    [SKIPPED] partly\n    [FAILED] status 2\nFAILED\n    1. a.c:1  - Y\n',
    outcome: Outcome.failed,
    reason: 'a.c:1 - Y; [FAILED] status 2',
  },
  {
    said: '  Test: A ...passed    [FAILED] PRIN in the tear-down\n',
    outcome: Outcome.passed,
    reason: '',
  },
  { said: '  Test: A ...', outcome: Outcome.hung, reason: '' },
  { said: '  Test: A ...    Write 1 block\n', outcome: Outcome.hung, reason: '' },
];

for (const { said, outcome, reason } of table) {
  test(`${JSON.stringify(said)} is ${outcome}`, (t) => {
    const expected = [{ suite: 'Sample', test: 'A', outcome, reason }];
    t.deepEqual(parseRun('Sample', HEAD + said), expected);
    if (outcome !== Outcome.hung) t.deepEqual(parseRun('Sample', HEAD + said + SUMMARY), expected);
  });
}

test('a run that stopped early has no outcome for the tests that had not begun', (t) => {
  const outcomes = parseRun('Sample', `${HEAD}  Test: A ...passed\n  Test: B ...`);
  t.deepEqual(
    outcomes.map((each) => [each.test, each.outcome]),
    [
      ['A', Outcome.passed],
      ['B', Outcome.hung],
    ],
  );
});

test('the list has the family ALL by suite', (t) => {
  const text = 'ALL\nALL.Read6\nALL.Read6.Simple\nALL.Read6.BeyondEol\nSCSI.Read6.Simple\n';
  t.deepEqual([...parseList(text)], [['Read6', ['Simple', 'BeyondEol']]]);
});
