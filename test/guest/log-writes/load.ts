/**
 * In the guest: makes a store on devices whose writes dm-log-writes keeps, and does to it what the
 * plan says. Up to which point of the plan everything is acknowledged goes into each device's log as
 * a mark, `acknowledged:N`: a mark lies behind all that was written when it was sent, and makes
 * nothing durable by itself.
 *
 *   node load.ts --seed N --operations N --layout single|mirrored NAME…      names of device mapper
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs, promisify } from 'node:util';
import { called } from '../../../storage/base/called.ts';
import { realClock } from '../../../storage/base/clock.ts';
import { silentLog } from '../../../storage/base/log.ts';
import { realRandom } from '../../../storage/base/random.ts';
import { openBlocks, type Store } from '../../../storage/map/open.ts';
import { Pool } from '../../../storage/pool.ts';
import { fill } from '../../../storage/pool-base.ts';
import { SimRandom } from '../../sim/random.ts';
import { stamped } from '../../sim/store-history.ts';
import { smallStore } from '../../sim/store-load.ts';
import type { LoadSummary } from './job.ts';
import { markOf } from './log.ts';
import { type Operation, Plan } from './plan.ts';

const dmsetup = promisify(execFile);

class Load {
  readonly #store: Store;
  readonly #names: readonly string[];
  readonly #random: SimRandom;
  readonly #plan: Plan;
  #inFlight = new Set<Promise<void>>();
  #acknowledged = 0;
  #marked = -1;
  #marking: Promise<void> | null = null;
  writes = 0;
  marks = 0;

  constructor(store: Store, names: readonly string[], seed: number) {
    this.#store = store;
    this.#names = names;
    this.#plan = new Plan(seed);
    this.#random = new SimRandom(seed + 1);
  }

  /** Depth and pauses by chance; in a pause all is acknowledged, and marked so before it goes on. */
  async run(operations: number): Promise<void> {
    await this.#mark();
    let depth = 1;
    for (let index = 0; index < operations; index += 1) {
      this.#start(this.#plan.next());
      while (this.#inFlight.size >= depth) await Promise.race(this.#inFlight);
      if (this.#random.chance(0.1)) {
        await this.#settle();
        depth = 1 + this.#random.below(12);
      }
    }
    await this.#settle();
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#inFlight);
    while (this.#marked < this.#acknowledged) await this.#mark();
  }

  #start(operation: Operation): void {
    if (operation.kind === 'write') this.writes += 1;
    const done = this.#do(operation).then(() => {
      this.#acknowledged = Math.max(this.#acknowledged, operation.point);
      this.#inFlight.delete(done);
      void this.#mark();
    });
    this.#inFlight.add(done);
  }

  #do(operation: Operation): Promise<unknown> {
    const store = this.#store;
    switch (operation.kind) {
      case 'create':
        return store.create(operation.ref, 0);
      case 'drop':
        return store.drop(operation.ref);
      case 'snapshot':
        return store.snapshot([operation]);
      case 'clean':
        return store.clean(2);
      case 'flush':
        return called((done) => store.flush(done));
      case 'unmap': {
        const { ref, block, count } = operation;
        return called((done) => store.unmap(ref, block, count, done));
      }
      case 'write': {
        const { ref, block, count, stamp } = operation;
        const blocks = Array.from({ length: count }, (_, at) => stamped(0, block + at, stamp));
        return called((done) => store.write(ref, block, Buffer.concat(blocks), done));
      }
    }
  }

  /** One at a time: a mark is a process, and the operations go on meanwhile. */
  async #mark(): Promise<void> {
    if (this.#marking !== null) return await this.#marking;
    const point = this.#acknowledged;
    if (point === this.#marked) return;
    const message = ['0', 'mark', markOf(point)];
    const sent = this.#names.map((name) => dmsetup('dmsetup', ['message', name, ...message]));
    this.#marking = Promise.all(sent).then(() => {});
    await this.#marking;
    this.#marking = null;
    this.#marked = point;
    this.marks += 1;
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string' },
      operations: { type: 'string' },
      layout: { type: 'string' },
    },
  });
  const [clock, random] = [realClock, realRandom];
  const pool = await Pool.open({
    paths: positionals.map((name) => `/dev/mapper/${name}`),
    layout: values.layout === 'mirrored' ? { layout: 'mirrored', columns: null } : null,
    ...{ clock, random, log: silentLog },
  });
  await fill(pool, pool.storeId, random);
  await pool.ready();
  const store = await openBlocks({ disk: pool.log, clock, random }, smallStore);
  pool.start((segment) => store.needs(segment));
  const load = new Load(store, positionals, Number(values.seed));
  await load.run(Number(values.operations));
  const { groups, checkpoints, segmentsCleaned } = store.stats();
  await store.close();
  await pool.close();
  const { writes, marks } = load;
  const summary: LoadSummary = { writes, marks, groups, checkpoints, segmentsCleaned };
  writeFileSync('/out/summary.json', JSON.stringify(summary));
}

await main();
