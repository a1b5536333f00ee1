/**
 * Facts about the machine, collected after the start and then rarely, by a child process at low
 * priority (host-facts.ts). Never on the data path: asking for them returns what was last seen.
 */
import { type ChildProcess, execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { limits } from './limits.ts';
import type { Log } from './log.ts';

/** Sizes in bytes. */
export interface HostFacts {
  /** ISO 8601, UTC. */
  readonly collected: string;
  readonly os: {
    readonly name: string;
    readonly kernel: string;
    readonly arch: string;
    readonly hostname: string;
  };
  readonly cpu: { readonly model: string; readonly cores: number };
  readonly memory: { readonly total: number; readonly available: number };
  readonly disks: readonly {
    readonly device: string;
    readonly model: string;
    readonly type: string;
    readonly size: number;
    readonly smart: string;
  }[];
  readonly fileSystems: readonly {
    readonly mount: string;
    readonly type: string;
    readonly size: number;
    readonly used: number;
  }[];
  readonly interfaces: readonly {
    readonly name: string;
    readonly state: string;
    readonly address4: string;
    readonly address6: string;
    readonly mac: string;
    readonly mtu: number;
    readonly speedMbps: number;
  }[];
}

const program = fileURLToPath(new URL('./host-facts.ts', import.meta.url));

export class Host {
  readonly #log: Log;
  #facts: HostFacts | null = null;
  #timer: NodeJS.Timeout | null = null;
  #child: ChildProcess | null = null;
  #closed = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Begin to collect, now and then. */
  start(): void {
    this.#later(limits.hostFirstMs);
  }

  /** What was last seen; null before the first collection has ended. */
  get facts(): HostFacts | null {
    return this.#facts;
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#child?.kill('SIGKILL');
  }

  #later(delayMs: number): void {
    this.#timer = setTimeout(() => this.#collect(), delayMs);
    this.#timer.unref();
  }

  #collect(): void {
    const options = {
      timeout: limits.hostTimeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: limits.hostAnswerBytes,
    } as const;
    this.#child = execFile(process.execPath, [program], options, (error, stdout) => {
      this.#child = null;
      if (this.#closed) return;
      this.#learn(error, stdout);
      this.#later(limits.hostRefreshMs);
    });
    // Only the answer is wanted; a daemon that has nothing else to do may end before it comes.
    this.#child.unref();
  }

  #learn(error: Error | null, stdout: string): void {
    try {
      if (error !== null) throw error;
      this.#facts = JSON.parse(stdout) as HostFacts;
    } catch (err) {
      this.#log.warn({ err }, 'facts about this machine could not be collected');
    }
  }
}
