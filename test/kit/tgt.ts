/**
 * tgt as a peer: one tgtd on a loopback port of its own with one thin file-backed LUN.
 *
 * tgtd falls back to 0.0.0.0:3260 when its port is taken, talks to tgtadm over a socket whose place
 * depends on `-C` and TGT_IPC_SOCKET, and stays in the background unless told otherwise; so it is
 * given all three, and whoever answers on the port is checked to be ours.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './process.ts';
import { describe, run } from './run.ts';
import { freePort, makeDirectory, removeDirectory } from './temp.ts';

export interface TgtOptions {
  readonly sizeBytes: number;
  /** Open the backing file with O_SYNC: durable on acknowledgement. */
  readonly sync?: boolean;
  /** Where the backing file goes; a temporary directory unless given. */
  readonly directory?: string;
}

const TARGET = 'iqn.2026-11.internal.petal:tgt';
const START_TIMEOUT_MS = 10_000;

export class Tgt {
  readonly port: number;
  readonly target = TARGET;
  readonly lun = 1;
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #env: Readonly<Record<string, string>>;
  readonly #control: string;
  readonly #ownsDirectory: boolean;
  /** LUN 0 is tgt's own controller. */
  #luns = 0;
  #spawnError: Error | null = null;

  private constructor(
    port: number,
    directory: string,
    ownsDirectory: boolean,
    child: ChildProcess,
    env: Readonly<Record<string, string>>,
    control: string,
  ) {
    this.port = port;
    this.directory = directory;
    this.#ownsDirectory = ownsDirectory;
    this.#child = child;
    this.#env = env;
    this.#control = control;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('tgtd was not started');
    return pid;
  }

  get url(): string {
    return `iscsi://127.0.0.1:${this.port}/${this.target}/${this.lun}`;
  }

  static async start(options: TgtOptions): Promise<Tgt> {
    const directory = options.directory ?? (await makeDirectory('petal-tgt-'));
    const port = await freePort();
    const control = String(port % 32_768);
    const env = { TGT_IPC_SOCKET: join(directory, 'ipc') };
    const child = spawn(
      '/usr/sbin/tgtd',
      ['-f', '-C', control, '-p', join(directory, 'pid'), '--iscsi', `portal=127.0.0.1:${port}`],
      { stdio: 'ignore', env: { ...process.env, ...env } },
    );
    const owns = options.directory === undefined;
    const tgt = new Tgt(port, directory, owns, child, env, control);
    child.once('error', (error) => {
      tgt.#spawnError = error;
    });
    try {
      await tgt.#configure(options);
    } catch (error) {
      await tgt.stop();
      throw error;
    }
    return tgt;
  }

  async #configure(options: TgtOptions): Promise<void> {
    await until('tgtd answers', START_TIMEOUT_MS, async () => {
      if (this.#spawnError !== null) throw this.#spawnError;
      if (!this.isRunning) throw new Error('tgtd ended at start');
      return (await this.#admin('--mode', 'sys', '--op', 'show')).status === 0;
    });
    const portals = await this.#must('--mode', 'portal', '--op', 'show');
    if (!portals.includes(`127.0.0.1:${this.port}`)) {
      throw new Error(`tgtd listens elsewhere:\n${portals}`);
    }
    await this.#must('--mode', 'target', '--op', 'new', '--tid', '1', '-T', TARGET);
    await this.addLun(options.sizeBytes, options.sync === true);
    await this.#must('--mode', 'target', '--op', 'bind', '--tid', '1', '-I', '127.0.0.1');
  }

  /** A thin file-backed LUN; its URL. */
  async addLun(sizeBytes: number, sync: boolean): Promise<string> {
    const lun = ++this.#luns;
    const file = join(this.directory, `lun${lun}`);
    await writeFile(file, '');
    await truncate(file, sizeBytes);
    const flags = sync ? ['--bsoflags', 'sync'] : [];
    const unit = ['--mode', 'logicalunit', '--tid', '1', '--lun', String(lun)];
    await this.#must(...unit, '--op', 'new', '-b', file, '--bstype', 'rdwr', ...flags);
    await this.#must(...unit, '--op', 'update', '--params', 'thin_provisioning=1');
    return `iscsi://127.0.0.1:${this.port}/${this.target}/${lun}`;
  }

  #admin(...args: string[]) {
    return run('/usr/sbin/tgtadm', ['-C', this.#control, '--lld', 'iscsi', ...args], {
      env: this.#env,
      timeoutMs: START_TIMEOUT_MS,
    });
  }

  async #must(...args: string[]): Promise<string> {
    const result = await this.#admin(...args);
    if (result.status !== 0) throw new Error(describe(result));
    return result.stdout;
  }

  async stop(): Promise<void> {
    if (this.isRunning && this.#child.pid !== undefined) {
      const ended = new Promise((resolve) => this.#child.once('close', resolve));
      this.#child.kill('SIGKILL');
      await ended;
    }
    if (this.#ownsDirectory) await removeDirectory(this.directory);
  }

  /** For error messages of a caller that lost it. */
  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }
}
