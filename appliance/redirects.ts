/**
 * Where hosts of a disk are sent at their next login (RFC 7143 13.8, status 01/01 and 01/02), as it stands in
 * the disk's record: `ADDRESS` or `ADDRESS permanent`; empty: they are served here.
 */
import { type Address, formatAddress, isWildcard, parseAddress } from './addresses.ts';
import { PetalError } from './errors.ts';

export interface RedirectRule {
  readonly address: string;
  /** Hosts may remember it and never ask here again. */
  readonly permanent: boolean;
}

const permanentWord = 'permanent';

/** INVALID when it is no address that a host could be sent to. */
export function checkedRedirect(text: string, permanent: boolean): RedirectRule {
  const address = parseAddress(text);
  if (address === null || address.port === 0 || isWildcard(address.host)) {
    const forms = 'HOST:PORT, for example 192.0.2.10:3260 or [2001:db8::1]:3260';
    throw new PetalError('INVALID', `'${text}' is no address to send hosts to; give ${forms}`);
  }
  return { address: formatAddress(address satisfies Address), permanent };
}

export function formatRedirect(rule: RedirectRule | null): string {
  if (rule === null) return '';
  return rule.permanent ? `${rule.address} ${permanentWord}` : rule.address;
}

export function parseRedirect(text: string | undefined): RedirectRule | null {
  const [address = '', word] = (text ?? '').split(' ');
  return address === '' ? null : { address, permanent: word === permanentWord };
}
