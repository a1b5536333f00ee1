/**
 * Where the disks of the store were when it was open last, in disks.json of the data directory: so that a
 * disk that was added by the command line is found after a restart. The disks know themselves who
 * they are; this only says where to look.
 */
import { readOrNull, writePrivately } from './daemon-file.ts';
import { StartError } from './errors.ts';
import { limits } from './limits.ts';

/** Absolute paths; none when there is no such file. StartError: the file makes no sense. */
export function readStorePaths(path: string): string[] {
  const text = readOrNull(path);
  if (text === null) return [];
  const paths = pathsIn(text);
  if (paths !== null) return paths;
  throw new StartError(`${path} does not hold a list of paths; correct it or remove it`);
}

function pathsIn(text: string): string[] | null {
  try {
    const { paths } = JSON.parse(text) as { paths: unknown };
    if (!Array.isArray(paths) || paths.length > limits.storePaths) return null;
    return paths.every((one) => typeof one === 'string' && one.startsWith('/')) ? paths : null;
  } catch {
    return null;
  }
}

export function writeStorePaths(path: string, paths: readonly string[]): void {
  writePrivately(path, `${JSON.stringify({ paths }, null, 2)}\n`);
}
