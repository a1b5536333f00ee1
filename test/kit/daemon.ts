/**
 * The real daemon as a process of its own: start, kill -9, start again on the same data, stop.
 * A daemon that ends without being told fails whoever asks for it next, with its log.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Initiator } from './initiator.ts';
import type { LoginOptions } from './login.ts';
import { within } from './process.ts';
import { describe, run } from './run.ts';
import { type Cleanup, makeDirectory, removeDirectory } from './temp.ts';

export interface DaemonOptions {
  /** The data directory; a temporary one, removed at the end, unless given. */
  readonly directory?: string;
  readonly storeSize?: string;
  readonly args?: readonly string[];
  /** A program and its arguments to put in front, such as strace. */
  readonly wrapper?: readonly string[];
  readonly startTimeoutMs?: number;
}

/** What `petal --json disk …` tells. */
export interface DiskInfo {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly used: number;
  readonly iqn: string;
  readonly lun: number;
  readonly naa: string;
}

interface DaemonFile {
  readonly pid: number;
  readonly iscsi: readonly string[];
  readonly api: string;
  readonly token: string;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const READY = 'petald is ready';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
/** The tail of the log explains an unexpected end; a chatty daemon may not fill our memory. */
const MAX_LOG_CHARS = 1024 * 1024;

export class Daemon {
  readonly directory: string;
  readonly #options: DaemonOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #expected = true;
  #log = '';
  #file: DaemonFile | null = null;

  private constructor(directory: string, options: DaemonOptions) {
    this.directory = directory;
    this.#options = options;
  }

  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const directory = options.directory ?? (await makeDirectory('petal-daemon-'));
    const daemon = new Daemon(directory, options);
    try {
      await daemon.launch();
    } catch (error) {
      await daemon.dispose();
      throw error;
    }
    return daemon;
  }

  /** Started now, checked and stopped when the test has ended. */
  static async forTest(t: Cleanup, options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = await Daemon.start(options);
    t.teardown(async () => {
      try {
        daemon.assertAlive();
        await daemon.stop();
      } finally {
        await daemon.dispose();
      }
    });
    return daemon;
  }

  /** Starts the process and waits until it serves. Used again after `kill` and `stop`. */
  async launch(): Promise<void> {
    const { wrapper = [], args = [], storeSize = '2GiB' } = this.#options;
    const command = [
      ...wrapper,
      process.execPath,
      join(ROOT, 'appliance/main.ts'),
      ...['--data', this.directory, '--store-size', storeSize],
      ...['--iscsi', '127.0.0.1:0', '--api', '127.0.0.1:0', ...args],
    ];
    const [program = process.execPath, ...rest] = command;
    this.#expected = false;
    const child = spawn(program, rest, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', (error) => {
        this.#note(`cannot start: ${error.message}\n`);
        resolve();
      });
    });
    let stdout = '';
    const ready = new Promise<'ready'>((resolve) => {
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        this.#note(text);
        if (stdout.length < MAX_LOG_CHARS) stdout += text;
        if (stdout.includes(READY)) resolve('ready');
      });
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#note(text));
    const limitMs = this.#options.startTimeoutMs ?? START_TIMEOUT_MS;
    const ended = this.#ended.then(() => 'ended' as const);
    const outcome = await within(Promise.race([ready, ended]), limitMs);
    if (outcome !== 'ready') {
      throw new Error(`the daemon did not start (${outcome}):\n${this.#log}`);
    }
    const text = await readFile(join(this.directory, 'daemon.json'), 'utf8');
    this.#file = JSON.parse(text) as DaemonFile;
  }

  /** Of the daemon itself, also below a wrapper. */
  get pid(): number {
    return this.#current.pid;
  }

  /** The port of the first iSCSI portal. */
  get port(): number {
    const first = this.#current.iscsi[0] ?? '';
    const port = Number(first.slice(first.lastIndexOf(':') + 1));
    if (!Number.isInteger(port) || port < 1) throw new Error(`no port in "${first}"`);
    return port;
  }

  get #current(): DaemonFile {
    if (this.#file === null) throw new Error('the daemon has not started');
    return this.#file;
  }

  /** stdout and stderr, the latest. */
  get log(): string {
    return this.#log;
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Throws when the daemon has ended without being told. */
  assertAlive(): void {
    if (this.isRunning || this.#expected) return;
    const end = this.#child?.exitCode ?? this.#child?.signalCode;
    throw new Error(`the daemon died (${end}):\n${this.#log}`);
  }

  /** kill -9, no warning. Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.assertAlive();
    this.#expected = true;
    if (this.isRunning) process.kill(this.pid, 'SIGKILL');
    await this.#ended;
  }

  /** SIGTERM; throws unless it ends with status 0 in time. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.#expected = true;
    process.kill(this.pid, 'SIGTERM');
    const outcome = await within(
      this.#ended.then(() => 'ended' as const),
      STOP_TIMEOUT_MS,
    );
    const child = this.#child;
    if (outcome === 'late' || child?.exitCode !== 0) {
      const end = outcome === 'late' ? 'not at all' : (child?.exitCode ?? child?.signalCode);
      throw new Error(`SIGTERM did not end the daemon cleanly (${end}):\n${this.#log}`);
    }
  }

  /** Ends whatever is left and removes the data directory if it was ours. */
  async dispose(): Promise<void> {
    this.#expected = true;
    if (this.isRunning) this.#child?.kill('SIGKILL');
    await this.#ended;
    if (this.#options.directory === undefined) await removeDirectory(this.directory);
  }

  /** Runs `petal --json …` against this daemon and returns what it printed. Throws on failure. */
  async petal(...args: string[]): Promise<unknown> {
    const result = await this.petalRaw(...args);
    if (result.status !== 0) throw new Error(describe(result));
    return result.stdout.trim() === '' ? null : JSON.parse(result.stdout);
  }

  petalRaw(...args: string[]) {
    const cli = join(ROOT, 'appliance/cli/main.ts');
    return run(process.execPath, [cli, '--data', this.directory, '--json', ...args]);
  }

  async disk(name = 'disk0'): Promise<DiskInfo> {
    return (await this.petal('disk', 'show', name)) as DiskInfo;
  }

  async createDisk(name: string, size: string, ...args: string[]): Promise<DiskInfo> {
    return (await this.petal('disk', 'create', name, size, ...args)) as DiskInfo;
  }

  /** `iscsi://…` as libiscsi and QEMU take it. */
  url(disk: DiskInfo): string {
    return `iscsi://127.0.0.1:${this.port}/${disk.iqn}/${disk.lun}`;
  }

  login(disk: DiskInfo, options: Partial<LoginOptions> = {}): Promise<Initiator> {
    return Initiator.login({ port: this.port, target: disk.iqn, lun: disk.lun, ...options });
  }

  #note(text: string): void {
    this.#log = (this.#log + text).slice(-MAX_LOG_CHARS);
  }
}
