/**
 * `npm run model`: snapshots, clones, rollbacks, removals, crashes and cleaning against a plain model, seed
 * after seed, until so many operations are done. Exit status and last line tell.
 */
import { parseArgs } from 'node:util';
import { ImagesLoad } from './images-load.ts';

const USAGE = `usage: npm run model -- [options]
  --operations N   operations in all (default 1000000)
  --seed N         the first seed (default: any)
  --each N         operations of one seed (default 2000)`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      operations: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      each: { type: 'string', default: '2000' },
      help: { type: 'boolean', default: false },
    },
  });
  const [wanted, first, each] = [values.operations, values.seed, values.each].map(Number);
  if (values.help || ![wanted, first, each].every((value) => Number.isInteger(value))) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const counts: Record<string, number> = {};
  let done = 0;
  let seed = first!;
  for (; done < wanted!; done += each!, seed += 1) {
    const load = new ImagesLoad({ seed, operations: each! });
    try {
      await load.run();
    } catch (error) {
      console.error((error as Error).stack);
      console.log(
        `a difference: npm run model -- --seed ${seed} --operations ${each} --each ${each}`,
      );
      return 1;
    }
    for (const [name, count] of Object.entries(load.counts)) {
      counts[name] = (counts[name] ?? 0) + count;
    }
    console.error(`${done + each!} operations, seed ${seed}`);
  }
  const list = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  console.log(`seeds ${first} to ${seed - 1}: ${list.join(', ')}`);
  console.log(`${done} operations, no difference`);
  return 0;
}

process.exitCode = await main();
