/**
 * Configuration of the daemon: flags, then the file petald.json in the data directory, then
 * defaults. What is wrong is said in one line with where it stands and what is allowed; nothing is
 * guessed or ignored. The file is read and never written.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command, CommanderError, Option } from 'commander';
import Conf from 'conf';
import type { PortalAddress } from './addresses.ts';
import { configName, dataPaths, defaultDataDirectory, defaultDataText } from './paths.ts';
import {
  type Config,
  ConfigError,
  type LogLevel,
  type Setting,
  type SettingKey,
  settingKeys,
  settings,
} from './settings.ts';
import { version } from './version.ts';

/** What the command line said: texts, not yet checked. */
interface Flags {
  readonly data?: string;
  readonly wipe?: true;
  readonly values: Partial<Record<SettingKey, string | string[]>>;
}

/** A text and where it was said, for messages. */
interface Said {
  readonly where: string;
  readonly text: string;
}

export interface Stop {
  /** Help or the version was asked for and is printed: the process is to end with this code. */
  readonly exit: number;
}

/**
 * Reads flags and file. Creates the data directory (0700) when it is not there. Throws ConfigError;
 * returns Stop when --help or --version was answered or commander has printed a usage error.
 */
export function readConfig(argv: readonly string[]): Config | Stop {
  const flags = readFlags(argv);
  if ('exit' in flags) return flags;
  const directory = resolve(flags.data ?? defaultDataDirectory());
  makeDirectory(directory);
  const file = readFile(directory);
  const said = (key: SettingKey): Said[] => collect(key, flags, file, directory);

  const one = <T>(key: SettingKey, check: (text: string) => T): T | null => {
    const [first] = said(key);
    return first === undefined ? null : checked(settings[key], check, first);
  };
  return {
    dataDirectory: directory,
    iscsi: addresses(said('iscsi')),
    api: one('api', settings.api.check) ?? settings.api.check(settings.api.byDefault),
    stores: paths(said('store'), directory),
    layout: one('layout', settings.layout.check),
    rebuildShare:
      one('rebuildShare', settings.rebuildShare.check) ??
      settings.rebuildShare.check(settings.rebuildShare.byDefault),
    scrubDays:
      one('scrubDays', settings.scrubDays.check) ??
      settings.scrubDays.check(settings.scrubDays.byDefault),
    storeSizeBytes: one('storeSize', settings.storeSize.check),
    cacheBytes:
      one('cacheSize', settings.cacheSize.check) ??
      settings.cacheSize.check(settings.cacheSize.byDefault),
    writeBackBytes:
      one('writeBackMemory', settings.writeBackMemory.check) ??
      settings.writeBackMemory.check(settings.writeBackMemory.byDefault),
    warnFreeShare:
      one('warnFree', settings.warnFree.check) ??
      settings.warnFree.check(settings.warnFree.byDefault),
    iqnBase: one('iqnBase', settings.iqnBase.check) ?? settings.iqnBase.byDefault,
    logLevel: one<LogLevel>('logLevel', settings.logLevel.check) ?? 'info',
    wipe: flags.wipe ?? false,
  };
}

function paths(said: readonly Said[], directory: string): string[] {
  if (said.length === 0) return [resolve(directory, 'store.petal')];
  const all = said.map(({ text }) => resolve(directory, text));
  const twice = all.find((path, index) => all.indexOf(path) !== index);
  if (twice === undefined) return all;
  throw new ConfigError(`${said[0]!.where}: '${twice}' is given twice`);
}

function addresses(said: readonly Said[]): PortalAddress[] {
  const { check, byDefault } = settings.iscsi;
  if (said.length === 0) return [check(byDefault)];
  return said.map((one) => checked(settings.iscsi, check, one));
}

function checked<T>(setting: Setting, check: (text: string) => T, said: Said): T {
  try {
    return check(said.text);
  } catch {
    throw new ConfigError(
      `${said.where}: '${said.text}' is not allowed; allowed: ${setting.allowed}`,
    );
  }
}

/** A flag hides the file's value; a path in the file is relative to the file. */
function collect(
  key: SettingKey,
  flags: Flags,
  file: Readonly<Record<string, unknown>>,
  directory: string,
): Said[] {
  const flag = flags.values[key];
  const { config } = dataPaths(directory);
  const value = flag ?? (file[key] as string | string[] | undefined);
  if (value === undefined) return [];
  const where = flag === undefined ? `${config}: ${key}` : flagName(settings[key]);
  const texts = Array.isArray(value) ? value : [value];
  return texts.map((text) => {
    const relativeToShell = key === 'store' && flag !== undefined;
    return { where, text: relativeToShell ? resolve(text) : text };
  });
}

function flagName(setting: Setting): string {
  return setting.flag.split(' ')[0] ?? setting.flag;
}

function makeDirectory(directory: string): void {
  try {
    makeWithParents(directory);
  } catch (error) {
    throw new ConfigError(`--data: cannot make ${directory}: ${(error as Error).message}`);
  }
}

/** Not `recursive: true`: where a parent exists but takes no children (/proc), that never returns. */
function makeWithParents(directory: string): void {
  if (existsSync(directory)) return;
  const parent = dirname(directory);
  if (parent !== directory) makeWithParents(parent);
  mkdirSync(directory, { mode: 0o700 });
}

/** The file's values by key; an absent file is an empty one. */
function readFile(directory: string): Readonly<Record<string, unknown>> {
  const path = dataPaths(directory).config;
  const schema = Object.fromEntries(settingKeys.map((key) => [key, settings[key].schema]));
  try {
    const conf = new Conf<Record<string, unknown>>({
      cwd: directory,
      configName,
      configFileMode: 0o600,
      accessPropertiesByDotNotation: false,
      clearInvalidConfig: false,
      schema,
      rootSchema: { additionalProperties: false },
    });
    const values = conf.store;
    if (Object.keys(values).length === 0) mustBeObject(path);
    return values;
  } catch (error) {
    throw error instanceof ConfigError ? error : fileError(path, error as Error);
  }
}

/** conf takes a file that holds a list or a number as an empty configuration; we do not. */
function mustBeObject(path: string): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const value: unknown = JSON.parse(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError(`${path}: must hold a JSON object, { "key": value, … }`);
  }
}

/** conf names the offending keys between backquotes: `Config schema violation: \`api\` must be …`. */
function fileError(path: string, error: Error): ConfigError {
  if (error instanceof SyntaxError) {
    return new ConfigError(`${path}: not valid JSON; correct it or remove it`);
  }
  const violation = /^Config schema violation: (.*)$/s.exec(error.message);
  if (violation === null) return new ConfigError(`${path}: ${error.message}`);
  const first = (violation[1] ?? '').split('; ')[0] ?? '';
  const named = (/`([^`/]+)/.exec(first)?.[1] ?? '') as SettingKey;
  if (!settingKeys.includes(named)) {
    return new ConfigError(`${path}: unknown key '${named}'; allowed: ${settingKeys.join(', ')}`);
  }
  const rule = first.replaceAll('`', '');
  const setting: Setting = settings[named];
  const form = setting.repeat ? `a list of texts, each ${setting.allowed}` : setting.allowed;
  return new ConfigError(`${path}: ${rule}; ${named} takes ${form}`);
}

function readFlags(argv: readonly string[]): Flags | Stop {
  const command = new Command('petald')
    .description('Petal, an iSCSI storage appliance: the daemon.')
    .helpOption('-h, --help', 'show this')
    .version(`petald ${version}`, '--version', 'show the version')
    .option('--data <DIR>', `the data directory (default: ${defaultDataText})`)
    .option('--wipe', 'take a file or block device that holds something else: ITS DATA IS LOST')
    .allowExcessArguments(false)
    .showHelpAfterError('(petald --help shows what there is)')
    .exitOverride();
  for (const key of settingKeys) command.addOption(optionOf(settings[key]));
  command.addHelpText(
    'after',
    `
The same keys without dashes and in camelCase (${settingKeys.join(', ')})
may stand in <data directory>/petald.json; flags win over the file.
Exit status: 0 clean shutdown, 1 cannot start or failed, 2 wrong flag or configuration.`,
  );
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { exit: error.exitCode === 0 ? 0 : 2 };
  }
  const { data, wipe, ...values } = command.opts<
    { data?: string; wipe?: true } & Flags['values']
  >();
  return {
    ...(data === undefined ? {} : { data }),
    ...(wipe === undefined ? {} : { wipe }),
    values,
  };
}

function optionOf(setting: Setting): Option {
  const option = new Option(setting.flag, `${setting.describe} (default: ${setting.byDefault})`);
  if (setting.repeat) {
    option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
  }
  return option;
}
