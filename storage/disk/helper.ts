/**
 * Runs util-linux programs for what node:fs cannot do: flock, fallocate, blkid, wipefs. They ship
 * with every Debian; where one is missing the error says so.
 */
import { spawn } from 'node:child_process';
import { StorageError } from '../base/errors.ts';
import { limits } from './limits.ts';

export interface Outcome {
  readonly status: number;
  readonly output: string;
}

/** `fds` become descriptors 3, 4… of the program. INVALID when it cannot be run or hangs. */
export function run(
  program: string,
  args: readonly string[],
  fds: readonly number[] = [],
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe', ...fds],
      timeout: limits.helperMs,
      killSignal: 'SIGKILL',
      // A plain user's PATH lacks the sbin directories; messages are matched in English.
      env: { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        if (output.length < limits.helperOutputBytes) output += text;
      });
    }
    child.once('error', (cause) => {
      reject(new StorageError('INVALID', `cannot run ${program} (util-linux)`, { cause }));
    });
    child.once('close', (status, signal) => {
      if (status !== null) resolve({ status, output: output.trim() });
      else reject(new StorageError('INVALID', `${program} was ended by ${signal}: ${output}`));
    });
  });
}
