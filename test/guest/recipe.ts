/**
 * What the guest is made of: Debian packages and the scripts in root/. The key of a built bed is a
 * hash of all of it, so a changed recipe builds anew and an unchanged one never does. The Debian
 * release and its mirrors are those of the host's own apt configuration.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOk } from '#test/kit/run.ts';

export const rootFiles = join(import.meta.dirname, 'root');

/** Added to minbase. udev, kmod and busybox are the boot; the rest is what jobs use. */
export const packages = [
  ...['linux-image-cloud-amd64', 'busybox-static', 'kmod', 'udev', 'iproute2', 'procps'],
  ...['nftables', 'open-iscsi', 'multipath-tools', 'sg3-utils', 'ddpt', 'util-linux'],
  ...['e2fsprogs', 'xfsprogs', 'fio', 'dmsetup'],
  // node's.
  'libatomic1',
] as const;

export interface Source {
  /** Code name, such as "bookworm". */
  readonly release: string;
  /** Lines for sources.list. */
  readonly lines: readonly string[];
}

/** Debian release and mirrors as the host's apt has them. Throws when the host is not Debian. */
export async function hostSource(): Promise<Source> {
  const about = readFileSync('/etc/os-release', 'utf8');
  const release = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(about)?.[1];
  if (!/^ID="?debian"?$/m.test(about) || release === undefined) {
    throw new Error('the guest is built from the packages of a Debian host; this is none');
  }
  if (process.arch !== 'x64') throw new Error(`the guest is amd64; this host is ${process.arch}`);
  const format = 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)';
  const listed = await runOk('apt-get', [
    'indextargets',
    '--format',
    format,
    'Identifier: Packages',
  ]);
  const lines = sourceLines(listed.stdout, release);
  if (lines.length === 0) throw new Error(`apt knows no source of Debian ${release}`);
  return { release, lines };
}

/** Those of `listed` that belong to the release itself or to its updates and security suites. */
export function sourceLines(listed: string, release: string): string[] {
  const suite = new RegExp(`^deb \\S+ ${release}(-updates|-security)? main$`);
  return [...new Set(listed.split('\n').filter((line) => suite.test(line)))];
}

/** Twelve hex digits. The mirror is left out: it changes where packages come from, not which. */
export function recipeKey(release: string): string {
  const hash = createHash('sha256').update(JSON.stringify([release, packages]));
  for (const name of readdirSync(rootFiles).sort()) {
    hash.update(`\0${name}\0`).update(readFileSync(join(rootFiles, name)));
  }
  return hash.digest('hex').slice(0, 12);
}
