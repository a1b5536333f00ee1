/**
 * `npm run sim`: seeds of the simulated cluster, one after the other, until so many are done or one is wrong.
 * Exit status and last line tell; a wrong seed is printed with the command that runs it again.
 */
import { parseArgs } from 'node:util';
import { runSeed, software } from './run.ts';

const USAGE = `usage: npm run sim -- [options]
  --seeds N    how many (default 1000)
  --from SEED  the first one (default: any)`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      help: { type: 'boolean', default: false },
    },
  });
  const [seeds, from] = [Number(values.seeds), Number(values.from)];
  if (values.help || !Number.isSafeInteger(seeds) || !Number.isSafeInteger(from) || seeds < 1) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const faults = new Map<string, number>();
  const sums = { operations: 0, removals: 0, admissions: 0, seconds: 0 };
  const start = performance.now();
  let wrong = 0;
  for (let seed = from; seed < from + seeds; seed += 1) {
    const result = await runSeed(software, seed);
    for (const [kind, count] of result.faults) faults.set(kind, (faults.get(kind) ?? 0) + count);
    sums.operations += result.operations;
    sums.removals += result.removals;
    sums.admissions += result.admissions;
    sums.seconds += result.seconds;
    if (!result.counts) console.error(`seed ${seed} does not count: too little happened`);
    if (result.violations.length > 0) {
      wrong += 1;
      for (const violation of result.violations) console.error(violation);
      console.error(`again: npm run sim -- --seeds 1 --from ${seed}`);
    }
    if ((seed - from + 1) % 1000 === 0) console.error(`${seed - from + 1} seeds`);
  }
  const real = (performance.now() - start) / 1000;
  const kinds = [...faults].sort().map(([kind, count]) => `${kind} ${count}`);
  console.log(`faults: ${kinds.join(', ')}`);
  console.log(
    `${sums.operations} operations, ${sums.removals} removals, ${sums.admissions} returns`,
  );
  console.log(
    `${sums.seconds.toFixed(0)} s simulated in ${real.toFixed(0)} s: ${(sums.seconds / real).toFixed(0)} to 1`,
  );
  console.log(`seeds ${from} to ${from + seeds - 1}: ${wrong} wrong`);
  return wrong === 0 ? 0 : 1;
}

process.exitCode = await main();
