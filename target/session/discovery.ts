/**
 * The answer to SendTargets (RFC 7143 appendix C): for each target its name, and its addresses in
 * the portal group through which it was asked.
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
}

/** `local`: the connection's own end. */
export function discoveryPairs(
  targets: readonly { readonly name: string }[],
  portals: readonly DiscoveryPortal[],
  local: { readonly localAddress: string; readonly localPort: number },
  portalGroup: number,
): Pair[] {
  const inside = isLoopback(local.localAddress);
  const addresses = new Set<string>();
  for (const { host, port } of portals) {
    if (isWildcard(host)) addresses.add(withPort(local.localAddress, port));
    else if (isLoopback(host) === inside) addresses.add(withPort(host, port));
  }
  if (addresses.size === 0) addresses.add(withPort(local.localAddress, local.localPort));
  const pairs: Pair[] = [];
  for (const target of targets) {
    pairs.push(['TargetName', target.name]);
    for (const where of addresses) pairs.push(['TargetAddress', `${where},${portalGroup}`]);
  }
  return pairs;
}
