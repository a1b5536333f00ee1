/** Runs the configurations, each against a peer of its own, one after the other but for those that mostly sleep. */
import { type Configuration, deviations } from './configurations.ts';
import type { TestOutcome } from './cunit.ts';
import { type ConfiguredOutcomes, type MergedOutcome, merge } from './merge.ts';
import { runSuites } from './suites.ts';

export interface WholeRun {
  readonly runs: readonly ConfiguredOutcomes[];
  readonly merged: readonly MergedOutcome[];
  /** What went wrong outside of the tests, with the configuration in front. */
  readonly incidents: readonly string[];
}

export interface Progress {
  begin(configuration: Configuration): void;
  suite(outcomes: readonly TestOutcome[]): void;
}

const silent: Progress = { begin: () => {}, suite: () => {} };

/** `suites`: by name; a configuration runs those of its own that are among them. */
export async function runConfigurations(
  configurations: readonly Configuration[],
  suites: ReadonlyMap<string, readonly string[]>,
  progress: Progress = silent,
): Promise<WholeRun> {
  const runs = new Map<string, ConfiguredOutcomes>();
  const incidents: string[] = [];
  const last: (() => void)[] = [];
  const runOne = async (configuration: Configuration) => {
    const chosen = choose(configuration, suites);
    if (chosen.size === 0) return;
    const peer = await configuration.start();
    try {
      const told: (readonly TestOutcome[])[] = [];
      const tell = (outcomes: readonly TestOutcome[]) =>
        configuration.beside ? told.push(outcomes) : progress.suite(outcomes);
      if (!configuration.beside) progress.begin(configuration);
      const found = await runSuites(peer, chosen, suites, tell);
      if (configuration.beside) {
        // Told behind the others, so that lines of two do not mix.
        last.push(() => {
          progress.begin(configuration);
          for (const outcomes of told) progress.suite(outcomes);
        });
      }
      runs.set(configuration.name, {
        configuration: configuration.name,
        outcomes: found.outcomes,
      });
      incidents.push(...found.incidents.map((what) => `${configuration.name}: ${what}`));
    } finally {
      await peer.stop();
    }
  };
  const beside = Promise.all(configurations.filter(({ beside }) => beside).map(runOne));
  try {
    for (const each of configurations) if (!each.beside) await runOne(each);
  } finally {
    await beside;
  }
  for (const tell of last) tell();
  const inOrder = configurations.flatMap(({ name }) => runs.get(name) ?? []);
  return { runs: inOrder, merged: merge(inOrder, deviations), incidents };
}

/** Tests by suite, as far as the configuration runs them. */
function choose(
  { suites: wanted }: Configuration,
  suites: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, readonly string[]> {
  if (wanted === null) return suites;
  const chosen = new Map<string, readonly string[]>();
  for (const [suite, tests] of suites) {
    const some = tests.filter(
      (test) => wanted.includes(suite) || wanted.includes(`${suite}.${test}`),
    );
    if (some.length > 0) chosen.set(suite, some);
  }
  return chosen;
}
