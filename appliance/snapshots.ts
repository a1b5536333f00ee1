/**
 * The verbs on snapshots, clones and templates: records in the catalog and, for a snapshot that is exposed, a target
 * of its own that nobody can write to.
 *
 * - They and the verbs on disks run one after the other.
 * - An exposed snapshot has the CHAP users that its disk had then, and shows itself to the hosts it was exposed to.
 */
import type { Serial } from '#storage/base/serial.ts';
import type { Catalog } from '#storage/volume/catalog.ts';
import type { Diff } from '#storage/volume/diff.ts';
import type { SnapshotRecord } from '#storage/volume/snapshot.ts';
import type { DiskRecord } from '#storage/volume/volume.ts';
import { AccessList, normalRule, ruleForms } from './access.ts';
import { type ChapChange, ChapSettings } from './chap.ts';
import type { DiskStore } from './disk-store.ts';
import { type DiskView, isoTime, type SpaceView } from './disk-view.ts';
import type { Disks } from './disks.ts';
import { PetalError } from './errors.ts';
import { Attribute, accessOf, type Exposure, iqnOf, lun } from './exposure.ts';
import { fullName, livingDisk, snapshotNamed } from './find.ts';
import { limits } from './limits.ts';
import type { Log } from './log.ts';
import { naaHex, targetName } from './names.ts';
import type { SnapshotView } from './snapshot-view.ts';

export interface SnapshotVerbsPorts {
  readonly store: DiskStore;
  readonly disks: Disks;
  readonly exposure: Exposure;
  readonly log: Log;
  readonly iqnBase: string;
  readonly installation: string;
  readonly verbs: Serial;
  /** Wall clock, ms. */
  now(): number;
}

export interface ExposeOptions {
  /** Initiator names and address ranges beside loopback. */
  readonly hosts?: readonly string[];
  /** In place of the disk's users. */
  readonly chap?: ChapChange;
}

export class SnapshotVerbs {
  readonly #ports: SnapshotVerbsPorts;
  readonly #verbs: Serial;

  constructor(ports: SnapshotVerbsPorts) {
    this.#ports = ports;
    this.#verbs = ports.verbs;
  }

  get #catalog(): Catalog {
    return this.#ports.store.catalog;
  }

  /** Offer what was exposed; once, at start. */
  exposeAll(): void {
    for (const record of this.#catalog.snapshots.list()) if (isExposed(record)) this.#offer(record);
  }

  /** Of one disk or of all, the oldest first. NOT_FOUND. */
  list(disk: string | null): SnapshotView[] {
    const { snapshots } = this.#catalog;
    const records =
      disk === null ? snapshots.list() : snapshots.of(livingDisk(this.#catalog, disk).id);
    return this.#views(records);
  }

  /** As `list`, with who holds what. */
  async listSpace(disk: string | null): Promise<SnapshotView[]> {
    const views: SnapshotView[] = [];
    for (const view of this.list(disk)) views.push(await this.#withSpace(view));
    return views;
  }

  show(name: string): SnapshotView {
    return this.#view(snapshotNamed(this.#catalog, name));
  }

  async showSpace(name: string): Promise<SnapshotView> {
    return await this.#withSpace(this.show(name));
  }

  async #withSpace(view: SnapshotView): Promise<SnapshotView> {
    const record = this.#catalog.snapshots.get(view.id);
    if (record === null) return view;
    const exclusive = await this.#ports.store.exclusive([record]);
    const { size: logical, used } = view;
    const space: SpaceView = {
      ...{ logical, used, exclusive, shared: used - exclusive, freed: exclusive },
    };
    return { ...view, space };
  }

  /** Of all these disks at one point; without a name under one that says when. */
  async create(disks: readonly string[], name: string | null): Promise<SnapshotView[]> {
    return await this.#verbs.run(async () => {
      const records = disks.map((disk) => livingDisk(this.#catalog, disk));
      const made = await this.#create(records, name ?? this.#freeName('snapshot', records));
      return this.#views(made);
    });
  }

  async #create(disks: readonly DiskRecord[], name: string): Promise<readonly SnapshotRecord[]> {
    const ids = disks.map(({ id }) => id);
    const made = await this.#catalog.snapshots.create(ids, name);
    const names = made.map((one) => fullName(this.#catalog, one));
    this.#ports.log.info({ snapshots: names }, 'snapshot created');
    return made;
  }

  /** The name of a snapshot; of a disk, that of a snapshot that is made of it now. */
  async orNew(name: string, kind: string): Promise<string> {
    return await this.#verbs.run(async () =>
      fullName(this.#catalog, await this.#orNew(name, kind)),
    );
  }

  async #orNew(name: string, kind: string): Promise<SnapshotRecord> {
    if (name.includes('@') || this.#catalog.snapshots.get(name) !== null) {
      return snapshotNamed(this.#catalog, name);
    }
    const disk = livingDisk(this.#catalog, name);
    const [made] = await this.#create([disk], this.#freeName(kind, [disk]));
    return made!;
  }

  /** `snapshot-2026-11-21-033847`, with a number when there is one already. */
  #freeName(kind: string, disks: readonly DiskRecord[]): string {
    const time = isoTime(this.#ports.now());
    const plain = `${kind}-${time.slice(0, 10)}-${time.slice(11, 19).replaceAll(':', '')}`;
    const taken = (name: string): boolean =>
      disks.some(({ id }) => this.#catalog.snapshots.find(id, name) !== null);
    let name = plain;
    for (let n = 2; taken(name); n++) name = `${plain}-${n}`;
    return name;
  }

  async rename(name: string, to: string): Promise<SnapshotView> {
    return await this.#verbs.run(async () => {
      const record = snapshotNamed(this.#catalog, name);
      const renamed = await this.#catalog.snapshots.rename(record.id, to);
      if (isExposed(renamed)) {
        this.#ports.exposure.rename(renamed, fullName(this.#catalog, renamed));
      }
      this.#ports.log.info({ from: name, to }, 'snapshot renamed');
      return this.#view(renamed);
    });
  }

  async setTemplate(name: string, on: boolean): Promise<SnapshotView> {
    return await this.#verbs.run(async () => {
      const { id } = snapshotNamed(this.#catalog, name);
      const changed = await this.#catalog.snapshots.setTemplate(id, on);
      this.#ports.log.info({ snapshot: name, template: on }, 'snapshot changed');
      return this.#view(changed);
    });
  }

  /** At once and for good. IN_USE: a template, being read, or hosts are logged in. */
  async remove(name: string): Promise<SnapshotView> {
    return await this.#verbs.run(async () => {
      const record = snapshotNamed(this.#catalog, name);
      const view = this.#view(record);
      await this.#remove(record);
      return view;
    });
  }

  /** All of a disk's, as a part of the verb that removes the disk; or, if one may not go, none. */
  async removeAllOf(disk: DiskRecord): Promise<void> {
    const records = this.#catalog.snapshots.of(disk.id);
    for (const record of records) this.#mayGo(record);
    for (const record of records) await this.#remove(record);
  }

  async #remove(record: SnapshotRecord): Promise<void> {
    this.#mayGo(record);
    const name = fullName(this.#catalog, record);
    if (isExposed(record)) await this.#ports.exposure.remove(record);
    try {
      await this.#catalog.snapshots.remove(record.id);
    } catch (error) {
      if (isExposed(record)) this.#offer(record);
      throw error;
    }
    this.#ports.log.info({ snapshot: name }, 'snapshot deleted');
  }

  #mayGo(record: SnapshotRecord): void {
    const name = fullName(this.#catalog, record);
    if (record.template) {
      const text = `'${name}' is a template; it can be deleted when that is unset`;
      throw new PetalError('IN_USE', text);
    }
    this.#mustBeUnused(record, `it can be deleted when they have logged out`);
  }

  #mustBeUnused(record: SnapshotRecord | DiskRecord, advice: string): void {
    if (!this.#ports.exposure.isExposed(record.id)) return;
    const [first, ...others] = this.#ports.exposure.sessionsOf(record);
    if (first === undefined) return;
    const more = others.length > 0 ? ` and ${others.length} more` : '';
    const what = 'disk' in record ? `snapshot '${record.name}'` : `disk '${record.name}'`;
    const text = `${what} is used by ${first.initiator} at ${first.address}${more}; ${advice}`;
    throw new PetalError('IN_USE', text);
  }

  /** What the disk has now is kept as a snapshot first. IN_USE while hosts are logged in, unless forced. */
  async rollback(
    name: string,
    force: boolean,
  ): Promise<{ readonly disk: DiskView; readonly kept: SnapshotView }> {
    return await this.#verbs.run(async () => {
      const { store, disks, log } = this.#ports;
      const snapshot = snapshotNamed(this.#catalog, name);
      const record = livingDisk(this.#catalog, snapshot.disk);
      if (!force) {
        const advice = 'its file systems would break under them; log out there first, or force it';
        this.#mustBeUnused(record, advice);
      }
      const { kept } = await store.rollback(snapshot.id, this.#freeName('pre-rollback', [record]));
      log.info({ disk: record.name, to: snapshot.name, kept: kept.name }, 'disk rolled back');
      return { disk: disks.show(record.id), kept: this.#view(kept) };
    });
  }

  /** Make it a target of its own, or change who sees it. INVALID. */
  async expose(name: string, { hosts = [], chap }: ExposeOptions): Promise<SnapshotView> {
    return await this.#verbs.run(async () => {
      const record = snapshotNamed(this.#catalog, name);
      const attributes = { ...record.attributes, ...this.#newGate(record, hosts, chap) };
      const changed = await this.#catalog.snapshots.setAttributes(record.id, () => attributes);
      if (isExposed(record)) this.#ports.exposure.setGate(changed);
      else this.#offer(changed);
      this.#ports.log.info({ snapshot: name, iqn: iqnOf(changed) }, 'snapshot exposed');
      return this.#view(changed);
    });
  }

  #newGate(
    record: SnapshotRecord,
    hosts: readonly string[],
    chap: ChapChange | undefined,
  ): Record<string, string> {
    const rules = hosts.map((text) => {
      const host = normalRule(text);
      if (host === null) throw new PetalError('INVALID', `'${text}' is not ${ruleForms}`);
      return { host, readOnly: true, user: null };
    });
    if (rules.length > limits.accessRules) {
      throw new PetalError('INVALID', `at most ${limits.accessRules} access rules`);
    }
    const users =
      chap === undefined
        ? (livingDisk(this.#catalog, record.disk).attributes[Attribute.chap] ?? '')
        : ChapSettings.parse(undefined, `snapshot '${record.name}'`).set(chap).format();
    return {
      [Attribute.exposed]: '1',
      [Attribute.iqn]: record.attributes[Attribute.iqn] ?? this.#newTargetName(record),
      [Attribute.access]: new AccessList(rules).toString(),
      [Attribute.chap]: users,
    };
  }

  /** Of the two names as much as a target's name has room for. */
  #newTargetName(record: SnapshotRecord): string {
    const { iqnBase, installation } = this.#ports;
    const disk = livingDisk(this.#catalog, record.disk).name;
    const both = `${disk}.${record.name}`.slice(0, limits.targetNamePart).replace(/[.-]+$/, '');
    return targetName(iqnBase, installation, both, this.#ports.exposure.namesTaken(this.#catalog));
  }

  /** IN_USE while hosts are logged in, unless forced: then their sessions are ended. */
  async unexpose(name: string, force: boolean): Promise<SnapshotView> {
    return await this.#verbs.run(async () => {
      const record = snapshotNamed(this.#catalog, name);
      if (!isExposed(record)) throw new PetalError('INVALID', `'${name}' is not exposed`);
      if (!force) this.#mustBeUnused(record, 'log out there first, or force it');
      await this.#ports.exposure.remove(record);
      const changed = await this.#catalog.snapshots
        .setAttributes(record.id, (old) => ({
          ...old,
          ...{ [Attribute.exposed]: '', [Attribute.access]: '', [Attribute.chap]: '' },
        }))
        .catch((error: unknown) => {
          this.#offer(record);
          throw error;
        });
      this.#ports.log.info({ snapshot: name }, 'snapshot not exposed any more');
      return this.#view(changed);
    });
  }

  #offer(record: SnapshotRecord): void {
    const volume = this.#ports.store.snapshotVolume(record.id);
    this.#ports.exposure.addSnapshot(volume, fullName(this.#catalog, record));
  }

  /** Of a snapshot, or of a disk: then a snapshot is made first. */
  async clone(from: string, name: string, reserved: boolean): Promise<DiskView> {
    return await this.#verbs.run(async () => {
      const { disks, log } = this.#ports;
      const snapshot = await this.#orNew(from, 'clone');
      const attributes = disks.firstAttributes(name);
      const record = await this.#catalog.clone(snapshot.id, { name, reserved, attributes });
      log.info({ disk: name, of: record.origin?.name }, 'disk cloned');
      return disks.adopt(record);
    });
  }

  /** Where two contents differ, each a snapshot or a disk. */
  async diff(a: string, b: string, from: number, most: number): Promise<Diff> {
    const [one, two] = [a, b].map((name) =>
      name.includes('@') || this.#catalog.snapshots.get(name) !== null
        ? snapshotNamed(this.#catalog, name)
        : livingDisk(this.#catalog, name),
    );
    return await this.#ports.store.diff(one!, two!, from, most);
  }

  async flatten(name: string, bytesPerSecond: number): Promise<DiskView> {
    const { id } = livingDisk(this.#catalog, name);
    const begun = await this.#ports.store.flattener.start(id, bytesPerSecond);
    this.#ports.log.info({ disk: name, bytesPerSecond, begun }, 'disk is being flattened');
    return this.#ports.disks.show(id);
  }

  async stopFlatten(name: string): Promise<DiskView> {
    const { id } = livingDisk(this.#catalog, name);
    await this.#ports.store.flattener.cancel(id);
    return this.#ports.disks.show(id);
  }

  #views(records: readonly SnapshotRecord[]): SnapshotView[] {
    const counts = this.#ports.exposure.sessionCounts();
    const clones = new Map<string, string[]>();
    for (const { origin, name } of this.#catalog.list()) {
      if (origin === undefined) continue;
      const names = clones.get(origin.snapshot);
      if (names === undefined) clones.set(origin.snapshot, [name]);
      else names.push(name);
    }
    return records.map((record) => ({
      name: fullName(this.#catalog, record),
      id: record.id,
      created: isoTime(record.created),
      size: record.size,
      used: this.#ports.store.used(record),
      sectorBytes: record.sectorBytes,
      template: record.template,
      group: record.group,
      clones: clones.get(record.id) ?? [],
      exposed: isExposed(record)
        ? {
            iqn: iqnOf(record),
            lun,
            naa: `naa.${naaHex(record.id)}`,
            serial: record.id,
            sessions: counts.get(iqnOf(record)) ?? 0,
            hosts: accessOf(record).rules.map(({ host }) => host),
          }
        : null,
    }));
  }

  #view(record: SnapshotRecord): SnapshotView {
    return this.#views([record])[0]!;
  }
}

const isExposed = ({ attributes }: SnapshotRecord): boolean =>
  attributes[Attribute.exposed] === '1';
