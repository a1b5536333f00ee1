/**
 * Virtual disks as targets: each living disk is a target of its own with one LUN, 0, which hosts
 * see as far as the disk's access list lets them. Keeps which targets exist in step with the
 * catalog; knows nothing of how disks are made.
 */
import assert from 'node:assert/strict';
import type { BlockDevice, SessionInfo } from 'node-iscsi-target';
import type { DiskRecord, Volume } from '#storage/volume/volume.ts';
import { AccessList } from './access.ts';
import { AttachedDisk } from './attach.ts';
import { PetalError } from './errors.ts';

/** What this needs of an iSCSI server; `IscsiServer` of node-iscsi-target is one. */
export interface TargetServer {
  addTarget(options: {
    readonly name: string;
    readonly alias?: string;
    readonly access: (peer: {
      readonly initiator: string;
      readonly address: string;
    }) => 'none' | 'read-only' | 'read-write';
  }): { readonly scsi: { add(lun: number, device: BlockDevice): void } };
  removeTarget(name: string): Promise<void>;
  sessions(): readonly SessionInfo[];
  kick(id: SessionInfo['id']): boolean;
}

/** Keys of a disk record's attributes that the appliance owns. */
export const Attribute = {
  /** The target's name; made at creation, never changed. */
  iqn: 'iqn',
  /** The access list; see access.ts. */
  access: 'access',
} as const;

export const lun = 0;

interface Exposed {
  readonly device: AttachedDisk;
  access: AccessList;
}

/** The stored target name. */
export function iqnOf(record: DiskRecord): string {
  const iqn = record.attributes[Attribute.iqn];
  if (iqn !== undefined) return iqn;
  throw new PetalError('STORE_FAILED', `disk '${record.name}' has no target name in its record`);
}

export function accessOf(record: DiskRecord): AccessList {
  return AccessList.parse(record.attributes[Attribute.access]);
}

export class Exposure {
  readonly #server: TargetServer;
  readonly #exposed = new Map<string, Exposed>();

  constructor(server: TargetServer) {
    this.#server = server;
  }

  /** Offer a disk to hosts. */
  add(volume: Volume): void {
    const { record } = volume;
    assert(!this.#exposed.has(record.id), 'a disk is offered once');
    const exposed: Exposed = { device: new AttachedDisk(volume), access: accessOf(record) };
    this.#exposed.set(record.id, exposed);
    const target = this.#server.addTarget({
      name: iqnOf(record),
      alias: record.name,
      access: ({ initiator, address }) =>
        exposed.access.admits(initiator, address) ? 'read-write' : 'none',
    });
    target.scsi.add(lun, exposed.device);
  }

  /** Take a disk away from hosts; resolves when its sessions have ended and no call is in flight. */
  async remove(record: DiskRecord): Promise<void> {
    const exposed = this.#exposed.get(record.id);
    assert(exposed !== undefined, 'only an offered disk is taken away');
    this.#exposed.delete(record.id);
    await this.#server.removeTarget(iqnOf(record));
    exposed.device.close();
  }

  /** Apply a changed access list; sessions that it no longer admits are ended. Returns how many. */
  setAccess(record: DiskRecord): number {
    const exposed = this.#exposed.get(record.id);
    assert(exposed !== undefined, 'only an offered disk has an access list in force');
    exposed.access = accessOf(record);
    let ended = 0;
    for (const session of this.sessionsOf(record)) {
      if (exposed.access.admits(session.initiator, session.address)) continue;
      if (this.#server.kick(session.id)) ended++;
    }
    return ended;
  }

  /** How many sessions each target has; a target without one is not in it. */
  sessionCounts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { target } of this.sessions()) {
      if (target !== null) counts.set(target, (counts.get(target) ?? 0) + 1);
    }
    return counts;
  }

  sessionsOf(record: DiskRecord): SessionInfo[] {
    const iqn = iqnOf(record);
    return this.sessions().filter((session) => session.target === iqn);
  }

  sessions(): readonly SessionInfo[] {
    return this.#server.sessions();
  }

  /** False: there is no such session. */
  kick(id: SessionInfo['id']): boolean {
    return this.#server.kick(id);
  }
}
