/** Beside the fuzzer in a thread of its own: a round that never ends is named, and ends the run. */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

/** A round takes a few milliseconds. */
const ROUND_MS = 60_000;

const { progress, seed } = workerData as { readonly progress: Int32Array; readonly seed: number };
let seen = -1;
setInterval(() => {
  const count = Atomics.load(progress, 1);
  if (count === seen) {
    const which = Atomics.load(progress, 2) === 0 ? 'round' : 'socket-round';
    const again = `npm run fuzz -- --seed ${seed} --${which} ${Atomics.load(progress, 0)}`;
    // A worker's process.stderr goes through the thread that hangs.
    writeSync(2, `a round hangs\nagain: ${again}\n`);
    process.kill(process.pid, 'SIGKILL');
  }
  seen = count;
}, ROUND_MS);
