/**
 * Who sees a virtual disk. A host on loopback sees every disk; any other sees a disk only when its
 * initiator name or its address has been granted. Rules are kept, normalised, in the disk's record.
 *
 * An initiator name is what a host says of itself; until CHAP it is no proof. A rule that cannot be
 * read grants nothing.
 */
import { BlockList, isIP, SocketAddress } from 'node:net';
import { normalName } from 'node-iscsi-target';
import { isLoopback, plainAddress } from './addresses.ts';

/** What a rule may be, for messages. */
export const ruleForms =
  'an initiator name (iqn.…, eui.…, naa.…) or an address range (192.0.2.0/24, 2001:db8::/32, 192.0.2.7)';

/** The normal form of a rule, or null when it is none. `10.1.2.3/8` becomes `10.0.0.0/8`. */
export function normalRule(text: string): string | null {
  return normalName(text) ?? normalRange(text);
}

function normalRange(text: string): string | null {
  const [written = '', prefixText, ...rest] = text.split('/');
  const family = isIP(written);
  if (rest.length > 0 || family === 0 || written.includes('%')) return null;
  // One spelling, so that a mapped address shows as such: `::ffff:a00:1` is `::ffff:10.0.0.1`.
  const host =
    family === 4 ? written : new SocketAddress({ address: written, family: 'ipv6' }).address;
  const bits = family === 4 ? 32 : 128;
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) return null;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefix > bits) return null;
  // A range inside ::ffff:0:0/96 is meant as IPv4 and would never match as IPv6.
  const plain = plainAddress(host);
  if (family === 6 && plain !== host) {
    return prefix < 96 ? null : normalRange(`${plain}/${prefix - 96}`);
  }
  return `${networkAddress(host, family, prefix)}/${prefix}`;
}

/** The first address of the range, in the usual short form. */
function networkAddress(host: string, family: number, prefix: number): string {
  const parts = family === 4 ? host.split('.').map(Number) : groupsOf(host);
  const width = family === 4 ? 8 : 16;
  const masked = parts.map((part, index) => {
    const kept = Math.min(Math.max(prefix - index * width, 0), width);
    return part & (((1 << kept) - 1) << (width - kept));
  });
  if (family === 4) return masked.join('.');
  const address = masked.map((part) => part.toString(16)).join(':');
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

/** The eight 16-bit groups of a valid IPv6 address. */
function groupsOf(host: string): number[] {
  const four = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  let text = host;
  if (four !== null) {
    const [, head, a, b, c, d] = four;
    const high = (Number(a) << 8) | Number(b);
    text = `${head}${high.toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`;
  }
  const [left = '', right] = text.split('::');
  const before = left === '' ? [] : left.split(':');
  const after = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
}

/** A compiled access list. Immutable: a change makes a new one. */
export class AccessList {
  readonly rules: readonly string[];
  readonly #names = new Set<string>();
  readonly #ranges = new BlockList();

  /** Rules in normal form; one that is not is left out, and so grants nothing. */
  constructor(rules: readonly string[]) {
    const kept: string[] = [];
    for (const rule of rules) {
      if (normalRule(rule) !== rule) continue;
      kept.push(rule);
      const [network = '', prefix] = rule.split('/');
      if (prefix === undefined) this.#names.add(rule);
      else this.#ranges.addSubnet(network, Number(prefix), isIP(network) === 6 ? 'ipv6' : 'ipv4');
    }
    this.rules = kept;
  }

  /** From the attribute of a disk's record: rules separated by spaces. */
  static parse(attribute: string | undefined): AccessList {
    return new AccessList((attribute ?? '').split(' ').filter((rule) => rule !== ''));
  }

  toString(): string {
    return this.rules.join(' ');
  }

  /** Both as the session knows them: the name as declared, the address of the connection. */
  admits(initiator: string, address: string): boolean {
    if (isLoopback(address)) return true;
    if (this.#names.has(initiator.toLowerCase())) return true;
    const plain = plainAddress(address);
    const family = isIP(plain);
    return family !== 0 && this.#ranges.check(plain, family === 6 ? 'ipv6' : 'ipv4');
  }
}
