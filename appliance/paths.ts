/**
 * Where things are: the data directory and the files in it. The daemon and the CLI agree through
 * this file, so the same default finds the same daemon.
 */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** As the XDG base directory specification says: a relative value is ignored. */
export function defaultDataDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const xdg = environment.XDG_DATA_HOME;
  if (xdg !== undefined && isAbsolute(xdg)) return join(xdg, 'petal');
  return join(homedir(), '.local', 'share', 'petal');
}

/** For help texts. */
export const defaultDataText = '$XDG_DATA_HOME/petal, else ~/.local/share/petal';

export interface DataPaths {
  readonly directory: string;
  readonly config: string;
  /** The API's secret; mode 0600. */
  readonly token: string;
  /** Where the running daemon is; mode 0600, gone after a clean shutdown. */
  readonly daemon: string;
  /** Where the disks of the store were when it was open last. */
  readonly disks: string;
  /** Locked while a daemon runs; `holder` says for people which. */
  readonly lock: string;
  readonly holder: string;
}

export function dataPaths(directory: string): DataPaths {
  const absolute = resolve(directory);
  return {
    directory: absolute,
    config: join(absolute, `${configName}.json`),
    token: join(absolute, 'token'),
    daemon: join(absolute, 'daemon.json'),
    disks: join(absolute, 'disks.json'),
    lock: join(absolute, 'daemon.lock'),
    holder: join(absolute, 'daemon.holder'),
  };
}

/** The configuration file is `<configName>.json` in the data directory. */
export const configName = 'petald';
