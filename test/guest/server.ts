/**
 * The target that guests log in to, as the jobs see it: one disk per job, portals that keep their
 * ports over a restart, and the verbs that a job asks of the host.
 */
import { Daemon } from '#test/kit/daemon.ts';
import { until } from '#test/kit/process.ts';
import { describe } from '#test/kit/run.ts';
import { freePort } from '#test/kit/temp.ts';

export const ServerKind = { petal: 'petal', tgt: 'tgt' } as const;
export type ServerKind = (typeof ServerKind)[keyof typeof ServerKind];

/** What a job finds in its ./environment. */
export interface JobDisk {
  readonly target: string;
  readonly lun: number;
  /** Bytes. */
  readonly size: number;
  /** "127.0.0.1:PORT". */
  readonly portals: readonly string[];
}

export interface GuestServer {
  readonly kind: ServerKind;
  /** A new disk for the job of this name. */
  disk(name: string, sizeMiB: number): Promise<JobDisk>;
  /** Does what the job asks of the host for its disk; rejects with what went wrong. */
  answer(name: string, words: readonly string[]): Promise<string>;
  /** Throws when the server has ended without being told. */
  assertAlive(): void;
  /** The latest of its log, for a failed job. */
  log(): string;
  stop(): Promise<void>;
}

/** Of `petal --json session ls`. */
interface Session {
  readonly id: string | number;
  readonly target: string;
}

const STORE_SIZE = '4GiB';
const KICK_TIMEOUT_MS = 10_000;

export class PetalServer implements GuestServer {
  readonly kind = ServerKind.petal;
  readonly #daemon: Daemon;
  readonly #portals: readonly string[];
  readonly #iqns = new Map<string, string>();

  private constructor(daemon: Daemon, portals: readonly string[]) {
    this.#daemon = daemon;
    this.#portals = portals;
  }

  static async start(storeSize = STORE_SIZE): Promise<PetalServer> {
    // Ports of our own choice: an initiator comes back to the port that it knows.
    const portals = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const args = portals.flatMap((portal) => ['--iscsi', portal]);
    return new PetalServer(await Daemon.start({ storeSize, args }), portals);
  }

  async disk(name: string, sizeMiB: number): Promise<JobDisk> {
    const { iqn, lun, size } = await this.#daemon.createDisk(name, `${sizeMiB}MiB`);
    this.#iqns.set(name, iqn);
    return { target: iqn, lun, size, portals: this.#portals };
  }

  async answer(name: string, words: readonly string[]): Promise<string> {
    const [verb = '', ...rest] = words;
    const action = this.#verbs[verb];
    if (action === undefined) throw new Error(`the host does not know "${verb}"`);
    return action(name, rest);
  }

  readonly #verbs: Readonly<
    Record<string, (name: string, rest: readonly string[]) => Promise<string>>
  > = {
    /** KEY=VALUE lines of `petal --json disk show`, what is not an object. */
    show: async (name) =>
      Object.entries(await this.#daemon.disk(name))
        .filter(([, value]) => typeof value !== 'object')
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    used: async (name) => String((await this.#daemon.disk(name)).used),
    resize: async (name, [size = '']) => this.#petal('disk', 'resize', name, size),
    /** `remove` or `remove --force`, which repeats the name. */
    remove: async (name, [force]) =>
      this.#petal('disk', 'rm', name, ...(force === '--force' ? ['--force', name] : [])),
    undelete: async (name) => this.#petal('disk', 'undelete', name),
    /** `another NAME SIZE`: one more disk; prints its IQN. */
    another: async (_, [name = '', size = '']) => {
      const { iqn } = await this.#daemon.createDisk(name, size);
      this.#iqns.set(name, iqn);
      return iqn;
    },
    /** How many sessions use the disk, or would if it were not removed. */
    sessions: async (name) => String((await this.#sessions(this.#iqn(name))).length),
    kick: async (name) => this.#kickFirst(this.#iqn(name)),
    kill: async () => {
      await this.#daemon.kill();
      return '';
    },
    /** The clean end of the daemon, by SIGTERM. */
    stop: async () => {
      await this.#daemon.stop();
      return '';
    },
    start: async () => {
      await this.#daemon.launch();
      return '';
    },
  };

  async #petal(...args: string[]): Promise<string> {
    const result = await this.#daemon.petalRaw(...args);
    if (result.status !== 0) throw new Error(describe(result));
    return result.stdout;
  }

  /** Also of a disk that has been removed since. */
  #iqn(name: string): string {
    const iqn = this.#iqns.get(name);
    if (iqn === undefined) throw new Error(`there was no disk ${name}`);
    return iqn;
  }

  async #sessions(iqn: string): Promise<readonly Session[]> {
    const listed = await this.#daemon.petal('session', 'ls');
    if (!Array.isArray(listed))
      throw new Error(`not a list of sessions: ${JSON.stringify(listed)}`);
    return (listed as readonly Session[]).filter((session) => session.target === iqn);
  }

  /** Resolves when the session is gone; the initiator's next one has another id. */
  async #kickFirst(iqn: string): Promise<string> {
    const first = (await this.#sessions(iqn))[0];
    if (first === undefined) throw new Error(`no session uses ${iqn}`);
    const told = await this.#petal('session', 'kick', String(first.id));
    await until(`session ${first.id} ends`, KICK_TIMEOUT_MS, async () =>
      (await this.#sessions(iqn)).every((session) => session.id !== first.id),
    );
    return told;
  }

  assertAlive(): void {
    this.#daemon.assertAlive();
  }

  log(): string {
    return this.#daemon.log;
  }

  async stop(): Promise<void> {
    try {
      await this.#daemon.stop();
    } finally {
      await this.#daemon.dispose();
    }
  }
}
