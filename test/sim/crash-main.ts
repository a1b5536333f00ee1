/**
 * `npm run crash-points`: traces of every layout are cut at their points, seed after seed, until so many states
 * are judged. Exit status and last line tell.
 */
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { addVerdict, type Case, cases, planFor, total, trace } from './crash-campaign.ts';
import { emptyVerdict, type Verdict } from './crash-check.ts';

const USAGE = `usage: npm run crash-points -- [options]
  --states N       crash states in all (default 100000)
  --seed N         the first seed (default: any)
  --layout NAME    single, striped, mirrored or parity (default: all)
  --writes N       disk writes of a trace at least; a quarter where a disk is rebuilt or replaced
                   (default 10000)
  --workers N      threads (default 1)`;

interface Task {
  readonly name: string;
  readonly seed: number;
  readonly writes: number;
  readonly states: number;
  readonly part: { readonly of: number; readonly which: number };
}

interface Done {
  readonly verdict: Verdict;
  readonly facts: string;
}

const said = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');

async function run({ name, seed, writes, states, part }: Task): Promise<Done> {
  const traced = await trace(cases.find((each) => each.name === name)!, seed, writes);
  const { recording, images } = traced;
  const plan = planFor(recording, states);
  const facts =
    `${recording.writes} writes, every ${plan.every === 1 ? '' : `${plan.every}th `}point, ` +
    `${plan.ways} of the ways; ${said(images)}`;
  const progress = ({ states: done, violations }: Verdict): void => {
    if (done % 1000 === 0 && part.which === 0) {
      console.error(`${name}: ${done} states, ${violations.length} violations`);
    }
  };
  const verdict = await traced.check({ seed, part, progress, ...plan });
  return { verdict, facts };
}

/** In a thread of its own. */
function apart(task: Task): Promise<Done> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

async function judged(of: Case, task: Omit<Task, 'part'>, workers: number): Promise<Verdict> {
  const parts = Array.from({ length: workers }, (_, which) => ({ of: workers, which }));
  const begun = Date.now();
  const all = parts.map((part) => (workers === 1 ? run : apart)({ ...task, part }));
  const done = await Promise.all(all);
  const verdict = total(done.map((each) => each.verdict));
  const { states, modes, reopened, whole, degraded } = verdict;
  const seconds = Math.round((Date.now() - begun) / 1000);
  console.log(`${of.name}, seed ${task.seed}: ${states} states in ${seconds} s`);
  console.log(`  ${done[0]!.facts}`);
  console.log(
    `  ${said(modes)}; ${degraded} with a disk lost, ${reopened} opened twice, ${whole} read whole`,
  );
  for (const violation of verdict.violations.slice(0, 10)) console.log(`  ${violation}`);
  return verdict;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      states: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      layout: { type: 'string' },
      writes: { type: 'string', default: '10000' },
      workers: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  const numbers = [values.states, values.seed, values.writes, values.workers].map(Number);
  const chosen = cases.filter(({ layout }) => layout === (values.layout ?? layout));
  const bad = chosen.length === 0 || !numbers.every((each) => Number.isInteger(each) && each >= 0);
  if (values.help || bad) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const [wanted, first, writes, workers] = numbers as [number, number, number, number];
  const shares = chosen.reduce((sum, { share }) => sum + share, 0);
  const sum = emptyVerdict();
  const begun = Date.now();
  let seed = first;
  for (; sum.states < wanted; seed += 1) {
    const left = wanted - sum.states;
    for (const each of chosen) {
      const states = Math.ceil((left * each.share) / shares);
      const task = { name: each.name, seed, writes, states };
      addVerdict(sum, await judged(each, task, Math.max(1, workers)));
    }
  }
  const seconds = Math.round((Date.now() - begun) / 1000);
  const { states, violations } = sum;
  console.log(`seeds ${first} to ${seed - 1}: ${said(sum.modes)}, ${seconds} s`);
  console.log(`${states} states, ${violations.length === 0 ? 'no' : violations.length} violations`);
  return violations.length === 0 ? 0 : 1;
}

if (isMainThread) process.exitCode = await main();
else parentPort!.postMessage(await run(workerData as Task));
