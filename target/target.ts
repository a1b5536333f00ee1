/**
 * An iSCSI target: its name, who may use it and how they prove who they are, and the SCSI target
 * behind it.
 */
import type { Clock } from './clock.ts';
import type { Alua } from './scsi/alua.ts';
import type { RodTokens } from './scsi/rod-tokens.ts';
import { ScsiTarget, type ScsiTargetOptions } from './scsi/scsi-target.ts';
import type { ChapPolicy } from './session/chap-exchange.ts';
import type { Redirect } from './session/redirect.ts';
import { isTextValue } from './wire/text.ts';

/** What an initiator may do with a target. `none`: for it, the target does not exist. */
export type Access = 'none' | 'read-only' | 'read-write';

export interface Peer {
  /** Initiator name, in lower case. It is not proof of anything. */
  readonly initiator: string;
  /** Source address, IPv4 or IPv6; an IPv4 address in IPv6 form is given as IPv4. */
  readonly address: string;
  /** The CHAP name that was proved; null: none was asked for, or not yet. */
  readonly user: string | null;
}

export interface TargetOptions {
  /** iSCSI name: `iqn.…`, `eui.…` or `naa.…`. */
  readonly name: string;
  readonly alias?: string;
  /** Asked at discovery and at login, there after the proof where CHAP is asked for. */
  access(peer: Peer): Access;
  /** Asked at each login. Null, or absent: no CHAP. With a policy nobody logs in without CHAP. */
  chap?(): ChapPolicy | null;
  /** Asked at each login, before any proof. Null, or absent: served here. */
  redirect?(peer: Peer): Redirect | null;
  /** States of the target port groups (ALUA). Absent: every portal group is active/optimized. */
  readonly alua?: Alua;
}

/** Where the target's port stands in SCSI: both numbers are those of the portal group. */
export interface TargetPort {
  readonly portalGroup: number;
  readonly relativePort: number;
  /** Relative target ports of all portal groups, ascending. */
  readonly ports?: () => readonly number[];
  /** See ScsiTargetOptions. */
  readonly copyTargets?: NonNullable<ScsiTargetOptions['copyTargets']>;
  /** Those of the server; absent: the target has its own. */
  readonly rodTokens?: RodTokens;
}

export class Target {
  readonly name: string;
  readonly scsi: ScsiTarget;
  #alias = '';
  readonly #options: TargetOptions;
  #removed = false;

  /** `name`: the normal form of `options.name`. */
  constructor(options: TargetOptions, name: string, port: TargetPort, clock: Clock) {
    this.name = name;
    this.alias = options.alias ?? '';
    this.#options = options;
    const { alua } = options;
    this.scsi = new ScsiTarget({ name, ...port, clock, ...(alua === undefined ? {} : { alua }) });
  }

  /** What hosts are shown beside the name; a change shows at the next login. */
  get alias(): string {
    return this.#alias;
  }

  /** Throws RangeError when it is longer than 255 bytes or has a control character. */
  set alias(alias: string) {
    if (alias !== '' && !isTextValue(alias)) {
      throw new RangeError(`${JSON.stringify(alias)} is no alias (RFC 7143 13.7)`);
    }
    this.#alias = alias;
  }

  /** The owner's word alone: for discovery, and for logins without CHAP. */
  access(peer: Peer): Access {
    return this.#removed ? 'none' : this.#options.access(peer);
  }

  /** What a peer may do whose proof, if one is asked for, is `peer.user`. */
  admits(peer: Peer): Access {
    const access = this.access(peer);
    const policy = access === 'none' ? null : this.chap();
    if (policy === null) return access;
    const user = peer.user === null ? null : policy.user(peer.user);
    if (user === null) return 'none';
    return user.readOnly === true ? 'read-only' : access;
  }

  chap(): ChapPolicy | null {
    return this.#options.chap?.() ?? null;
  }

  redirect(peer: Peer): Redirect | null {
    return this.#options.redirect?.(peer) ?? null;
  }

  /** No login finds it from now on. */
  hide(): void {
    this.#removed = true;
  }
}
