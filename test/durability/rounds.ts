/**
 * Rounds of verified random writes at a fixed queue depth, each ended by kill -9 at a random moment;
 * after the restart every sector of the span is read and held against the ledger.
 *
 * What this shows: recovery finds every acknowledged write and no sector is a mixture. What it cannot:
 * that the data was on the disk, because the page cache survives the process. The trace of system
 * calls and the simulated crash points show that.
 */

import { synchronizeCache10, write16 } from '../kit/cdb.ts';
import type { Daemon, DiskInfo } from '../kit/daemon.ts';
import { expectGood, type Initiator } from '../kit/initiator.ts';
import { within } from '../kit/process.ts';
import { SeededRandom } from '../kit/random.ts';
import { ConnectionEnded } from '../kit/wire.ts';
import { Finding, type IssuedWrite, Ledger } from './ledger.ts';
import { readStamp, SECTOR_BYTES, writeStamp } from './stamp.ts';

export interface DurabilityOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly queueDepth?: number;
  /** How much of the disk is written; small, so that writes meet often. */
  readonly spanBytes?: number;
  /** The disk has a volatile cache: only what was flushed, or written with FUA, must survive. */
  readonly writeBack?: boolean;
}

export interface DurabilityResult {
  readonly rounds: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly torn: number;
  /** The first few sectors that were wrong, for people. */
  readonly details: readonly string[];
}

export const QUEUE_DEPTH = 32;
const SPAN_BYTES = 64 * 2 ** 20;
const MAX_WRITE_SECTORS = 128;
const RUN_MS = { least: 100, most: 1500 } as const;
const READ_SECTORS = 512;
const MAX_DETAILS = 10;

export async function runRounds(
  daemon: Daemon,
  disk: DiskInfo,
  options: DurabilityOptions,
  progress: (line: string) => void = () => {},
): Promise<DurabilityResult> {
  const trial = new Trial(daemon, disk, options);
  for (let round = 1; round <= options.rounds; round++) progress(await trial.round(round));
  return trial.result(options.rounds);
}

class Trial {
  readonly #daemon: Daemon;
  readonly #disk: DiskInfo;
  readonly #random: SeededRandom;
  readonly #queueDepth: number;
  readonly #sectors: number;
  readonly #firstLba: number;
  readonly #diskTag: number;
  readonly #ledger = new Ledger();
  readonly #writeBack: boolean;
  /** Completed, and not flushed yet. */
  #volatile: IssuedWrite[] = [];
  #lost = 0;
  #torn = 0;
  #details: string[] = [];

  constructor(daemon: Daemon, disk: DiskInfo, options: DurabilityOptions) {
    this.#daemon = daemon;
    this.#disk = disk;
    this.#random = new SeededRandom(options.seed);
    this.#queueDepth = options.queueDepth ?? QUEUE_DEPTH;
    this.#writeBack = options.writeBack ?? false;
    this.#sectors = (options.spanBytes ?? SPAN_BYTES) / SECTOR_BYTES;
    this.#firstLba = this.#random.below(Math.floor(disk.size / SECTOR_BYTES) - this.#sectors);
    this.#diskTag = Number.parseInt(disk.naa.replace(/[^0-9a-f]/gi, '').slice(-8), 16) >>> 0;
  }

  async round(round: number): Promise<string> {
    const before = this.#ledger.acknowledged;
    const session = await this.#daemon.login(this.#disk);
    await session.settle();
    const workers = Array.from({ length: this.#queueDepth }, () => this.#write(session, round));
    const done = Promise.all(workers);
    const first = await within(done, this.#random.between(RUN_MS.least, RUN_MS.most));
    await this.#daemon.kill();
    if (first !== 'late') {
      throw new Error(`the session ended before the kill:\n${this.#daemon.log}`);
    }
    await done;
    this.#volatile = [];
    session.close();
    await this.#daemon.launch();
    await this.#verify(round);
    const written = this.#ledger.acknowledged - before;
    return `round ${round}: ${written} writes acknowledged, ${this.#lost} lost, ${this.#torn} torn`;
  }

  /** One of the queue's places: writes until the connection ends. */
  async #write(session: Initiator, round: number): Promise<void> {
    for (;;) {
      // Skewed to small writes, which a block of 4 KiB has to take by reading and merging.
      const limit = this.#random.pick([1, 8, 8, 32, MAX_WRITE_SECTORS]);
      const sectors = this.#random.between(1, limit);
      const lba = this.#firstLba + this.#random.below(this.#sectors - sectors + 1);
      const data = Buffer.alloc(sectors * SECTOR_BYTES);
      const issued = this.#ledger.issue(lba, sectors);
      const { sequence } = issued;
      for (let index = 0; index < sectors; index++) {
        const stamp = { disk: this.#diskTag, lba: lba + index, sequence, round };
        writeStamp(data, index * SECTOR_BYTES, stamp);
      }
      const held = this.#writeBack && !this.#random.chance(0.1);
      try {
        const cdb = write16(lba, sectors, this.#writeBack && !held);
        const result = await session.command(cdb, { dataOut: data });
        expectGood(result, `WRITE of ${sectors} at ${lba}`);
        this.#completed(issued, held);
        if (this.#writeBack && this.#random.chance(0.03)) await this.#flush(session);
      } catch (error) {
        if (error instanceof ConnectionEnded) return;
        throw error;
      }
    }
  }

  #completed(issued: IssuedWrite, held: boolean): void {
    if (held) {
      this.#ledger.complete(issued);
      this.#volatile.push(issued);
    } else this.#ledger.acknowledge(issued);
  }

  async #flush(session: Initiator): Promise<void> {
    const covered = this.#volatile;
    this.#volatile = [];
    expectGood(await session.command(synchronizeCache10()), 'SYNCHRONIZE CACHE');
    for (const issued of covered) this.#ledger.secure(issued);
  }

  async #verify(round: number): Promise<void> {
    const session = await this.#daemon.login(this.#disk);
    await session.settle();
    for (let at = 0; at < this.#sectors; at += READ_SECTORS) {
      const sectors = Math.min(READ_SECTORS, this.#sectors - at);
      const lba = this.#firstLba + at;
      const data = await session.read(lba, sectors);
      for (let index = 0; index < sectors; index++) {
        this.#judge(round, lba + index, readStamp(data, index * SECTOR_BYTES));
      }
    }
    await session.logout();
  }

  #judge(round: number, lba: number, found: ReturnType<typeof readStamp>): void {
    const allowed = this.#ledger.allowedSequences(lba);
    if (found === 'torn') {
      this.#torn++;
      this.#note(`round ${round}, LBA ${lba}: torn; ${allowed} allowed`);
      return;
    }
    const misplaced = found !== 'unwritten' && (found.lba !== lba || found.disk !== this.#diskTag);
    const sequence = found === 'unwritten' ? 0 : found.sequence;
    if (this.#ledger.settle(lba, sequence) === Finding.right && !misplaced) return;
    this.#lost++;
    const what = misplaced ? `data of LBA ${found.lba}` : `write ${sequence}`;
    this.#note(`round ${round}, LBA ${lba}: found ${what}; ${allowed} allowed`);
  }

  #note(detail: string): void {
    if (this.#details.length < MAX_DETAILS) this.#details.push(detail);
  }

  result(rounds: number): DurabilityResult {
    const { acknowledged } = this.#ledger;
    return { rounds, acknowledged, lost: this.#lost, torn: this.#torn, details: this.#details };
  }
}
