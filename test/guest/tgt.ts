/**
 * Debian's tgt in the place of the daemon: shows that a job's failure is not the bed's. One tgtd with
 * two portals and a target per job, which can be killed, started again and told to drop a session.
 *
 * tgtd falls back to 0.0.0.0:3260 when its port is taken, and talks to tgtadm over a socket whose
 * place depends on `-C` and TGT_IPC_SOCKET; so it is given ports that were free and a socket of its
 * own, and one that listens elsewhere is ended at once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '#test/kit/process.ts';
import { describe, run } from '#test/kit/run.ts';
import { freePort, makeDirectory, removeDirectory } from '#test/kit/temp.ts';
import { type GuestServer, type JobDisk, ServerKind } from './server.ts';

const BASE = 'iqn.2026-11.internal.petal:tgt';
const LUN = 1;
const START_TIMEOUT_MS = 10_000;

export class TgtServer implements GuestServer {
  readonly kind = ServerKind.tgt;
  readonly #directory: string;
  readonly #ports: readonly number[];
  readonly #names: string[] = [];
  #child: ChildProcess | null = null;

  private constructor(directory: string, ports: readonly number[]) {
    this.#directory = directory;
    this.#ports = ports;
  }

  static async start(): Promise<TgtServer> {
    const ports = [await freePort(), await freePort()];
    const server = new TgtServer(await makeDirectory('petal-tgt-'), ports);
    try {
      await server.#launch();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async disk(name: string, sizeMiB: number): Promise<JobDisk> {
    const size = sizeMiB * 1024 * 1024;
    await writeFile(this.#file(name), '');
    await truncate(this.#file(name), size);
    this.#names.push(name);
    await this.#add(name, this.#names.length);
    return { target: `${BASE}:${name}`, lun: LUN, size, portals: this.#portals };
  }

  async answer(name: string, words: readonly string[]): Promise<string> {
    switch (words.join(' ')) {
      case 'kill':
        await this.#kill();
        return '';
      case 'start':
        await this.#launch();
        return '';
      case 'kick':
        return this.#kickFirst(this.#names.indexOf(name) + 1);
      default:
        throw new Error(`nobody does "${words.join(' ')}" for tgt`);
    }
  }

  assertAlive(): void {
    if (!this.#isRunning) throw new Error('tgtd died');
  }

  log(): string {
    return '(tgtd logs to syslog only)';
  }

  async stop(): Promise<void> {
    await this.#kill();
    await removeDirectory(this.#directory);
  }

  get #isRunning(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  get #portals(): readonly string[] {
    return this.#ports.map((port) => `127.0.0.1:${port}`);
  }

  get #control(): string {
    return String((this.#ports[0] ?? 0) % 32_768);
  }

  get #env(): Readonly<Record<string, string>> {
    return { TGT_IPC_SOCKET: join(this.#directory, 'ipc') };
  }

  #file(name: string): string {
    return join(this.#directory, `${name}.raw`);
  }

  /** Starts tgtd with the targets that there were. */
  async #launch(): Promise<void> {
    const portals = this.#portals.map((portal) => `portal=${portal}`).join(',');
    const child = spawn(
      '/usr/sbin/tgtd',
      ['-f', '-C', this.#control, '-p', join(this.#directory, 'pid'), '--iscsi', portals],
      { stdio: 'ignore', env: { ...process.env, ...this.#env } },
    );
    child.once('error', () => {});
    this.#child = child;
    await until('tgtd answers', START_TIMEOUT_MS, async () => {
      this.assertAlive();
      return (await this.#admin('--mode', 'sys', '--op', 'show')).status === 0;
    });
    const listening = await this.#must('--mode', 'portal', '--op', 'show');
    for (const portal of this.#portals) {
      if (!listening.includes(portal)) {
        await this.#kill();
        throw new Error(`tgtd listens elsewhere:\n${listening}`);
      }
    }
    for (const [index, name] of this.#names.entries()) await this.#add(name, index + 1);
  }

  async #add(name: string, tid: number): Promise<void> {
    const target = ['--mode', 'target', '--tid', String(tid)];
    const unit = ['--mode', 'logicalunit', '--tid', String(tid), '--lun', String(LUN)];
    await this.#must(...target, '--op', 'new', '-T', `${BASE}:${name}`);
    await this.#must(...unit, '--op', 'new', '-b', this.#file(name), '--bstype', 'rdwr');
    await this.#must(...unit, '--op', 'update', '--params', 'thin_provisioning=1');
    await this.#must(...target, '--op', 'bind', '-I', '127.0.0.1');
  }

  async #kickFirst(tid: number): Promise<string> {
    const connections = ['--mode', 'conn', '--tid', String(tid)];
    const shown = await this.#must(...connections, '--op', 'show');
    const session = /Session: (\d+)\s+Connection: (\d+)/.exec(shown);
    if (session?.[1] === undefined || session[2] === undefined) {
      throw new Error(`no session to drop:\n${shown}`);
    }
    return this.#must(...connections, '--sid', session[1], '--cid', session[2], '--op', 'delete');
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

  async #kill(): Promise<void> {
    const child = this.#child;
    if (child === null || !this.#isRunning) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}
