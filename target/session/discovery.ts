/**
 * The answer to SendTargets (RFC 7143 appendix C): for each target its name, and its addresses in
 * every portal group, so that a host finds all of its paths through any of them.
 *
 * Only addresses that work for the one who asks: a portal on loopback is told to hosts that came over
 * loopback, the others to the rest. A portal on a wildcard address is told as the address by which
 * this initiator has reached us.
 */
import type { Pair } from '../wire/text.ts';
import { isLoopback, isWildcard, withPort } from './addresses.ts';

export interface DiscoveryPortal {
  readonly host: string;
  readonly port: number;
  readonly portalGroup: number;
}

/** `local`: the connection's own end, and `portalGroup` its group. */
export function discoveryPairs(
  targets: readonly { readonly name: string }[],
  portals: readonly DiscoveryPortal[],
  local: { readonly localAddress: string; readonly localPort: number },
  portalGroup: number,
): Pair[] {
  const inside = isLoopback(local.localAddress);
  const addresses = new Set<string>();
  for (const { host, port, portalGroup: group } of portals) {
    if (isWildcard(host)) addresses.add(`${withPort(local.localAddress, port)},${group}`);
    else if (isLoopback(host) === inside) addresses.add(`${withPort(host, port)},${group}`);
  }
  if (addresses.size === 0) {
    addresses.add(`${withPort(local.localAddress, local.localPort)},${portalGroup}`);
  }
  const pairs: Pair[] = [];
  for (const target of targets) {
    pairs.push(['TargetName', target.name]);
    for (const where of addresses) pairs.push(['TargetAddress', where]);
  }
  return pairs;
}
