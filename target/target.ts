/**
 * An iSCSI target: its name, who may see it, and the SCSI target behind it.
 */
import { ScsiTarget } from './scsi/scsi-target.ts';

/** What an initiator may do with a target. `none`: for it, the target does not exist. */
export type Access = 'none' | 'read-only' | 'read-write';

export interface Peer {
  /** Initiator name, in lower case. It is not proof of anything before authentication. */
  readonly initiator: string;
  /** Source address, IPv4 or IPv6; an IPv4 address in IPv6 form is given as IPv4. */
  readonly address: string;
}

export interface TargetOptions {
  /** iSCSI name: `iqn.…`, `eui.…` or `naa.…`. */
  readonly name: string;
  readonly alias?: string;
  /** Asked at discovery and at login. */
  access(peer: Peer): Access;
}

export class Target {
  readonly name: string;
  readonly alias: string;
  readonly scsi: ScsiTarget;
  readonly #access: (peer: Peer) => Access;
  #removed = false;

  constructor(options: TargetOptions, portalGroup: number, relativePort: number) {
    this.name = options.name;
    this.alias = options.alias ?? '';
    this.#access = (peer) => options.access(peer);
    this.scsi = new ScsiTarget({ name: options.name, portalGroup, relativePort });
  }

  access(peer: Peer): Access {
    return this.#removed ? 'none' : this.#access(peer);
  }

  /** No login finds it from now on. */
  hide(): void {
    this.#removed = true;
  }
}
