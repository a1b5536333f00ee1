/**
 * One run of the model of volumes: a store is made on disks of some layout, commands of fast-check are done to it,
 * and in the end all is compared, deleted, and free again. From a seed; a failure is shrunk.
 */
import fc from 'fast-check';
import { builds, type ServerSoftware, wideBuilds } from './machine.ts';
import { type Command, commands } from './volume-commands.ts';
import { VolumeModel } from './volume-model.ts';
import { World } from './volume-world.ts';

export interface RunOptions {
  readonly software: ServerSoftware;
  readonly seed: number;
  /** Commands at most; half of that on average. */
  readonly most: number;
  /** See `WorldOptions`; default 32. */
  readonly crashEvery?: number;
  /** A name of `builds` or `wideBuilds`; default: one of the former, as the seed says. */
  readonly build?: string | undefined;
  /** With `replay`, what a failure printed: the shrunk case at once. */
  readonly path?: string | undefined;
  readonly replay?: string | undefined;
  /** When to stop shrinking, ms; 0: a failure is left as it is. */
  readonly shrinkMs?: number;
}

export interface RunResult {
  /** How often what was done; those of a failing run as well. */
  readonly counts: Record<string, number>;
  readonly build: string;
  /** Null, or what was wrong, and how to see it again. */
  readonly failure: string | null;
}

const seen = ['refused', 'flattened', 'accounts', 'exclusive', 'cleaned', 'rebuilt'];

/** What counts as an operation: what hosts and operators do and what befalls them; not what was compared. */
export const operationsIn = (counts: Record<string, number>): number =>
  Object.entries(counts).reduce((sum, [what, count]) => sum + (seen.includes(what) ? 0 : count), 0);

export async function run(options: RunOptions): Promise<RunResult> {
  const { software, seed, most, path, replay, crashEvery = 32, shrinkMs = 60_000 } = options;
  const names = Object.keys(builds);
  const build = options.build ?? names[seed % names.length]!;
  const counts: Record<string, number> = {};
  const property = fc.asyncProperty(commands(most, replay), async (list) => {
    const model = new VolumeModel();
    const world = new World(
      { software, build: { ...builds, ...wideBuilds }[build]!, seed, crashEvery },
      model,
    );
    try {
      await world.start();
      await fc.asyncModelRun(() => ({ model, real: world }), list);
      await world.finish();
    } finally {
      for (const [what, count] of Object.entries(world.counts)) {
        counts[what] = (counts[what] ?? 0) + count;
      }
    }
  });
  const details = await fc.check(property, {
    ...{ seed, numRuns: 1, unbiased: true, endOnFailure: shrinkMs === 0 },
    ...(shrinkMs > 0 ? { interruptAfterTimeLimit: shrinkMs } : {}),
    ...(path === undefined ? {} : { path }),
  });
  return { counts, build, failure: details.failed ? told(build, details) : null };
}

/** The shrunk case: what was wrong, what led to it, and how to see it again. */
function told(build: string, details: fc.RunDetails<[Iterable<Command>]>): string {
  const { seed, counterexamplePath: path, counterexample, errorInstance } = details;
  const list = String(counterexample?.[0] ?? '');
  const why = errorInstance instanceof Error ? errorInstance.stack : String(errorInstance);
  return `${build}, seed ${seed}, path ${path}: ${why}\n${list}`;
}
