/**
 * The answer to SendTargets (RFC 7143 appendix C): for each target its name, and its addresses in
 * the portal group through which it was asked.
 */
import type { Pair } from '../wire/text.ts';

export interface DiscoveryPortal {
  readonly host: string;
  readonly port: number;
}

/**
 * `local`: the connection's own end. A portal on a wildcard address is told as the address by which
 * this initiator has reached us: the only one that is known to work for it.
 */
export function discoveryPairs(
  targets: readonly { readonly name: string }[],
  portals: readonly DiscoveryPortal[],
  local: { readonly localAddress: string; readonly localPort: number },
  portalGroup: number,
): Pair[] {
  const addresses = new Set(
    portals.map((portal) => {
      const wildcard = portal.host === '0.0.0.0' || portal.host === '::';
      return address(wildcard ? local.localAddress : portal.host, portal.port);
    }),
  );
  if (addresses.size === 0) addresses.add(address(local.localAddress, local.localPort));
  const pairs: Pair[] = [];
  for (const target of targets) {
    pairs.push(['TargetName', target.name]);
    for (const where of addresses) pairs.push(['TargetAddress', `${where},${portalGroup}`]);
  }
  return pairs;
}

function address(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
