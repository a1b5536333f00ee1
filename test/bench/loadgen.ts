/**
 * The load generator of loadgen/ as a function: built once for each run of the bench, one measurement
 * a call. What it cannot do it says on stderr, and the call rejects with that.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type RunResult, run, runOk } from '../kit/run.ts';

const SOURCES = join(import.meta.dirname, 'loadgen');
const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Wshadow', '-Wconversion', '-Werror'];

/** Over every place of the LUN. */
const PASS = ['--once', '--block', String(2 ** 20), '--depth', '4'];

export type Engine = 'raw' | 'libiscsi';

export interface Load {
  readonly engine: Engine;
  readonly write?: boolean;
  readonly sequential?: boolean;
  readonly blockBytes: number;
  readonly depth: number;
  readonly connections?: number;
  readonly digests?: boolean;
}

/** What it prints. Microseconds; processor time is of one operation. */
export interface LoadReport {
  readonly operations: number;
  readonly seconds: number;
  readonly iops: number;
  readonly megabytesPerS: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly clientUs: number;
  /** Null without a pid. */
  readonly targetUserUs: number | null;
  readonly targetSystemUs: number | null;
  readonly failed: number;
  /** Operations that read something else than was written. */
  readonly wrong: number;
}

export class LoadGenerator {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  /** Compiles into `directory`. Rejects with what the compiler says. */
  static async build(directory: string, flags: readonly string[] = FLAGS): Promise<LoadGenerator> {
    const program = join(directory, 'loadgen');
    const files = readdirSync(SOURCES).filter((name) => name.endsWith('.c'));
    const paths = files.map((name) => join(SOURCES, name));
    await runOk('cc', [...flags, '-o', program, ...paths, '-liscsi']);
    return new LoadGenerator(program);
  }

  run(args: readonly string[]): Promise<RunResult> {
    return run(this.#program, args);
  }

  /** For `seconds`, after a warm-up. The session stands before that. Rejects when an operation failed. */
  async measure(
    load: Load,
    options: { url: string; pid: number; seconds: number; warmUpS?: number },
  ): Promise<LoadReport> {
    const { url, pid, seconds, warmUpS = 0.5 } = options;
    return reportOf(
      await this.run([
        ...['--warm-up', String(warmUpS)],
        ...argumentsOf(load),
        ...['--seconds', String(seconds), '--pid', String(pid), url],
      ]),
    );
  }

  /** Writes the whole LUN once, so that reads meet data and writes meet allocated memory. */
  async fill(url: string): Promise<void> {
    reportOf(await this.run(['--write', '--stamp', '1', ...PASS, url]));
  }

  /** Reads the whole LUN once, so that caches hold what they ever will. */
  async readOnce(url: string): Promise<void> {
    reportOf(await this.run([...PASS, url]));
  }
}

export function reportOf(result: RunResult): LoadReport {
  if (result.status !== 0) throw new Error(`loadgen ended with ${result.status}: ${result.output}`);
  return JSON.parse(result.stdout) as LoadReport;
}

function argumentsOf(load: Load): string[] {
  return [
    ...['--engine', load.engine, '--block', String(load.blockBytes)],
    ...['--depth', String(load.depth), '--connections', String(load.connections ?? 1)],
    ...(load.write ? ['--write'] : []),
    ...(load.sequential ? ['--sequential'] : []),
    ...(load.digests ? ['--header-digest', '--data-digest'] : []),
  ];
}
