/**
 * `npm run durability -- --rounds 50 [--seed N] [--write-back]`: no acknowledged write is lost over
 * kill -9, with write-back none that was flushed or had FUA, and no sector is torn. Prints the seed
 * first; exit status 0 when nothing was lost or torn.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Daemon } from '../kit/daemon.ts';
import { QUEUE_DEPTH, runRounds } from './rounds.ts';

/** Small, so that the cleaner has work while the daemon is being killed. */
const STORE_SIZE = '1GiB';

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '50' },
      seed: { type: 'string' },
      'write-back': { type: 'boolean', default: false },
      'queue-depth': { type: 'string', default: String(QUEUE_DEPTH) },
    },
  });
  const options = {
    rounds: positive('--rounds', values.rounds),
    seed: values.seed === undefined ? randomInt(2 ** 31) : positive('--seed', values.seed),
    queueDepth: positive('--queue-depth', values['queue-depth']),
    writeBack: values['write-back'],
  };
  console.log(`durability: seed ${options.seed}, queue depth ${options.queueDepth}`);
  const daemon = await Daemon.start({ storeSize: STORE_SIZE });
  try {
    if (options.writeBack) await daemon.petal('disk', 'set', 'disk0', '--write-back', 'on');
    const result = await runRounds(daemon, await daemon.disk(), options, (line) =>
      console.log(line),
    );
    for (const detail of result.details) console.log(detail);
    console.log(
      `durability: ${result.rounds} rounds, ${result.acknowledged} writes acknowledged, ` +
        `${result.lost} lost, ${result.torn} torn`,
    );
    return result.lost + result.torn === 0 && result.acknowledged > 0 ? 0 : 1;
  } finally {
    await daemon.dispose();
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${name}: a whole number from 1`);
  return value;
}

process.exitCode = await main();
