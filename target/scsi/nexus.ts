/**
 * An I_T nexus: one initiator port seen through one target port (SAM-5 4.6, RFC 7143 4.2.5).
 *
 * Unit attentions, reservations and mode parameters are kept per nexus. The transport makes one at
 * full-feature phase and detaches it from every unit when the session ends.
 */

export interface Nexus {
  /** Initiator name: `iqn.…`, `eui.…` or `naa.…`, normalised to lower case. */
  readonly initiator: string;
  /** The six bytes of the ISID as twelve hex digits. */
  readonly isid: string;
  /** Target name. */
  readonly target: string;
  /** Target portal group tag. */
  readonly portalGroup: number;
  /** Relative target port identifier (SPC-4 7.8.6.9), 1…65535. */
  readonly relativePort: number;
  /** Whether this nexus may only read. */
  readonly readOnly: boolean;
}

/** TransportID text form of an iSCSI initiator port (SPC-4 7.6.4.6): `name,i,0xISID`. */
export function initiatorPort(nexus: Pick<Nexus, 'initiator' | 'isid'>): string {
  return `${nexus.initiator},i,0x${nexus.isid}`;
}
