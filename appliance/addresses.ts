/**
 * Network addresses as people write them: `HOST:PORT` and `[IPv6]:PORT`, and what an address is
 * (loopback, wildcard), with IPv4-mapped IPv6 addresses (RFC 4291 2.5.5.2) taken as the IPv4 ones.
 */
import { BlockList, isIP } from 'node:net';

/** Where to listen; port 0 lets the system choose. IPv6 hosts without brackets. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** An address of iSCSI and the target portal group that it is in. */
export interface PortalAddress extends Address {
  readonly portalGroup: number;
}

export const portalForms =
  'HOST:PORT or HOST:PORT,GROUP, for example 192.0.2.10:3260 or [2001:db8::1]:3260,2; groups are 1…65535';

/** Null when the text is neither. Group 1 unless it says another. */
export function parsePortal(text: string): PortalAddress | null {
  const [, where = '', group = '1'] = /^(.*?)(?:,([1-9]\d{0,4}))?$/.exec(text) ?? [];
  const address = parseAddress(where);
  const portalGroup = Number(group);
  return address === null || portalGroup > 0xffff ? null : { ...address, portalGroup };
}

export const addressForms = 'HOST:PORT, for example 192.0.2.10:3260 or [2001:db8::1]:3260';

/** Null when the text is not an address; host names are letters, digits, dots and dashes. */
export function parseAddress(text: string): Address | null {
  const match = /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([\w.-]+)):(\d{1,5})$/i.exec(text);
  if (match === null) return null;
  const [, six, host, digits] = match;
  const port = Number(digits);
  if (port > 65535) return null;
  if (six !== undefined) {
    const bare = six.split('%')[0] ?? '';
    return isIP(bare) === 6 ? { host: six, port } : null;
  }
  if (host === undefined) return null;
  // Four groups of digits are meant as an IPv4 address, so they must be one.
  if (/^[\d.]+$/.test(host) && isIP(host) !== 4) return null;
  return { host, port };
}

export function formatAddress(address: Address): string {
  return address.host.includes(':')
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/** Without a zone (`%eth0`), and `::ffff:192.0.2.1` as `192.0.2.1`. */
export function plainAddress(address: string): string {
  const bare = address.split('%')[0] ?? '';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare);
  return mapped?.[1] ?? bare;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether a peer's address is this machine's loopback: 127/8, ::1, and 127/8 mapped into IPv6. */
export function isLoopback(address: string): boolean {
  const bare = plainAddress(address);
  const family = isIP(bare);
  return family !== 0 && loopback.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Whether binding to `host` (an address or a name) can be reached only from this machine. */
export function bindsLoopback(host: string): boolean {
  return host === 'localhost' || isLoopback(host);
}
