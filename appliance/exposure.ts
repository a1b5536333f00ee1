/**
 * Virtual disks as targets: each living disk is a target of its own with one LUN, 0, which hosts
 * see as far as the disk's access list lets them. Keeps which targets exist in step with the
 * catalog; knows nothing of how disks are made.
 */
import assert from 'node:assert/strict';
import type { BlockDevice, ChapPolicy, ReservationStore, SessionInfo } from 'node-iscsi-target';
import type { Catalog } from '#storage/volume/catalog.ts';
import type { DiskRecord, Volume } from '#storage/volume/volume.ts';
import { AccessList, type AccessMode, type AccessPeer } from './access.ts';
import { AttachedDisk, type AttachOptions, type PoolView } from './attach.ts';
import { ChapSettings } from './chap.ts';
import { PetalError } from './errors.ts';
import { parseRedirect, type RedirectRule } from './redirects.ts';

/** What this needs of a target; `Target` of node-iscsi-target is one. */
export interface OfferedTarget {
  /** What hosts are shown beside the name. */
  alias: string;
  readonly scsi: { add(lun: number, device: BlockDevice, reservations: ReservationStore): void };
}

/** What this needs of an iSCSI server; `IscsiServer` of node-iscsi-target is one. */
export interface TargetServer {
  addTarget(options: {
    readonly name: string;
    readonly alias?: string;
    access(peer: AccessPeer): AccessMode;
    chap?(): ChapPolicy | null;
    redirect?(): RedirectRule | null;
  }): OfferedTarget;
  removeTarget(name: string): Promise<void>;
  /** Ends the sessions that may not go on as they are; returns how many. */
  recheck(name: string): number;
  sessions(): readonly SessionInfo[];
  kick(id: SessionInfo['id']): boolean;
  /** Asks a host to log out. */
  logout(id: SessionInfo['id']): boolean;
}

/** Keys of the attributes of a disk's or a snapshot's record that the appliance owns. */
export const Attribute = {
  /** The target's name; made at creation, never changed. */
  iqn: 'iqn',
  /** The access list; see access.ts. */
  access: 'access',
  /** CHAP users and secrets; see chap.ts. */
  chap: 'chap',
  /** `1`: hosts may not write, whoever they are. */
  writeProtected: 'writeProtected',
  /** `1`: hosts see a removable medium; made at creation, never changed. */
  removable: 'removable',
  /** `1`: hosts may protect it from writing by a mode page. */
  hostProtect: 'hostProtect',
  /** `1`: writes may complete before they are durable (WCE=1). */
  writeBack: 'writeBack',
  /** Where hosts are sent instead; see redirects.ts. */
  redirect: 'redirect',
  /** `1`: of a snapshot, that it is a target now. */
  exposed: 'exposed',
} as const;

export const lun = 0;

interface Exposed {
  readonly device: AttachedDisk;
  /** Of its record, whether in force or not. */
  writeBack: boolean;
  readonly target: OfferedTarget;
  /** The gate in force; replaced as a whole. */
  readonly door: { gate: Gate; redirect: RedirectRule | null };
}

/** Who may come in. */
interface Gate {
  readonly access: AccessList;
  readonly chap: ChapPolicy | null;
}

/** A disk or a snapshot: what can be a target. */
export type TargetRecord = Pick<DiskRecord, 'id' | 'name' | 'attributes'>;

/** The stored target name. */
export function iqnOf(record: TargetRecord): string {
  const iqn = record.attributes[Attribute.iqn];
  if (iqn !== undefined) return iqn;
  throw new PetalError('STORE_FAILED', `disk '${record.name}' has no target name in its record`);
}

export function accessOf(record: TargetRecord): AccessList {
  return AccessList.parse(record.attributes[Attribute.access]);
}

export function chapOf(record: TargetRecord): ChapSettings {
  return ChapSettings.parse(record.attributes[Attribute.chap], `disk '${record.name}'`);
}

export function isOn(
  record: DiskRecord,
  key: 'writeProtected' | 'removable' | 'hostProtect' | 'writeBack',
): boolean {
  return record.attributes[Attribute[key]] === '1';
}

export function redirectOf(record: DiskRecord): RedirectRule | null {
  return parseRedirect(record.attributes[Attribute.redirect]);
}

function gateOf(record: TargetRecord): Gate {
  return { access: accessOf(record), chap: chapOf(record).policy() };
}

/** What this needs of the rest of the appliance. */
export interface ExposurePorts {
  readonly server: TargetServer;
  /** Where those of the disk with this id are kept. */
  reservations(id: string): ReservationStore;
  pool(record: DiskRecord): PoolView;
  /** Whether writes to the disk with this id may be held back; off resolves when nothing is. */
  writeBack(id: string, on: boolean): Promise<void>;
  /** Makes what the disk with this id holds irretrievable. */
  erase(id: string): Promise<unknown>;
}

export class Exposure {
  readonly #ports: ExposurePorts;
  readonly #server: TargetServer;
  readonly #exposed = new Map<string, Exposed>();
  /** Of disks that are being imported. */
  readonly #reserved = new Set<string>();
  /** The power fails: no disk writes back. */
  #suspended = false;

  constructor(ports: ExposurePorts) {
    this.#ports = ports;
    this.#server = ports.server;
  }

  /** Names of targets that are, that were and that are to be: none is given to another. */
  namesTaken(catalog: Catalog): Set<string> {
    const records = [...catalog.list(), ...catalog.removed(), ...catalog.snapshots.list()];
    const names = records.map(({ attributes }) => attributes[Attribute.iqn]);
    return new Set([...names.filter((name) => name !== undefined), ...this.#reserved]);
  }

  /** For a disk that comes later, until the function that is returned was called. */
  reserveNames(attributes: Readonly<Record<string, string>>): () => void {
    const name = attributes[Attribute.iqn];
    if (name === undefined) return () => {};
    this.#reserved.add(name);
    return () => this.#reserved.delete(name);
  }

  /** Offer a disk to hosts. `sanitize`: they may erase it. */
  add(volume: Volume, sanitize: boolean): void {
    const { record } = volume;
    const writeBack = isOn(record, 'writeBack');
    // On never waits for anything.
    if (writeBack) void this.#ports.writeBack(record.id, true);
    this.#add(volume, record.name, writeBack, {
      writeBack: writeBack && !this.#suspended,
      writeProtected: isOn(record, 'writeProtected'),
      removable: isOn(record, 'removable'),
      hostProtect: isOn(record, 'hostProtect'),
      sanitize,
    });
  }

  /** Offer a snapshot, which nobody can write to. */
  addSnapshot(volume: Volume, alias: string): void {
    const fixed = { removable: false, hostProtect: false, sanitize: false, writeBack: false };
    this.#add(volume, alias, false, { writeProtected: true, ...fixed });
  }

  #add(
    volume: Volume,
    alias: string,
    writeBack: boolean,
    options: Omit<AttachOptions, 'pool' | 'erase'>,
  ): void {
    const { record } = volume;
    assert(!this.#exposed.has(record.id), 'a disk is offered once');
    const device = new AttachedDisk(volume, {
      ...options,
      pool: this.#ports.pool(record),
      erase: async () => void (await this.#ports.erase(record.id)),
    });
    const door = { gate: gateOf(record), redirect: redirectOf(record) };
    const target = this.#server.addTarget({
      name: iqnOf(record),
      alias,
      access: (peer) => {
        const { access, chap } = door.gate;
        // A disk with CHAP is asked for without a proof only by discovery: no login gets by with none.
        return access.admits(peer, chap !== null && peer.user === null);
      },
      chap: () => door.gate.chap,
      redirect: () => door.redirect,
    });
    this.#exposed.set(record.id, { device, writeBack, target, door });
    target.scsi.add(lun, device, this.#ports.reservations(record.id));
  }

  /** Take a disk away from hosts; resolves when its sessions have ended and no call is in flight. */
  async remove(record: TargetRecord): Promise<void> {
    const exposed = this.#of(record);
    this.#exposed.delete(record.id);
    await this.#server.removeTarget(iqnOf(record));
    exposed.device.close();
  }

  /** Apply changed access rules or CHAP users; sessions that may not go on end. Returns how many. */
  setGate(record: TargetRecord): number {
    this.#of(record).door.gate = gateOf(record);
    return this.#server.recheck(iqnOf(record));
  }

  /** Holds for every command from now on; hosts learn of it by a unit attention. */
  setWriteProtected(record: DiskRecord): void {
    this.#of(record).device.setWriteProtected(isOn(record, 'writeProtected'));
  }

  /** Whether hosts may erase it: not while others lie under its key. */
  setSanitize(record: DiskRecord, on: boolean): void {
    this.#of(record).device.setSanitize(on);
  }

  setHostProtect(record: DiskRecord): void {
    this.#of(record).device.setHostProtect(isOn(record, 'hostProtect'));
  }

  /** Hosts hear of WCE=1 before a write is held back, and of WCE=0 when none is any more. */
  async setWriteBack(record: DiskRecord): Promise<void> {
    const exposed = this.#of(record);
    const on = isOn(record, 'writeBack');
    exposed.writeBack = on;
    if (on) exposed.device.showWriteBack(!this.#suspended);
    await this.#ports.writeBack(record.id, on);
    if (!on) exposed.device.showWriteBack(false);
  }

  get writeBackDisks(): number {
    return [...this.#exposed.values()].filter(({ writeBack }) => writeBack).length;
  }

  /** Nothing is held back, or may be again: said before that begins, after that has ended. */
  suspendWriteBack(suspended: boolean): void {
    this.#suspended = suspended;
    for (const { device, writeBack } of this.#exposed.values()) {
      device.showWriteBack(writeBack && !suspended);
    }
  }

  /** Holds from the next login on; living sessions are asked to log out, so that they come there. */
  setRedirect(record: DiskRecord): void {
    const { door } = this.#of(record);
    door.redirect = redirectOf(record);
    if (door.redirect === null) return;
    for (const { id } of this.sessionsOf(record)) this.#server.logout(id);
  }

  /** From time to time: the store's free space may have passed a mark of some host. */
  lookAtPool(): void {
    for (const { device } of this.#exposed.values()) device.lookAtPool();
  }

  /** Hosts are shown the new name at their next login. */
  rename(record: TargetRecord, alias: string): void {
    this.#of(record).target.alias = alias;
  }

  isExposed(id: string): boolean {
    return this.#exposed.has(id);
  }

  #of(record: TargetRecord): Exposed {
    const exposed = this.#exposed.get(record.id);
    assert(exposed !== undefined, 'the disk is offered');
    return exposed;
  }

  /** How many sessions each target has; a target without one is not in it. */
  sessionCounts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { target } of this.sessions()) {
      if (target !== null) counts.set(target, (counts.get(target) ?? 0) + 1);
    }
    return counts;
  }

  sessionsOf(record: TargetRecord): SessionInfo[] {
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
