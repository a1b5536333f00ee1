/**
 * What petald can be told, one row each: flag, key in the configuration file, JSON schema, what is
 * allowed, default, and how a text becomes a value. Flags, file, help and messages all come from
 * this table, so they cannot disagree.
 */
import { type Layout, layouts } from '#storage/disk/array/geometry.ts';
import type { LayoutChoice } from '#storage/pool-disks.ts';
import {
  type Address,
  addressForms,
  type PortalAddress,
  parseAddress,
  parsePortal,
  portalForms,
} from './addresses.ts';
import { limits } from './limits.ts';
import { isIqnBase } from './names.ts';
import { formatSize, parseSize, SizeError, sizeForms } from './sizes.ts';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Everything a start of the daemon follows from; all values checked. */
export interface Config {
  /** Absolute. */
  readonly dataDirectory: string;
  readonly iscsi: readonly PortalAddress[];
  readonly api: Address;
  /** Absolute paths of files, directories or block devices: the disks of the store. */
  readonly stores: readonly string[];
  /** How a new store uses its disks; null: it lies on one, as it is. */
  readonly layout: LayoutChoice | null;
  /** Share of the time that rebuilding takes while clients work, 0…1. */
  readonly rebuildShare: number;
  /** Every live block is verified once in this time; 0: only when asked. */
  readonly scrubDays: number;
  /** Null: the lesser of 20 GiB and half of the free space. */
  readonly storeSizeBytes: number | null;
  readonly cacheBytes: number;
  readonly writeBackBytes: number;
  /** Hosts of thin disks are warned when less than this share of the store is free, 0…1; 0: never. */
  readonly warnFreeShare: number;
  readonly iqnBase: string;
  readonly logLevel: LogLevel;
  /** Take a file or block device although something else is on it. */
  readonly wipe: boolean;
}

/** A value that is not allowed; `petald` prints the message in one line and exits with 2. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigError';
  }
}

export interface Setting {
  /** As a flag, with its argument: `--store-size SIZE`. */
  readonly flag: string;
  readonly describe: string;
  readonly allowed: string;
  /** For --help; what the code does when nothing is said is in `config.ts`. */
  readonly byDefault: string;
  readonly schema: Record<string, unknown>;
  readonly repeat?: true;
  /** Throws any Error when the text is not allowed. */
  readonly check: (text: string) => unknown;
}

const text = { type: 'string', minLength: 1, maxLength: 4096 };

function toPortal(value: string): PortalAddress {
  const portal = parsePortal(value);
  if (portal === null) throw new ConfigError('not a portal');
  return portal;
}

function toAddress(value: string): Address {
  const address = parseAddress(value);
  if (address === null) throw new ConfigError('not an address');
  return address;
}

function toCacheBytes(value: string): number {
  const bytes = parseSize(value);
  if (bytes < limits.cacheMinBytes) throw new SizeError('too small');
  return bytes;
}

function toWriteBackBytes(value: string): number {
  const bytes = parseSize(value);
  if (bytes < limits.writeBackMinBytes) throw new SizeError('too small');
  return bytes;
}

function toShare(value: string): number {
  const match = /^(\d{1,2})%$/.exec(value);
  if (match === null) throw new ConfigError('not a share');
  return Number(match[1]) / 100;
}

function toRebuildShare(value: string): number {
  const share = toShare(value);
  if (share < 0.01) throw new ConfigError('too small');
  return share;
}

function toDays(value: string): number {
  if (!/^\d{1,3}$/.test(value)) throw new ConfigError('not a number of days');
  return Number(value);
}

function toLayout(value: string): LayoutChoice {
  const match = /^([a-z]+)(?::([1-9]))?$/.exec(value);
  const layout = oneOf<Layout>(layouts)(match?.[1] ?? '');
  const columns = match?.[2] === undefined ? null : Number(match[2]);
  const spread = layout === 'striped' || layout === 'parity';
  if (columns !== null && (!spread || columns < 2 || columns > 8)) throw new ConfigError('columns');
  return { layout, columns };
}

function oneOf<T extends string>(values: readonly T[]): (value: string) => T {
  return (value) => {
    const found = values.find((known) => known === value);
    if (found === undefined) throw new ConfigError('not one of the known words');
    return found;
  };
}

function toIqnBase(value: string): string {
  const base = value.toLowerCase();
  if (!isIqnBase(base)) throw new ConfigError('not an iSCSI qualified name');
  return base;
}

/** By the key in the configuration file. */
export const settings = {
  iscsi: {
    flag: '--iscsi <HOST:PORT[,GROUP]>',
    describe: 'serve iSCSI here, in a portal group; may be given several times',
    allowed: portalForms,
    byDefault: '127.0.0.1:3260',
    schema: { type: 'array', items: text, minItems: 1, maxItems: limits.portals },
    repeat: true,
    check: toPortal,
  },
  api: {
    flag: '--api <HOST:PORT>',
    describe: 'serve the control API here',
    allowed: addressForms,
    byDefault: '127.0.0.1:3280',
    schema: text,
    check: toAddress,
  },
  store: {
    flag: '--store <PATH>',
    describe: 'the store: a file, a directory or a block device; several times for several disks',
    allowed: 'a path',
    byDefault: 'store.petal in the data directory',
    schema: {
      anyOf: [text, { type: 'array', items: text, minItems: 1, maxItems: limits.storePaths }],
    },
    repeat: true,
    check: (value: string) => value,
  },
  layout: {
    flag: '--layout <LAYOUT>',
    describe: 'how a new store uses several disks',
    allowed: 'single, striped, mirrored, parity; striped:N and parity:N with N data disks, 2 to 8',
    byDefault: 'none: one disk, and no more can be added',
    schema: text,
    check: toLayout,
  },
  rebuildShare: {
    flag: '--rebuild-share <SHARE>',
    describe: 'share of the time that rebuilding a lost disk takes while clients work',
    allowed: '1% to 99%',
    byDefault: '30%',
    schema: text,
    check: toRebuildShare,
  },
  storeSize: {
    flag: '--store-size <SIZE>',
    describe: 'size of a new store, allocated up front',
    allowed: sizeForms,
    byDefault: 'the lesser of 20 GiB and half of the free space',
    schema: text,
    check: parseSize,
  },
  scrubDays: {
    flag: '--scrub-days <DAYS>',
    describe: 'verify every block of the store, and its copies, once in so many days',
    allowed: '1 to 999; 0: only when asked (petal store scrub start)',
    byDefault: '30',
    schema: text,
    check: toDays,
  },
  cacheSize: {
    flag: '--cache-size <SIZE>',
    describe: 'memory for cached blocks',
    allowed: `${sizeForms}; at least ${formatSize(limits.cacheMinBytes)}`,
    byDefault: '256MiB',
    schema: text,
    check: toCacheBytes,
  },
  writeBackMemory: {
    flag: '--write-back-memory <SIZE>',
    describe: 'memory for what disks with write-back hold back, all together',
    allowed: `${sizeForms}; at least ${formatSize(limits.writeBackMinBytes)}`,
    byDefault: '256MiB',
    schema: text,
    check: toWriteBackBytes,
  },
  warnFree: {
    flag: '--warn-free <SHARE>',
    describe: 'warn hosts of thin disks when less of the store is free',
    allowed: '0% (never) to 99%',
    byDefault: '20%',
    schema: text,
    check: toShare,
  },
  iqnBase: {
    flag: '--iqn-base <IQN>',
    describe: 'start of the target names of disks made from now on',
    allowed: 'iqn.YYYY-MM.<reversed domain>, lower case, without a colon at the end',
    byDefault: 'iqn.2026-11.internal.petal',
    schema: text,
    check: toIqnBase,
  },
  logLevel: {
    flag: '--log-level <LEVEL>',
    describe: 'how much to log',
    allowed: logLevels.join(', '),
    byDefault: 'info',
    schema: { enum: [...logLevels] },
    check: oneOf(logLevels),
  },
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof settings;
export const settingKeys = Object.keys(settings) as SettingKey[];
