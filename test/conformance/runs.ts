/** Runs the configurations one after the other, each against a peer of its own. */
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
  const runs: ConfiguredOutcomes[] = [];
  const incidents: string[] = [];
  for (const configuration of configurations) {
    const chosen = choose(configuration, suites);
    if (chosen.size === 0) continue;
    progress.begin(configuration);
    const peer = await configuration.start();
    try {
      const found = await runSuites(peer, chosen, suites, (outcomes) => progress.suite(outcomes));
      runs.push({ configuration: configuration.name, outcomes: found.outcomes });
      incidents.push(...found.incidents.map((what) => `${configuration.name}: ${what}`));
    } finally {
      await peer.stop();
    }
  }
  return { runs, merged: merge(runs, deviations), incidents };
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
