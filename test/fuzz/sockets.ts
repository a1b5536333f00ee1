/**
 * A fuzz round over TCP: the same PDUs, sent blind after a login that succeeded or was fuzzed. The
 * connection must end when our side does, what came must be right, and the server must serve on.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { realClock } from '../../target/index.ts';
import { within } from '../kit/process.ts';
import { Generator } from './generator.ts';
import { Judge } from './link.ts';
import { CASES_PER_ROUND, FuzzFailure, roundRandom, type Tally } from './round.ts';
import { checkDevices, makeWorld, OPEN, poisonPools } from './world.ts';

const END_MS = 10_000;

/** Rejects with FuzzFailure. */
export async function runSocketRound(seed: number, round: number, tally: Tally): Promise<void> {
  poisonPools();
  const random = roundRandom(seed, round);
  const generator = new Generator(random);
  const world = makeWorld(random, realClock);
  const { port } = await world.server.listen({ host: '127.0.0.1', port: 0 });
  const trail: string[] = [];
  try {
    for (let left = CASES_PER_ROUND; left > 0; ) {
      const judge = new Judge();
      const socket = await dial(port, judge);
      const fuzzed = random.chance(0.2);
      const login = generator.login(OPEN, left, fuzzed);
      for (const [, length] of login.bytes.toString('latin1').matchAll(/SegmentLength=(\d+)/g)) {
        judge.segmentBytes = Math.max(judge.segmentBytes, Number(length));
      }
      socket.write(login.bytes);
      if (fuzzed) {
        left--;
        tally.cases++;
      } else {
        await entered(socket, judge);
        tally.entered++;
        for (let more = Math.min(left, 16); more > 0; more--, left--) {
          const message = generator.next(judge.standing);
          judge.sent(message);
          trail.push(message.bytes.subarray(0, 512).toString('hex'));
          socket.write(message.bytes);
          tally.cases++;
        }
      }
      await ended(socket, judge);
      tally.answers += judge.answers;
      tally.good += judge.good;
    }
    const judge = new Judge();
    const socket = await dial(port, judge);
    socket.write(generator.login(OPEN, 99, false).bytes);
    await entered(socket, judge);
    await ended(socket, judge);
    checkDevices(world);
  } catch (error) {
    throw new FuzzFailure(`seed ${seed}, round ${round} over sockets`, trail, error);
  } finally {
    await world.server.close();
  }
}

/** What the judge threw, by socket: an event handler cannot reject. */
const verdicts = new WeakMap<Socket, Error>();

async function dial(port: number, judge: Judge): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('data', (bytes: Buffer) => {
    try {
      judge.take(bytes);
    } catch (error) {
      if (!verdicts.has(socket)) verdicts.set(socket, error as Error);
      socket.destroy();
    }
  });
  // A target that closes on us resets what we still send; that is an end like any other.
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function entered(socket: Socket, judge: Judge): Promise<void> {
  const end = performance.now() + END_MS;
  while (!judge.entered) {
    const verdict = verdicts.get(socket);
    if (verdict !== undefined) throw verdict;
    if (socket.destroyed || performance.now() > end) throw new Error('a right login was refused');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function ended(socket: Socket, judge: Judge): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
  socket.end();
  const outcome = await within(closed, END_MS);
  const verdict = verdicts.get(socket);
  if (verdict !== undefined) throw verdict;
  if (outcome === 'late') throw new Error(`no end after ${judge.answers} answers`);
}
