/**
 * One fuzz round: a fresh server, a few connections, some dozens of PDUs, silence until every timer
 * has run, and then the questions whether anything was left behind and whether it still serves.
 * A round depends on its seed and number alone.
 */

import { buildHeader, Op } from '../kit/pdu.ts';
import { SeededRandom } from '../kit/random.ts';
import { rw10 } from '../target/session/kit.ts';
import { Generator, type Message } from './generator.ts';
import { Link } from './link.ts';
import { checkDevices, type FuzzWorld, makeWorld, OPEN, poisonPools } from './world.ts';

/** PDUs of one round that are generated, logins that mean to succeed not counted. */
export const CASES_PER_ROUND = 48;
/** Longer than any timer of limits.ts, a delay of the slow LUN and a ping unanswered included. */
const SILENCE_MS = 200_000;

export class FuzzFailure extends Error {
  constructor(where: string, trail: readonly string[], cause: unknown) {
    const what = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    super(`${where}: ${what}\nlast sent:\n${trail.slice(-4).join('\n')}`, { cause });
    this.name = 'FuzzFailure';
  }
}

export interface Tally {
  cases: number;
  answers: number;
  /** Commands that ended with GOOD: a target that refused everything would pass the rest. */
  good: number;
  entered: number;
}

/** The random numbers of a round. */
export function roundRandom(seed: number, round: number): SeededRandom {
  return new SeededRandom((Math.imul(seed, 0x9e3779b1) ^ Math.imul(round + 1, 0x85ebca77)) >>> 0);
}

export function emptyTally(): Tally {
  return { cases: 0, answers: 0, good: 0, entered: 0 };
}

/** Throws FuzzFailure. */
export function runRound(seed: number, round: number, tally: Tally): void {
  poisonPools();
  const trail: string[] = [];
  try {
    new Round(roundRandom(seed, round), tally, trail).run();
  } catch (error) {
    throw new FuzzFailure(`seed ${seed}, round ${round}`, trail, error);
  }
}

class Round {
  readonly #random: SeededRandom;
  readonly #generator: Generator;
  readonly #world: FuzzWorld;
  readonly #tally: Tally;
  readonly #trail: string[];
  readonly #links: Link[] = [];
  #isid = 1;
  #left = CASES_PER_ROUND;

  constructor(random: SeededRandom, tally: Tally, trail: string[]) {
    this.#random = random;
    this.#generator = new Generator(random);
    this.#world = makeWorld(random);
    this.#tally = tally;
    this.#trail = trail;
  }

  run(): void {
    while (this.#left > 0) this.#step();
    this.#silence();
    checkDevices(this.#world);
    this.#stillServes();
  }

  #step(): void {
    const random = this.#random;
    const link = this.#link();
    if (link === null) return;
    link.slow = random.chance(0.1);
    this.#send(link, this.#generator.next(link.judge.standing));
    if (random.chance(0.8)) this.#receive(link);
    if (random.chance(0.08)) this.#world.clock.advance(random.pick([1, 700, 5_000, 20_000]));
    const stuck = !link.judge.inStep && random.chance(0.4);
    if (link.open && !stuck && random.chance(0.995)) return;
    this.#receive(link);
    link.close();
    this.#links.splice(this.#links.indexOf(link), 1);
  }

  /** One that is in full-feature phase, or null when a login was fuzzed instead. */
  #link(): Link | null {
    const random = this.#random;
    if (this.#links.length === 2 || (this.#links.length === 1 && random.chance(0.9))) {
      return random.pick(this.#links);
    }
    const link = new Link(this.#world.server);
    if (random.chance(0.2)) {
      this.#fuzzLogin(link);
      return null;
    }
    const isid = random.chance(0.9) ? this.#isid++ : 1;
    const login = this.#generator.login(OPEN, isid, false);
    this.#declare(link, login);
    link.send(login, login.bytes.length);
    this.#receive(link);
    if (!link.judge.entered) throw new Error('a right login was refused');
    this.#tally.entered++;
    // The unit attention of a new nexus would be the answer to half of all commands.
    for (const lun of [0, 1]) link.send(this.#generator.ready(link.judge.standing, lun), 64);
    this.#receive(link);
    this.#links.push(link);
    return link;
  }

  #fuzzLogin(link: Link): void {
    const proof = this.#random.chance(0.4);
    const steps = this.#random.between(1, 4);
    for (let step = 0; step < steps && link.open; step++) {
      const login = proof
        ? this.#generator.proof(step, this.#isid)
        : this.#generator.login(OPEN, this.#isid, true);
      this.#declare(link, login);
      this.#send(link, login);
      this.#receive(link);
    }
    for (const { target } of this.#world.server.sessions()) {
      if (target !== null && target !== OPEN)
        throw new Error(`let in to ${target} without a proof`);
    }
    if (this.#random.chance(0.3)) this.#world.clock.advance(16_000);
    this.#receive(link);
    link.close();
  }

  /** A login says how long the data segments may be that come back. */
  #declare(link: Link, login: Message): void {
    for (const found of login.bytes
      .toString('latin1')
      .matchAll(/MaxRecvDataSegmentLength=(\d+)/g)) {
      link.judge.segmentBytes = Math.max(link.judge.segmentBytes, Number(found[1]));
    }
  }

  #send(link: Link, message: Message): void {
    this.#left--;
    this.#tally.cases++;
    this.#trail.push(message.bytes.subarray(0, 512).toString('hex'));
    const length = message.bytes.length;
    link.send(
      message,
      this.#random.chance(0.7) ? length || 1 : this.#random.between(1, length || 1),
    );
    this.#world.clock.settle();
  }

  #receive(link: Link): void {
    this.#world.clock.settle();
    const { answers, good } = link.judge;
    link.receive();
    this.#world.clock.settle();
    link.receive();
    this.#tally.answers += link.judge.answers - answers;
    this.#tally.good += link.judge.good - good;
  }

  /** Nobody says anything more: timers end what is unfinished, and nothing is left. */
  #silence(): void {
    const { clock, server, slow } = this.#world;
    for (const link of this.#links) this.#receive(link);
    clock.advance(SILENCE_MS);
    for (const link of this.#links) {
      this.#receive(link);
      if (link.open) throw new Error('a silent connection is still there');
      link.close();
    }
    clock.advance(SILENCE_MS);
    const left = server.sessions().length;
    if (left !== 0) throw new Error(`${left} sessions are left`);
    if (server.budget.used !== 0) throw new Error(`${server.budget.used} bytes are left held`);
    if (slow.waiting !== 0) throw new Error('calls are left inside a device');
  }

  /** A new session gets its INQUIRY, and its READ ends, whatever the LUN has been through. */
  #stillServes(): void {
    const link = new Link(this.#world.server);
    const login = this.#generator.login(OPEN, 99, false);
    this.#declare(link, login);
    link.send(login, login.bytes.length);
    this.#receive(link);
    const inquiry = Buffer.alloc(16);
    inquiry.set([0x12, 0, 0, 0, 36]);
    this.#ask(link, inquiry, 36);
    this.#ask(link, rw10(0x28, 0, 1), 512);
    link.close();
  }

  #ask(link: Link, cdb: Buffer, length: number): void {
    const { standing } = link.judge;
    const header = buildHeader({
      opcode: Op.scsiCommand,
      flags: 0xc1,
      tag: 0xf000 + cdb[0]!,
      words: { 20: length, 24: standing.cmdSn, 28: standing.expStatSn },
      cdb,
    });
    const message = this.#generator.seal(header, standing.digests);
    const before = link.judge.answers;
    link.send(message, message.bytes.length);
    this.#receive(link);
    if (link.judge.answers === before) throw new Error('a new session gets no answer');
  }
}
