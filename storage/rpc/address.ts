/** Where a server listens: `host:port` or `[v6]:port`; port 0 takes a free one. */
import { StorageError } from '../base/errors.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** INVALID. */
export function parseAddress(address: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new StorageError('INVALID', `"${address}" is no address like host:port or [v6]:port`);
  }
  return { host, port };
}

export const formatAddress = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
