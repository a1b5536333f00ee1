/**
 * What the runs in several configurations come to: a test is passed when it passed in at least one and
 * failed or hung in none. A failure that a named deviation covers, and only with the words of that
 * deviation, does not count against a pass elsewhere.
 */
import type { Deviation } from './configurations.ts';
import { Outcome, type TestOutcome } from './cunit.ts';

export interface ConfiguredOutcomes {
  readonly configuration: string;
  readonly outcomes: readonly TestOutcome[];
}

export interface MergedOutcome extends TestOutcome {
  /** Those that tell: where it passed, or where it failed, hung or was skipped. */
  readonly configurations: readonly string[];
  /** The deviation that was needed, if one was. */
  readonly deviation: Deviation | null;
}

export function merge(
  runs: readonly ConfiguredOutcomes[],
  deviations: readonly Deviation[],
): MergedOutcome[] {
  const seen = new Map<string, Seen[]>();
  for (const { configuration, outcomes } of runs) {
    for (const outcome of outcomes) {
      const name = `${outcome.suite}.${outcome.test}`;
      const list = seen.get(name) ?? [];
      list.push({ ...outcome, configuration });
      seen.set(name, list);
    }
  }
  return [...seen].map(([name, list]) => mergeOne(name, list, deviations));
}

type Seen = TestOutcome & { readonly configuration: string };

function mergeOne(
  name: string,
  list: readonly Seen[],
  deviations: readonly Deviation[],
): MergedOutcome {
  const covering = ({ configuration, outcome, reason }: Seen): Deviation | null =>
    outcome !== Outcome.failed
      ? null
      : (deviations.find(
          (one) =>
            one.test === name && one.configuration === configuration && one.reason.test(reason),
        ) ?? null);
  const deviation = list.map(covering).find((found) => found !== null) ?? null;
  const counted = list.filter((each) => covering(each) === null);
  for (const outcome of [Outcome.hung, Outcome.failed, Outcome.passed, Outcome.skipped]) {
    const such = counted.filter((each) => each.outcome === outcome);
    // Of several skips the last tells most: the later configurations are made for what was skipped.
    const said = outcome === Outcome.skipped ? such.at(-1) : such[0];
    if (said === undefined) continue;
    // A deviation excuses a failure only beside a pass.
    if (outcome === Outcome.skipped && deviation !== null) break;
    const { suite, test, reason } = said;
    const configurations = such.map(({ configuration }) => configuration);
    return { suite, test, outcome, reason, configurations, deviation };
  }
  const such = list.filter((each) => each.outcome === Outcome.failed);
  const [first] = such;
  if (first === undefined) throw new Error(`${name} has no outcome`);
  const { suite, test, outcome, reason } = first;
  const configurations = such.map(({ configuration }) => configuration);
  return { suite, test, outcome, reason, configurations, deviation };
}
