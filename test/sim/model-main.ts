/**
 * `npm run model`: everything that is done to volumes and befalls them, in any order, against a plain model; seed
 * after seed, each on disks of another layout, until so many operations are done, or an interrupt ends it with the seed in
 * hand. Exit status and last line tell.
 */
import { parseArgs } from 'node:util';
import { builds, serverSoftware, wideBuilds } from './machine.ts';
import { operationsIn, run } from './volume-run.ts';

const USAGE = `usage: npm run model -- [options]
  --operations N   operations in all (default 1000000)
  --seed N         the first seed (default: any)
  --each N         commands of one seed at most, half of that on average (default 10000)
  --layout NAME    ${Object.keys(builds).join(', ')} (default: one after the other);
                   ${Object.keys(wideBuilds).join(', ')}
  --path P --replay R   with --seed, as a failure printed them: the shrunk case at once`;

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    each: { type: 'string', default: '10000' },
    layout: { type: 'string' },
    path: { type: 'string' },
    replay: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const [wanted, first, most] = [values.operations, values.seed, values.each].map(Number);
  const { layout, path, replay } = values;
  const known = layout === undefined || layout in builds || layout in wideBuilds;
  if (values.help || !known || ![wanted, first, most].every((value) => Number.isInteger(value))) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const software = await serverSoftware();
  const began = performance.now();
  const counts: Record<string, number> = {};
  let stopped = false;
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      stopped = true;
    });
  }
  let seed = first!;
  for (; operationsIn(counts) < wanted! && !stopped; seed += 1) {
    const options = { software, seed, most: most!, build: layout, path, replay };
    const { build, counts: more, failure } = await run(options);
    if (failure !== null) {
      const where = `--seed ${seed} --each ${most} --layout '${build}'`;
      console.log(`${failure}\na difference: npm run model -- ${where}`);
      return 1;
    }
    for (const [name, count] of Object.entries(more)) counts[name] = (counts[name] ?? 0) + count;
    console.error(`${operationsIn(counts)} operations, seed ${seed} on ${build}`);
    // A run leaves no turn to the event loop.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const list = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  console.log(`seeds ${first} to ${seed - 1}: ${list.map((each) => each.join(' ')).join(', ')}`);
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  console.log(`${operationsIn(counts)} operations in ${minutes} minutes, no difference`);
  return 0;
}

process.exitCode = await main();
