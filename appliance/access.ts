/**
 * Who sees a virtual disk, and whether it may write. A host on loopback sees every disk; any other sees
 * a disk only when its initiator name or its address has been granted. Rules are kept, normalised, in
 * the disk's record.
 *
 * An initiator name is what a host says of itself and no proof; a rule may ask for a CHAP user as
 * well. A rule that cannot be read grants nothing.
 */
import { BlockList, isIP, SocketAddress } from 'node:net';
import { normalName } from 'node-iscsi-target';
import { isLoopback, plainAddress } from './addresses.ts';
import { refuseUser } from './chap.ts';

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

export interface AccessRule {
  /** An initiator name or an address range, in normal form. */
  readonly host: string;
  readonly readOnly: boolean;
  /** Only to who has proved to be this CHAP user; null: to anyone. */
  readonly user: string | null;
}

/** What a peer may do; `none`: for it the disk does not exist. */
export type AccessMode = 'none' | 'read-only' | 'read-write';

/** As the session knows them: the name as declared, the address of the connection, the proved user. */
export interface AccessPeer {
  readonly initiator: string;
  readonly address: string;
  readonly user: string | null;
}

/** A compiled access list. Immutable: a change makes a new one. */
export class AccessList {
  readonly rules: readonly AccessRule[];
  readonly #matchers: readonly Matcher[];

  /** Rules in normal form; one that is not is left out, and so grants nothing. */
  constructor(rules: readonly AccessRule[]) {
    this.rules = rules.filter(
      ({ host, user }) => normalRule(host) === host && (user === null || refuseUser(user) === null),
    );
    this.#matchers = this.rules.map((rule) => new Matcher(rule));
  }

  /** From the attribute of a disk's record: rules separated by spaces. */
  static parse(attribute: string | undefined): AccessList {
    const words = (attribute ?? '').split(' ').filter((word) => word !== '');
    return new AccessList(words.map(parseRule).filter((rule) => rule !== null));
  }

  /** `HOST[;ro][;user=NAME]`, separated by spaces. */
  toString(): string {
    return this.rules
      .map(({ host, readOnly, user }) => {
        return `${host}${readOnly ? ';ro' : ''}${user === null ? '' : `;user=${user}`}`;
      })
      .join(' ');
  }

  /**
   * The most that any rule grants; hosts on loopback may do everything. With `unproved` the peer's user
   * is not known yet (a discovery session before a login by CHAP): a rule for a user then counts.
   */
  admits(peer: AccessPeer, unproved = false): AccessMode {
    if (isLoopback(peer.address)) return 'read-write';
    let most: AccessMode = 'none';
    for (const matcher of this.#matchers) {
      const { user, readOnly } = matcher.rule;
      if (user !== null && user !== peer.user && !unproved) continue;
      if (!matcher.matches(peer)) continue;
      if (!readOnly) return 'read-write';
      most = 'read-only';
    }
    return most;
  }
}

/** Null when it is no rule. */
function parseRule(word: string): AccessRule | null {
  const match = /^([^;]+?)(;ro)?(?:;user=([^;]+))?$/.exec(word);
  if (match === null) return null;
  const [, host = '', readOnly, user = null] = match;
  return { host, readOnly: readOnly !== undefined, user };
}

class Matcher {
  readonly rule: AccessRule;
  /** Null: the rule is an initiator name. */
  readonly #range: BlockList | null = null;

  constructor(rule: AccessRule) {
    this.rule = rule;
    const [network = '', prefix] = rule.host.split('/');
    if (prefix === undefined) return;
    this.#range = new BlockList();
    this.#range.addSubnet(network, Number(prefix), isIP(network) === 6 ? 'ipv6' : 'ipv4');
  }

  matches({ initiator, address }: AccessPeer): boolean {
    if (this.#range === null) return this.rule.host === initiator.toLowerCase();
    const plain = plainAddress(address);
    const family = isIP(plain);
    return family !== 0 && this.#range.check(plain, family === 6 ? 'ipv6' : 'ipv4');
  }
}
