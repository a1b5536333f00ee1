/**
 * Images in other formats, through qemu-img as the initiator of a target of ours: it reads an exposed snapshot, or
 * writes a new disk, over iSCSI and block by block, so no copy of the whole lies anywhere in between and holes stay
 * holes. The target is guarded by a CHAP secret made for this once, which passes in a file that only its owner reads.
 *
 * An image from elsewhere may name other files as its backing or data file, and would be read with their content:
 * images that do are refused, by their header before qemu-img sees them (image-header.ts) and by what it tells.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { DiskView } from '../disk-view.ts';
import type { SnapshotView } from '../snapshot-view.ts';
import type { Status } from '../status.ts';
import { CliError, type Client, ExitStatus } from './client.ts';
import { checkImage } from './image-header.ts';
import { part } from './options.ts';
import { Progress } from './progress.ts';

export const imageFormats = ['raw', 'qcow2', 'vmdk', 'vhdx'] as const;
export type ImageFormat = (typeof imageFormats)[number];

const blockBytes = 4096;
/** What qemu-img prints may be kept. */
const outputChars = 1024 * 1024;

/** The name of the snapshot that was written. */
export async function exportImage(
  client: Client,
  source: string,
  format: ImageFormat,
  output: string,
): Promise<string> {
  await qemuImg(['--version']);
  const snapshot = await snapshotOf(client, source);
  if (snapshot.exposed !== null) {
    const text = `'${snapshot.name}' is exposed to hosts; unexpose it, or export another snapshot`;
    throw new CliError(ExitStatus.refused, text);
  }
  const path = `/snapshots/${part(snapshot.name)}/expose`;
  const partial = `${resolve(output)}.part`;
  await whole(async (secrets) => {
    const chap = { user: secrets.user, secret: secrets.secret };
    const { exposed } = await client.call<SnapshotView>('POST', path, { chap });
    try {
      const from = await targetOptions(client, exposed!.iqn, secrets);
      await convert(['-O', format, '--image-opts', ...secrets.object, from, partial]);
      await rename(partial, output);
    } finally {
      await client.call('DELETE', `${path}?force=true`);
      await rm(partial, { force: true });
    }
  });
  return snapshot.name;
}

async function snapshotOf(client: Client, source: string): Promise<SnapshotView> {
  if (source.includes('@')) {
    return await client.call<SnapshotView>('GET', `/snapshots/${part(source)}`);
  }
  const body = { disks: [source] };
  const made = await client.call<{ snapshots: SnapshotView[] }>('POST', '/snapshots', body);
  return made.snapshots[0]!;
}

export interface ImageDisk {
  readonly name: string;
  readonly reserved: boolean;
  readonly sanitize: boolean;
}

export async function importImage(
  client: Client,
  file: string,
  format: ImageFormat,
  wanted: ImageDisk,
): Promise<DiskView> {
  if (file === '-') {
    throw new CliError(ExitStatus.usage, `${format} is read from a file, not from a pipe`);
  }
  const path = resolve(file);
  await checkImage(path, format);
  const size = await virtualSize(path, format);
  const body = { ...wanted, size: Math.max(blockBytes, Math.ceil(size / blockBytes) * blockBytes) };
  return await whole(async (secrets) => {
    const disk = await client.call<DiskView>('POST', '/disks', body);
    const at = `/disks/${part(disk.id)}`;
    try {
      const chap = { user: secrets.user, secret: secrets.secret };
      await client.call('POST', `${at}/chap`, chap);
      const to = await targetOptions(client, disk.iqn, secrets);
      const how = ['-n', '--target-is-zero', '--target-image-opts', ...secrets.object];
      await convert([...how, '-f', format, path, to]);
      await client.call('DELETE', `${at}/chap`);
      return await client.call<DiskView>('GET', at);
    } catch (error) {
      await client.call('DELETE', `${at}?force=${part(disk.name)}&purge=true`);
      throw error;
    }
  });
}

interface ImageInfo {
  readonly 'virtual-size': number;
  readonly 'backing-filename'?: string;
  readonly 'full-backing-filename'?: string;
  readonly encrypted?: boolean;
  readonly 'format-specific'?: {
    readonly data?: { 'data-file'?: string; extents?: readonly { filename?: string }[] };
  };
}

/** Bytes; refuses what names other files. */
async function virtualSize(path: string, format: ImageFormat): Promise<number> {
  const text = await qemuImg(['info', '--output=json', '-f', format, path]);
  const info = JSON.parse(text) as ImageInfo;
  const { data } = info['format-specific'] ?? {};
  const others = [
    info['backing-filename'],
    info['full-backing-filename'],
    data?.['data-file'],
    ...(data?.extents ?? []).map(({ filename }) => filename),
  ].filter((name) => name !== undefined && name !== path);
  if (others.length > 0) {
    const why = `it is made of other files, too (${others[0]}), which an image from elsewhere may not name`;
    throw new CliError(ExitStatus.refused, `${path}: ${why}`);
  }
  if (info.encrypted === true) throw new CliError(ExitStatus.refused, `${path} is encrypted`);
  const size = info['virtual-size'];
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw new CliError(ExitStatus.refused, `${path}: qemu-img tells no size`);
}

interface Secrets {
  readonly user: string;
  readonly secret: string;
  /** qemu-img's object that holds the secret. */
  readonly object: readonly string[];
}

/** Runs `work` with a secret made for it, and to its end also when Ctrl-C ends qemu-img. */
async function whole<T>(work: (secrets: Secrets) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'petal-image-'));
  const ignore = (): void => {};
  process.on('SIGINT', ignore);
  process.on('SIGTERM', ignore);
  try {
    const secret = randomBytes(12).toString('base64url');
    const file = join(directory, 'secret');
    await writeFile(file, secret, { mode: 0o600 });
    const user = `image-${randomBytes(4).toString('hex')}`;
    return await work({ user, secret, object: ['--object', `secret,id=chap,file=${file}`] });
  } finally {
    process.off('SIGINT', ignore);
    process.off('SIGTERM', ignore);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Our target as QEMU names it. */
async function targetOptions(client: Client, iqn: string, { user }: Secrets): Promise<string> {
  const { iscsi } = await client.call<Status>('GET', '/status');
  const portal = (iscsi[0] ?? '')
    .replace(/^0\.0\.0\.0:/, '127.0.0.1:')
    .replace(/^\[::\]:/, '[::1]:');
  const options = {
    driver: 'raw',
    'file.driver': 'iscsi',
    'file.transport': 'tcp',
    'file.portal': portal,
    'file.target': iqn,
    'file.lun': '0',
    'file.user': user,
    'file.password-secret': 'chap',
  };
  return Object.entries(options)
    .map(([key, value]) => `${key}=${value.replaceAll(',', ',,')}`)
    .join(',');
}

/** `qemu-img convert`, with its progress as ours. */
async function convert(args: readonly string[]): Promise<void> {
  const progress = new Progress(100);
  try {
    await qemuImg(['convert', '-p', ...args], (text) => {
      const percent = /\((\d+(?:\.\d+)?)\/100%\)/.exec(text)?.[1];
      if (percent !== undefined) progress.at(Number(percent));
    });
  } finally {
    progress.end();
  }
}

/** What it prints. */
async function qemuImg(
  args: readonly string[],
  heard: (text: string) => void = () => {},
): Promise<string> {
  const child = spawn('qemu-img', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out = (out + text).slice(-outputChars);
    heard(text);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err = (err + text).slice(-outputChars);
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).catch((cause: NodeJS.ErrnoException) => {
    const text =
      cause.code === 'ENOENT'
        ? 'this format needs qemu-img (Debian: apt install qemu-utils qemu-block-extra)'
        : `qemu-img cannot be run: ${cause.message}`;
    throw new CliError(ExitStatus.refused, text, { cause });
  });
  if (status === 0) return out;
  const [why = 'it was ended'] = err.trim().split('\n').slice(-1);
  throw new CliError(ExitStatus.refused, `qemu-img has failed: ${why}`);
}
