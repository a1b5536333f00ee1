/**
 * The daemon in the test's own process, on a disk in memory: everything else of it is real. The CLI runs as a process
 * of its own and finds it through daemon.json.
 */
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Daemon } from '#appliance/compose.ts';
import { readConfig } from '#appliance/config.ts';
import { readDaemonFile } from '#appliance/daemon-file.ts';
import { realClock } from '#storage/base/clock.ts';
import { realRandom } from '#storage/base/random.ts';
import { StorageServer } from '#storage/server.ts';
import { Initiator } from '#test/kit/initiator.ts';
import { describe, type RunResult, run } from '#test/kit/run.ts';
import { makeDirectory, removeDirectory } from '#test/kit/temp.ts';
import { root } from '#test/kit/tree.ts';
import { MemoryDisk } from '#test/sim/memory-disk.ts';

const quiet = { info: () => {}, warn: () => {}, error: () => {}, fatal: () => {} };
const storeBytes = 64 * 2 ** 20;

export class MemoryDaemon {
  readonly directory: string;
  readonly #disk = new MemoryDisk(storeBytes);
  readonly #args: readonly string[];
  #daemon: Daemon | null = null;
  #store: StorageServer | null = null;

  private constructor(directory: string, args: readonly string[]) {
    this.directory = directory;
    this.#args = args;
  }

  /** `args`: further flags of petald. */
  static async forTest(t: ExecutionContext, ...args: string[]): Promise<MemoryDaemon> {
    const daemon = new MemoryDaemon(await makeDirectory('petal-memory-'), args);
    t.teardown(async () => {
      await daemon.stop();
      await removeDirectory(daemon.directory);
    });
    await daemon.start();
    return daemon;
  }

  async start(): Promise<void> {
    const config = readConfig([
      ...['--data', this.directory, '--iscsi', '127.0.0.1:0', '--api', '127.0.0.1:0'],
      ...this.#args,
    ]);
    if ('exit' in config) throw new Error('no configuration');
    const ports = { clock: realClock, random: realRandom };
    const store = await StorageServer.openOn(this.#disk, ports, { cacheBytes: 2 ** 22 });
    this.#store = store;
    this.#daemon = await Daemon.start(config, quiet, async () => store);
  }

  async stop(): Promise<void> {
    await this.#daemon?.close();
    this.#daemon = null;
  }

  get verbs(): Daemon {
    if (this.#daemon === null) throw new Error('the daemon has stopped');
    return this.#daemon;
  }

  get store(): StorageServer {
    if (this.#store === null) throw new Error('the daemon has not started');
    return this.#store;
  }

  get info() {
    return readDaemonFile(join(this.directory, 'daemon.json'))!;
  }

  /** What `petal --json …` prints; throws when it fails. */
  async petal(...args: string[]): Promise<unknown> {
    const result = await this.say('--json', ...args);
    if (result.status !== 0) throw new Error(describe(result));
    return result.stdout.trim() === '' ? null : JSON.parse(result.stdout);
  }

  /** `petal …` as people run it. */
  say(...args: string[]): Promise<RunResult> {
    const cli = join(root, 'appliance/cli/main.ts');
    return run(process.execPath, [cli, '--data', this.directory, ...args], { timeoutMs: 60_000 });
  }

  async login(target: { readonly iqn: string; readonly lun: number }): Promise<Initiator> {
    const { port } = this.verbs.addresses.iscsi[0]!;
    return await Initiator.login({ port, target: target.iqn, lun: target.lun });
  }
}
