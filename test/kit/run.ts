/**
 * Runs a program to its end and returns what it said. Every run has a time limit; a program that
 * passes it is killed with its whole process group, so that nothing is left behind.
 */
import { type SpawnOptions, spawn } from 'node:child_process';

export interface RunResult {
  readonly command: string;
  /** Exit status, or null when a signal ended it. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout and stderr in the order in which they came. */
  readonly output: string;
  readonly elapsedMs: number;
}

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

const DEFAULT_TIMEOUT_MS = 120_000;
/** A program that talks without end is cut here; the head is what explains a failure. */
const MAX_OUTPUT_CHARS = 16 * 1024 * 1024;

/** Never rejects for what the program did; rejects only when it cannot be started. */
export function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const spawnOptions: SpawnOptions = {
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...options.env },
  };
  if (options.cwd !== undefined) spawnOptions.cwd = options.cwd;
  const started = performance.now();
  const child = spawn(program, [...args], spawnOptions);
  let stdout = '';
  let stderr = '';
  let output = '';
  let timedOut = false;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (stdout.length < MAX_OUTPUT_CHARS) stdout += text;
    if (output.length < MAX_OUTPUT_CHARS) output += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < MAX_OUTPUT_CHARS) stderr += text;
    if (output.length < MAX_OUTPUT_CHARS) output += text;
  });
  if (options.input !== undefined) child.stdin?.end(options.input);
  const killGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  const limit = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      clearTimeout(limit);
      reject(error);
    });
    child.once('close', (status, signal) => {
      clearTimeout(limit);
      resolve({
        command: [program, ...args].join(' '),
        status,
        signal,
        timedOut,
        stdout,
        stderr,
        output,
        elapsedMs: performance.now() - started,
      });
    });
  });
}

/** As `run`, and throws with everything it said unless it exits 0. */
export async function runOk(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const result = await run(program, args, options);
  if (result.status !== 0) throw new Error(describe(result));
  return result;
}

export function describe(result: RunResult): string {
  const end = result.timedOut
    ? 'was killed at its time limit'
    : `ended with ${result.status ?? result.signal}`;
  return `${result.command}\n${end} after ${Math.round(result.elapsedMs)} ms\n${result.output}`;
}
