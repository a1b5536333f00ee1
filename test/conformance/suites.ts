/**
 * Runs iscsi-test-cu's family ALL against a peer, one suite a process, so that a hang costs one suite
 * its time limit and not the run. When a suite hangs or dies, the tests that had not begun are run one
 * by one, and the peer is started anew if it no longer answers.
 */

import { run } from '../kit/run.ts';
import type { ConformancePeer } from './configurations.ts';
import { Outcome, parseList, parseRun, type TestOutcome } from './cunit.ts';

/** The slowest suite takes about 10 s against tgt. */
const SUITE_TIMEOUT_MS = 120_000;
/** Sanitize.Reset looks once a minute whether the operation has ended. */
const TEST_TIMEOUT_MS = 180_000;
const PROBE_TIMEOUT_MS = 10_000;
/** These want a second path to the same LUN; a second session through one portal is one, too. */
const MULTIPATH_SUITES = ['MultipathIO'];

export interface ConformanceRun {
  readonly peer: string;
  readonly outcomes: readonly TestOutcome[];
  /** What went wrong outside of the tests: the peer's deaths and restarts. */
  readonly incidents: readonly string[];
  readonly elapsedMs: number;
}

export async function listSuites(): Promise<Map<string, string[]>> {
  const result = await run('iscsi-test-cu', ['--list']);
  const suites = parseList(result.output);
  if (suites.size === 0) throw new Error(`iscsi-test-cu --list gave no suites:\n${result.output}`);
  return suites;
}

/** `all`: every test by suite; a suite of which only a part is wanted is run test by test. */
export async function runSuites(
  peer: ConformancePeer,
  suites: ReadonlyMap<string, readonly string[]>,
  all: ReadonlyMap<string, readonly string[]>,
  progress: (outcomes: readonly TestOutcome[]) => void = () => {},
): Promise<ConformanceRun> {
  const started = performance.now();
  const outcomes: TestOutcome[] = [];
  const incidents: string[] = [];
  for (const [suite, tests] of suites) {
    const isWhole = tests.length === all.get(suite)?.length;
    const found = await runSuite(peer, suite, tests, { isWhole, incidents });
    outcomes.push(...found);
    progress(found);
  }
  return { peer: peer.name, outcomes, incidents, elapsedMs: performance.now() - started };
}

async function runSuite(
  peer: ConformancePeer,
  suite: string,
  tests: readonly string[],
  { isWhole, incidents }: { readonly isWhole: boolean; readonly incidents: string[] },
): Promise<TestOutcome[]> {
  const found = new Map<string, TestOutcome>();
  const attempt = async (filter: string, timeoutMs: number) => {
    const result = await runTool(peer, suite, filter, timeoutMs);
    for (const outcome of parseRun(suite, result.output)) found.set(outcome.test, outcome);
    // 0: all passed, 1: some failed; both only with a summary at the end.
    const ended = result.status === 0 || result.status === 1;
    if (ended && result.output.includes('Run Summary:')) return;
    const how = result.timedOut ? 'hung' : `ended with ${result.status ?? result.signal}`;
    incidents.push(`${filter}: iscsi-test-cu ${how}: ${lastLine(result.output)}`);
    await revive(peer, filter, incidents);
  };
  if (isWhole) await attempt(`ALL.${suite}`, SUITE_TIMEOUT_MS);
  for (const test of tests) {
    if (!found.has(test)) await attempt(`ALL.${suite}.${test}`, TEST_TIMEOUT_MS);
    if (!found.has(test)) found.set(test, { suite, test, outcome: Outcome.hung, reason: 'no run' });
  }
  return tests.map((test) => {
    const outcome = found.get(test);
    if (outcome === undefined) throw new Error(`${suite}.${test} has no outcome`);
    return outcome;
  });
}

function runTool(peer: ConformancePeer, suite: string, filter: string, timeoutMs: number) {
  const urls = MULTIPATH_SUITES.includes(suite)
    ? [peer.url, peer.secondUrl ?? peer.url]
    : [peer.url];
  const flags = ['--verbose', '--dataloss', '--allow-sanitize', `--test=${filter}`];
  return run('iscsi-test-cu', [...flags, ...urls], { timeoutMs });
}

/** Leaves a peer that answers; writes down what it took. */
async function revive(peer: ConformancePeer, after: string, incidents: string[]): Promise<void> {
  const probe = await run('iscsi-inq', [peer.url], { timeoutMs: PROBE_TIMEOUT_MS });
  if (peer.isRunning && probe.status === 0) return;
  incidents.push(`${after}: ${peer.isRunning ? 'no answer from' : 'crash of'} ${peer.name}`);
  await peer.restart();
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? '';
}
