/** The simulated Directory keeps the contract, on a clock that runs as fast as it can. */
import test from 'ava';
import { directoryContract } from '#test/kit/directory-contract.ts';
import { directoryFaultsContract } from '#test/kit/directory-contract-faults.ts';
import type { Make, Subject } from '#test/kit/directory-subject.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { SimClock } from './clock.ts';
import { SimDirectory } from './directory.ts';

let ended = false;
test.after.always(() => {
  ended = true;
});

/** Lets events fire as long as there are tests. */
function run(clock: SimClock): void {
  clock.step();
  if (!ended) setImmediate(() => run(clock));
}

const make: Make = async (): Promise<Subject> => {
  const clock = new SimClock();
  const random = new SeededRandom();
  console.log(`# simulated directory, seed ${random.seed}`);
  const server = new SimDirectory(clock, random);
  run(clock);
  const [directory, other] = [await server.client('one'), await server.client('two')];
  return {
    directory,
    other,
    forget: async () => server.compact(),
    disturb: () => {
      let calm = false;
      server.faults.unknown = 0.2;
      const flip = (): void => {
        if (calm) return;
        const name = random.pick(['one', 'two']);
        if (server.isCut(name)) server.heal(name);
        else server.cut(name);
        clock.after(random.below(random.chance(0.1) ? 60_000 : 200), flip);
      };
      flip();
      return () => {
        calm = true;
        server.faults.unknown = 0;
        for (const name of ['one', 'two']) server.heal(name);
      };
    },
  };
};

directoryContract(test, make);
directoryFaultsContract(test, make);
