/**
 * The bed: kernel, initrd and root image of a small Debian guest with the kernel's iSCSI initiator,
 * built once per machine and recipe below $XDG_CACHE_HOME/petal-guest and only read afterwards.
 * A build goes to a directory of its own and is renamed when whole, so half a bed is never used and
 * two builders at once do no harm.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runOk } from '#test/kit/run.ts';
import { hostSource, packages, recipeKey, rootFiles } from './recipe.ts';

export interface Bed {
  readonly kernel: string;
  readonly initrd: string;
  readonly root: string;
}

const BUILD_TIMEOUT_MS = 15 * 60_000;
/** A build directory of this age was left behind by a builder that was killed. */
const ABANDONED_MS = 60 * 60_000;

const cacheDirectory = (): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'petal-guest');

/** The bed of the present recipe; builds it when there is none, telling `note` so. */
export async function openBed(note: (text: string) => void): Promise<Bed> {
  const source = await hostSource();
  const cache = cacheDirectory();
  const directory = join(cache, recipeKey(source.release));
  if (!existsSync(directory)) {
    note(`building the guest (Debian ${source.release}), once; this takes a minute or two`);
    await mkdir(cache, { recursive: true });
    await removeAbandoned(cache);
    await build(cache, directory, source.release, source.lines);
    await removeOthers(cache, directory);
  }
  return {
    kernel: join(directory, 'kernel'),
    initrd: join(directory, 'initrd'),
    root: join(directory, 'root.ext4'),
  };
}

async function build(
  cache: string,
  directory: string,
  release: string,
  lines: readonly string[],
): Promise<void> {
  const work = await mkdtemp(join(cache, 'build-'));
  try {
    const sources = join(work, 'sources.list');
    await writeFile(sources, `${lines.join('\n')}\n`);
    const out = join(work, 'bed');
    await mkdir(out);
    const hook = (text: string): string => `--customize-hook=${text}`;
    await runOk(
      'mmdebstrap',
      [
        ...['--quiet', '--variant=minbase', '--format=null', `--include=${packages.join(',')}`],
        '--aptopt=APT::Install-Recommends "false"',
        hook(`sh ${quote(join(rootFiles, 'make-image'))} "$1" ${quote(rootFiles)}`),
        hook(`download /boot/guest.kernel ${quote(join(out, 'kernel'))}`),
        hook(`download /boot/guest.initrd ${quote(join(out, 'initrd'))}`),
        hook(`download /boot/guest.ext4 ${quote(join(out, 'root.ext4'))}`),
        ...[release, '/dev/null', sources],
      ],
      { timeoutMs: BUILD_TIMEOUT_MS },
    );
    for (const name of ['kernel', 'initrd', 'root.ext4']) {
      if ((await stat(join(out, name))).size === 0) throw new Error(`the bed's ${name} is empty`);
    }
    await rename(out, directory).catch((error: NodeJS.ErrnoException) => {
      // Another builder was first; its bed is the same.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith('build-')) continue;
    const { mtimeMs } = await stat(join(cache, name));
    if (Date.now() - mtimeMs > ABANDONED_MS) await rm(join(cache, name), { recursive: true });
  }
}

/** Beds of older recipes are half a gigabyte each. One that a run has open stays until it ends. */
async function removeOthers(cache: string, keep: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    if (/^[0-9a-f]{12}$/.test(name) && path !== keep) await rm(path, { recursive: true });
  }
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
