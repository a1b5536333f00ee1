/** Starts a program that serves a LUN 0 and prints its iscsi:// URL. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from './process.ts';

const START_TIMEOUT_MS = 30_000;

export interface Served {
  readonly url: string;
  readonly port: number;
  readonly target: string;
  readonly pid: number;
  /** Everything it has printed so far, both streams. */
  output(): string;
  /** Ends it and waits; resolves with its exit status, or the signal that ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

/** `args` are of node itself. Throws with what the program said when it ends or stays silent. */
export async function serve(args: readonly string[], cwd: string): Promise<Served> {
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const ended = once(child, 'exit');
  const find = () => /^(iscsi:\/\/127\.0\.0\.1:(\d+)\/(\S+)\/0)$/m.exec(said);
  try {
    await until(`a URL from ${args.join(' ')}`, START_TIMEOUT_MS, () => {
      if (hasEnded(child)) throw new Error(`${args.join(' ')} ended`);
      return find() !== null;
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${(error as Error).message}\n${said}`, { cause: error });
  }
  const [, url, port, target] = find()!;
  return {
    url: url!,
    port: Number(port),
    target: target!,
    pid: child.pid!,
    output: () => said,
    async stop(signal = 'SIGTERM') {
      if (!hasEnded(child)) child.kill(signal);
      const [status, by] = (await ended) as [number | null, NodeJS.Signals | null];
      return status ?? by!;
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
