/**
 * The verbs on virtual disks: a record in the catalog and a target that hosts see, kept in step.
 *
 * - Verbs run one after the other, so what one has checked still holds when it acts.
 * - A disk is taken from hosts before it is removed, and offered again when removing it failed.
 * - No two disks, living or removed, ever have the same target name.
 */

import type { Serial } from '#storage/base/serial.ts';
import type { Catalog } from '#storage/volume/catalog.ts';
import type { DiskRecord } from '#storage/volume/volume.ts';
import { AccessList, type AccessRule, normalRule, ruleForms } from './access.ts';
import type { ChapChange, ChapRemoval, ChapSettings } from './chap.ts';
import { diskView } from './disk-facts.ts';
import type { DiskStore } from './disk-store.ts';
import type { DiskView, NewDiskOptions } from './disk-view.ts';
import { PetalError } from './errors.ts';
import { Attribute, accessOf, chapOf, type Exposure, iqnOf } from './exposure.ts';
import { fullName, livingDisk, removedDisk } from './find.ts';
import { limits } from './limits.ts';
import type { Log } from './log.ts';
import { targetName } from './names.ts';
import { checkedRedirect, formatRedirect, type RedirectRule } from './redirects.ts';
import { formatSize } from './sizes.ts';

export interface DisksPorts {
  readonly store: DiskStore;
  readonly exposure: Exposure;
  readonly log: Log;
  readonly iqnBase: string;
  readonly installation: string;
  /** The verbs on disks and on snapshots, one after the other. */
  readonly verbs: Serial;
}

export class Disks {
  readonly #ports: DisksPorts;
  readonly #verbs: Serial;

  constructor(ports: DisksPorts) {
    this.#ports = ports;
    this.#verbs = ports.verbs;
    const { catalog } = ports.store;
    catalog.listen(() => this.#lookAtKeys());
    catalog.snapshots.listen(() => this.#lookAtKeys());
  }

  /** Offer every living disk; once, at start. */
  exposeAll(): void {
    for (const { id } of this.#catalog.list()) this.#expose(id);
  }

  /** What lies under a key is erased as a whole or not at all. */
  #lookAtKeys(): void {
    const { exposure } = this.#ports;
    for (const record of this.#catalog.list()) {
      if (record.cipherKey === undefined || !exposure.isExposed(record.id)) continue;
      exposure.setSanitize(record, this.#mayErase(record));
    }
  }

  #mayErase(record: DiskRecord): boolean {
    return record.cipherKey !== undefined && this.#catalog.keySharers(record).length === 0;
  }

  get #catalog(): Catalog {
    return this.#ports.store.catalog;
  }

  list(): DiskView[] {
    return this.#views(this.#catalog.list());
  }

  removed(): DiskView[] {
    return this.#views(this.#catalog.removed());
  }

  /** Names of the living disks by the names of their targets. */
  namesByTarget(): Map<string, string> {
    const named = this.#catalog.list().map((one): [string, string] => [iqnOf(one), one.name]);
    for (const one of this.#catalog.snapshots.list()) {
      if (Attribute.iqn in one.attributes) {
        named.push([iqnOf(one), fullName(this.#catalog, one)]);
      }
    }
    return new Map(named);
  }

  /** By name or id. NOT_FOUND. */
  show(name: string): DiskView {
    return this.#view(this.#living(name));
  }

  /** As `show`, with who holds what. NOT_FOUND. */
  async showSpace(name: string): Promise<DiskView> {
    const record = this.#living(name);
    const { store } = this.#ports;
    const exclusive = await store.exclusive([record]);
    const all = await store.exclusive([record, ...this.#catalog.snapshots.of(record.id)]);
    const used = store.used(record);
    const promised = record.reserved ? Math.max(0, record.size - exclusive) : 0;
    const space = {
      ...{ logical: record.size, used, exclusive, shared: used - exclusive },
      ...{ freed: exclusive + promised, freedWithSnapshots: all + promised },
    };
    return { ...this.#view(record), space };
  }

  /** INVALID, EXISTS, NO_SPACE. */
  async create(options: NewDiskOptions): Promise<DiskView> {
    const {
      writeProtected = false,
      removable = false,
      hostProtect = false,
      writeBack = false,
      sanitize = false,
      ...disk
    } = options;
    return await this.#verbs.run(async () => {
      const { iqnBase, installation, log } = this.#ports;
      const iqn = targetName(
        iqnBase,
        installation,
        disk.name,
        this.#ports.exposure.namesTaken(this.#catalog),
      );
      const record = await this.#catalog.create({
        ...disk,
        erasable: sanitize,
        attributes: {
          [Attribute.iqn]: iqn,
          [Attribute.access]: '',
          ...(writeProtected ? { [Attribute.writeProtected]: '1' } : {}),
          ...(removable ? { [Attribute.removable]: '1' } : {}),
          ...(hostProtect ? { [Attribute.hostProtect]: '1' } : {}),
          ...(writeBack ? { [Attribute.writeBack]: '1' } : {}),
        },
      });
      this.#expose(record.id);
      log.info({ disk: record.name, size: record.size, iqn }, 'disk created');
      return this.#view(record);
    });
  }

  /** Growing shows to hosts at once; shrinking wants `force` and no session. */
  async resize(name: string, size: number, force: boolean): Promise<DiskView> {
    return await this.#verbs.run(async () => {
      const record = this.#living(name);
      if (size < record.size) this.#mayShrink(record, size, force);
      const resized = await this.#catalog.resize(record.id, size, { force });
      this.#ports.log.info({ disk: record.name, from: record.size, to: size }, 'disk resized');
      return this.#view(resized);
    });
  }

  #mayShrink(record: DiskRecord, size: number, force: boolean): void {
    const from = formatSize(record.size);
    if (!force) {
      const loss = `what lies past ${formatSize(size)} would be lost for good`;
      throw new PetalError(
        'INVALID',
        `'${record.name}' has ${from}: ${loss}; force it if that is meant`,
      );
    }
    this.#mustBeUnused(record, 'it can be shrunk when they have logged out');
  }

  #mustBeUnused(record: DiskRecord, advice: string): void {
    const sessions = this.#ports.exposure.sessionsOf(record);
    const [first] = sessions;
    if (first === undefined) return;
    const who = `${first.initiator} at ${first.address}`;
    const others = sessions.length > 1 ? ` and ${sessions.length - 1} more` : '';
    throw new PetalError('IN_USE', `disk '${record.name}' is used by ${who}${others}; ${advice}`);
  }

  /** At once, for every host; what was written before stays. */
  async setWriteProtected(name: string, on: boolean): Promise<DiskView> {
    return await this.#switch(name, 'writeProtected', on, (record) =>
      this.#ports.exposure.setWriteProtected(record),
    );
  }

  /** Whether hosts may protect it from writing themselves. */
  async setHostProtect(name: string, on: boolean): Promise<DiskView> {
    return await this.#switch(name, 'hostProtect', on, (record) =>
      this.#ports.exposure.setHostProtect(record),
    );
  }

  /** Whether its writes may complete before they are durable. Off: nothing is held back at the end. */
  async setWriteBack(name: string, on: boolean): Promise<DiskView> {
    return await this.#switch(name, 'writeBack', on, (record) =>
      this.#ports.exposure.setWriteBack(record),
    );
  }

  /** Hosts are sent there, those with a session after they were asked to log out; null: served here again. */
  async setRedirect(name: string, to: RedirectRule | null): Promise<DiskView> {
    const rule = to === null ? null : checkedRedirect(to.address, to.permanent);
    return await this.#change(name, 'redirect', formatRedirect(rule), (record) =>
      this.#ports.exposure.setRedirect(record),
    );
  }

  async #switch(
    name: string,
    key: 'writeProtected' | 'hostProtect' | 'writeBack',
    on: boolean,
    apply: (record: DiskRecord) => void | Promise<void>,
  ): Promise<DiskView> {
    return await this.#change(name, key, on ? '1' : '', apply);
  }

  async #change(
    name: string,
    key: 'writeProtected' | 'hostProtect' | 'writeBack' | 'redirect',
    value: string,
    apply: (record: DiskRecord) => void | Promise<void>,
  ): Promise<DiskView> {
    return await this.#verbs.run(async () => {
      const record = this.#living(name);
      const changed = await this.#catalog.setAttributes(record.id, (old) => ({
        ...old,
        [Attribute[key]]: value,
      }));
      await apply(changed);
      this.#ports.log.info({ disk: record.name, [key]: value }, 'disk changed');
      return this.#view(changed);
    });
  }

  /** The target's name stays, so hosts notice nothing. */
  async rename(name: string, to: string): Promise<DiskView> {
    return await this.#verbs.run(async () => {
      const record = this.#living(name);
      const renamed = await this.#catalog.rename(record.id, to);
      this.#ports.exposure.rename(renamed, renamed.name);
      this.#ports.log.info({ from: record.name, to }, 'disk renamed');
      return this.#view(renamed);
    });
  }

  /**
   * IN_USE while a session uses it, unless `force` repeats its name: then sessions are ended; and while it has
   * snapshots, which `removeSnapshots` deletes before.
   */
  async remove(
    name: string,
    force: string | null,
    removeSnapshots: ((record: DiskRecord) => Promise<void>) | null = null,
  ): Promise<DiskView> {
    return await this.#verbs.run(async () => {
      const record = this.#living(name);
      const snapshots = this.#catalog.snapshots.of(record.id);
      if (removeSnapshots === null && snapshots.length > 0) {
        const names = snapshots.map((one) => fullName(this.#catalog, one)).join(', ');
        const text = `disk '${record.name}' has snapshots: ${names}; delete them, or all of them with it`;
        throw new PetalError('IN_USE', text);
      }
      if (force !== null && force !== record.name) {
        const text = `to force the removal repeat the disk's name, '${record.name}', not '${force}'`;
        throw new PetalError('INVALID', text);
      }
      if (force === null) {
        this.#mustBeUnused(record, `log out there first, or force it by repeating the name`);
      }
      await removeSnapshots?.(record);
      await this.#ports.exposure.remove(record);
      try {
        const removed = await this.#catalog.remove(record.id);
        this.#ports.log.info({ disk: record.name, id: record.id }, 'disk removed');
        return this.#view(removed);
      } catch (error) {
        this.#expose(record.id);
        throw error;
      }
    });
  }

  /** Give a removed disk's space back now: it cannot be restored any more. NOT_FOUND. */
  async purge(name: string): Promise<DiskView> {
    return await this.#verbs.run(async () => {
      const record = removedDisk(this.#catalog, name);
      const { restorableUntil: _, ...view } = this.#view(record);
      await this.#catalog.purge(record.id);
      this.#ports.log.info({ disk: record.name, id: record.id }, 'removed disk purged');
      return view;
    });
  }

  /** By name (of several the last removed) or id; `as` when the name is taken. */
  async undelete(name: string, as: string | null): Promise<DiskView> {
    return await this.#verbs.run(async () => {
      const record = removedDisk(this.#catalog, name);
      const wanted = as ?? record.name;
      if (this.#catalog.find(wanted) !== null) {
        throw new PetalError(
          'EXISTS',
          `there is a disk named '${wanted}'; restore it under another name`,
        );
      }
      const restored = await this.#catalog.undelete(record.id, wanted);
      this.#expose(record.id);
      this.#ports.log.info({ disk: restored.name, id: record.id }, 'disk restored');
      return this.#view(restored);
    });
  }

  /**
   * Replaces what the same host, with the same user, was granted before. INVALID when `host` is no
   * initiator name and no address range, or the disk has no such CHAP user.
   */
  async allow(name: string, grant: AccessRule): Promise<DiskView> {
    return await this.#changeAccess(name, (rules, record) => {
      const rule = { ...grant, host: mustBeRule(grant.host) };
      if (rule.user !== null && !chapOf(record).has(rule.user)) {
        const text = `'${record.name}' has no CHAP user '${rule.user}'; make it first`;
        throw new PetalError('INVALID', text);
      }
      const isSame = (other: AccessRule) => other.host === rule.host && other.user === rule.user;
      const changed = rules.some(isSame)
        ? rules.map((old) => (isSame(old) ? rule : old))
        : [...rules, rule];
      if (changed.length > limits.accessRules) {
        const text = `a disk has at most ${limits.accessRules} access rules; an address range covers many hosts`;
        throw new PetalError('INVALID', text);
      }
      return changed;
    });
  }

  /**
   * Takes back what was granted to `host`, to whatever user or to one. NOT_FOUND when nothing was.
   * Sessions that lose their access are ended.
   */
  async deny(name: string, host: string, user: string | null): Promise<DiskView> {
    return await this.#changeAccess(name, (rules) => {
      const normal = mustBeRule(host);
      const kept = rules.filter(
        (rule) => rule.host !== normal || (user !== null && rule.user !== user),
      );
      if (kept.length < rules.length) return kept;
      const hosts = new Set(rules.map((rule) => rule.host));
      const there = hosts.size === 0 ? 'none' : [...hosts].join(', ');
      const who = user === null ? `'${normal}'` : `'${normal}' as CHAP user '${user}'`;
      throw new PetalError('NOT_FOUND', `${who} has no access to '${name}'; rules: ${there}`);
    });
  }

  async #changeAccess(
    name: string,
    change: (rules: readonly AccessRule[], record: DiskRecord) => readonly AccessRule[],
  ): Promise<DiskView> {
    return await this.#changeGate(name, (record) => {
      const rules = new AccessList(change(accessOf(record).rules, record));
      return { [Attribute.access]: rules.toString() };
    });
  }

  /** INVALID. From then on every login needs CHAP; sessions of users that there are go on. */
  async setChap(name: string, change: ChapChange): Promise<DiskView> {
    return await this.#changeChap(name, (old) => old.set(change));
  }

  /** NOT_FOUND, INVALID. Sessions of a removed user are ended. */
  async removeChap(name: string, removal: ChapRemoval): Promise<DiskView> {
    return await this.#changeChap(name, (old) => old.remove(removal));
  }

  async #changeChap(name: string, change: (old: ChapSettings) => ChapSettings): Promise<DiskView> {
    return await this.#changeGate(name, (record) => ({
      [Attribute.chap]: change(chapOf(record)).format(),
    }));
  }

  /** `change` gives the attributes that are new; it holds for living sessions at once. */
  async #changeGate(
    name: string,
    change: (record: DiskRecord) => Record<string, string>,
  ): Promise<DiskView> {
    return await this.#verbs.run(async () => {
      const record = this.#living(name);
      const attributes = change(record);
      const changed = await this.#catalog.setAttributes(record.id, (old) => ({
        ...old,
        ...attributes,
      }));
      const ended = this.#ports.exposure.setGate(changed);
      const access = accessOf(changed).toString();
      const chap = chapOf(changed).view;
      this.#ports.log.info({ disk: record.name, access, chap, ended }, 'access changed');
      return this.#view(changed);
    });
  }

  /** Offer a disk that was made elsewhere, by cloning or by an import. */
  adopt(record: DiskRecord): DiskView {
    this.#expose(record.id);
    return this.#view(record);
  }

  /** The target name and the empty access list of a disk to be called `name`. */
  firstAttributes(name: string): Record<string, string> {
    const { iqnBase, installation } = this.#ports;
    const iqn = targetName(
      iqnBase,
      installation,
      name,
      this.#ports.exposure.namesTaken(this.#catalog),
    );
    return { [Attribute.iqn]: iqn, [Attribute.access]: '' };
  }

  #expose(id: string): void {
    const volume = this.#ports.store.volume(id);
    this.#ports.exposure.add(volume, this.#mayErase(volume.record));
  }

  #living(name: string): DiskRecord {
    return livingDisk(this.#catalog, name);
  }

  /** Sessions are counted once, however many disks there are. */
  #views(records: readonly DiskRecord[]): DiskView[] {
    const counts = this.#ports.exposure.sessionCounts();
    return records.map((record) => this.#view(record, counts));
  }

  #view(record: DiskRecord, counts = this.#ports.exposure.sessionCounts()): DiskView {
    return diskView(this.#ports.store, record, counts);
  }
}

function mustBeRule(text: string): string {
  const rule = normalRule(text);
  if (rule === null) throw new PetalError('INVALID', `'${text}' is not ${ruleForms}`);
  return rule;
}
