/**
 * petald: reads the configuration, starts the daemon, says so, and stops on SIGTERM, SIGINT or
 * SIGHUP: cleanly on the first, at once on the second. On SIGPWR the power is failing (power.ts). Exit
 * status: 0 clean shutdown, 1 cannot start or failed, 2 wrong flag or configuration.
 */

import type { Daemon } from './compose.ts';
import { readConfig } from './config.ts';
import { isExpected } from './errors.ts';
import { greet } from './greeting.ts';
import { limits } from './limits.ts';
import { type Log, makeLog } from './log.ts';
import { type Config, ConfigError } from './settings.ts';

/** Signal numbers for the exit status by which shells know a death by signal: 128 + n. */
const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

async function main(): Promise<void> {
  let config: ReturnType<typeof readConfig>;
  try {
    config = readConfig(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    fail(error.message, 2);
  }
  if ('exit' in config) {
    process.exitCode = config.exit;
    return;
  }
  // Whoever read our greeting may be gone; that is no reason to stop serving.
  process.stdout.on('error', () => {});
  const log = makeLog(config.logLevel);
  process.on('uncaughtExceptionMonitor', (err) => log.fatal({ err }, 'a bug: petald stops'));
  await serve(config, log);
}

async function serve(config: Config, log: Log): Promise<void> {
  const shutdown = new Shutdown(log);
  // Only now: --help and a wrong flag are answered without loading everything.
  const { Daemon } = await import('./compose.ts');
  let daemon: Daemon;
  try {
    daemon = await Daemon.start(config, log);
  } catch (error) {
    if (!isExpected(error)) throw error;
    fail(error.message, 1);
  }
  daemon.onFailed((err) => {
    log.fatal({ err }, 'the store has failed: reads are answered, nothing is written any more');
  });
  const { iscsi, api } = daemon.addresses;
  process.stdout.write(
    greet({
      first: daemon.first,
      dataDirectory: config.dataDirectory,
      storePath: daemon.storePath,
      storeSize: daemon.storeSize,
      iscsi,
      api,
      disks: daemon.disks.list(),
    }),
  );
  shutdown.closes(daemon);
}

/** Listens for signals from before the start, so that none is lost while the store opens. */
class Shutdown {
  readonly #log: Log;
  #asked: keyof typeof signals | null = null;
  #askedAt = 0;
  #powerFails = false;
  #daemon: Daemon | null = null;

  constructor(log: Log) {
    this.#log = log;
    for (const signal of Object.keys(signals) as (keyof typeof signals)[]) {
      process.on(signal, () => this.#hear(signal));
    }
    process.on('SIGPWR', () => {
      this.#powerFails = true;
      if (this.#daemon !== null) this.#powerFailing(this.#daemon);
    });
  }

  /** `petal power restored` takes it back. */
  #powerFailing(daemon: Daemon): void {
    daemon.power.failing().catch((err: unknown) => {
      this.#log.fatal({ err }, 'the power is failing and not all that is held back can be written');
    });
  }

  closes(daemon: Daemon): void {
    this.#daemon = daemon;
    if (this.#powerFails) this.#powerFailing(daemon);
    if (this.#asked !== null) void this.#close(daemon);
  }

  #hear(signal: keyof typeof signals): void {
    if (this.#asked !== null) {
      const echo = performance.now() - this.#askedAt < limits.signalEchoMs;
      if (!echo) process.exit(128 + signals[signal]);
      return;
    }
    this.#asked = signal;
    this.#askedAt = performance.now();
    this.#log.info({ signal }, 'stopping; a second signal stops at once');
    if (this.#daemon !== null) void this.#close(this.#daemon);
  }

  async #close(daemon: Daemon): Promise<void> {
    setTimeout(() => {
      this.#log.fatal({ afterMs: limits.shutdownMs }, 'the shutdown hangs; stopping at once');
      process.exit(1);
    }, limits.shutdownMs).unref();
    try {
      await daemon.close();
    } catch (err) {
      this.#log.fatal({ err }, 'the shutdown was not clean; the next start recovers');
      process.exit(1);
    }
    this.#log.info({}, 'stopped');
    process.exit(0);
  }
}

/** One line for people; the process ends. */
function fail(message: string, status: number): never {
  process.stderr.write(`petald: ${message}\n`);
  process.exit(status);
}

await main();
