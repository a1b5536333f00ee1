/**
 * The snapshots of a store's disks: made of one disk or of several at one point, named, marked as templates,
 * deleted, and gone back to. A record and its frozen space exist together or not at all, whatever crashes
 * (see intents.ts).
 *
 * - A name is unique among the snapshots of its disk. A disk with snapshots is not removed; a clone needs neither
 *   the snapshot it came from nor that one's disk.
 * - A template, and a snapshot that somebody reads, is not deleted.
 */
import { StorageError } from '../base/errors.ts';
import type { Serial } from '../base/serial.ts';
import type { Comparison, Mutation, Revision } from '../cluster/directory.ts';
import { blockBytes } from '../map/blocks.ts';
import { dropSpace, encodeIntent, flushed, keys } from './intents.ts';
import { limits } from './limits.ts';
import { encodeName } from './load.ts';
import { type Maker, type MakerPorts, promisedBlocks } from './maker.ts';
import type { Purger } from './purger.ts';
import { attributesFault, encodeRecord, nameFault, refuse } from './record.ts';
import type { Refs } from './refs.ts';
import type { Held, Shelf } from './shelf.ts';
import { encodeSnapshot, familyOf, type SnapshotRecord } from './snapshot.ts';
import type { HeldSnapshot, SnapshotListener, SnapshotShelf } from './snapshot-shelf.ts';
import type { DiskRecord } from './volume.ts';

export interface SnapshotsParts {
  readonly ports: MakerPorts;
  readonly serial: Serial;
  readonly shelf: Shelf;
  readonly snapshots: SnapshotShelf;
  readonly purger: Purger;
  readonly refs: Refs;
  readonly maker: Maker;
}

type Attributes = Readonly<Record<string, string>>;

export class Snapshots {
  readonly #parts: SnapshotsParts;

  constructor(parts: SnapshotsParts) {
    this.#parts = parts;
  }

  /** All, the oldest first. */
  list(): readonly SnapshotRecord[] {
    return this.#parts.snapshots.all();
  }

  /** Of one disk, the oldest first. */
  of(disk: string): readonly SnapshotRecord[] {
    return this.#parts.snapshots.of(disk);
  }

  get(id: string): SnapshotRecord | null {
    return this.#parts.snapshots.get(id);
  }

  find(disk: string, name: string): SnapshotRecord | null {
    return this.#parts.snapshots.find(disk, name);
  }

  listen(listener: SnapshotListener): () => void {
    return this.#parts.snapshots.listen(listener);
  }

  /** It stays until the function that is returned was called. NOT_FOUND. */
  read(id: string): () => void {
    return this.#parts.snapshots.read(id);
  }

  /** Of all `disks` at one point. NOT_FOUND, INVALID, EXISTS, NO_SPACE (a thick disk's promise). */
  async create(
    disks: readonly string[],
    name: string,
    attributes: (disk: DiskRecord) => Attributes = () => ({}),
  ): Promise<readonly SnapshotRecord[]> {
    refuse(`snapshot "${name}"`, nameFault(name));
    return await this.#parts.serial.run(() => this.#create(disks, name, attributes));
  }

  async #create(
    disks: readonly string[],
    name: string,
    attributes: (disk: DiskRecord) => Attributes,
  ): Promise<readonly SnapshotRecord[]> {
    const { shelf, snapshots, refs, maker, ports, purger } = this.#parts;
    const images = ports.blocks;
    const held = this.#disks(disks);
    for (const { record } of held) snapshots.checkNameFree(record.id, name);
    if (snapshots.size + held.length > limits.snapshots) {
      throw new StorageError('INVALID', `a store holds at most ${limits.snapshots} snapshots`);
    }
    const taken = refs.take(held.length);
    const group = held.length > 1 ? maker.newId() : null;
    const made = held.map(({ record }, index) => {
      const facts = { name, ref: taken.refs[index]!, group, attributes: attributes(record) };
      return this.#draft(record, maker.newId(), facts);
    });
    const intent = keys.intent(made[0]!.id);
    const names = made.map(({ id, disk }) => ({ key: keys.snapshotName(disk, name), id }));
    const began = await shelf.commit(
      [taken.compare, ...names.map(({ key }) => ({ key, modified: 0n })), ...unchanged(held)],
      [
        taken.mutate,
        ...names.map(({ key, id }) => ({ key, value: encodeName(id) })),
        { key: intent, value: encodeIntent({ op: 'spaces', refs: taken.refs, names }) },
      ],
    );
    taken.took(began);
    const pairs = made.map(({ ref }, index) => ({ of: held[index]!.record.ref, as: ref }));
    let promised = 0;
    for (const { record } of held) promised += promisedBlocks(record) * blockBytes;
    try {
      await purger.withSpace(promised, () => images.snapshot(pairs));
    } catch (error) {
      await this.#undo(intent, began, taken.refs, names);
      throw error;
    }
    const modified = await shelf.commit(
      [{ key: intent, modified: began }],
      [
        { key: intent, value: null },
        ...made.map((record) => ({
          key: keys.snapshot(record.id),
          value: encodeSnapshot(record),
        })),
      ],
    );
    for (const record of made) snapshots.put(record, modified, 'created');
    return made;
  }

  #disks(ids: readonly string[]): Held[] {
    if (ids.length === 0 || new Set(ids).size !== ids.length) {
      throw new StorageError('INVALID', 'a snapshot is of one disk or of several, each once');
    }
    if (ids.length > limits.snapshotGroup) {
      const text = `at most ${limits.snapshotGroup} disks have a snapshot at one point`;
      throw new StorageError('INVALID', text);
    }
    return ids.map((id) => this.#parts.shelf.heldLiving(id));
  }

  #draft(
    disk: DiskRecord,
    id: string,
    facts: Pick<SnapshotRecord, 'name' | 'ref' | 'group' | 'attributes'>,
  ): SnapshotRecord {
    refuse(`snapshot "${facts.name}"`, attributesFault(facts.attributes));
    const { size, sectorBytes, reserved, cipherKey } = disk;
    return {
      ...{ id, disk: disk.id, family: familyOf(disk), size, sectorBytes, reserved },
      created: this.#parts.ports.clock.wall(),
      ...(cipherKey === undefined ? {} : { cipherKey }),
      ...{ template: false, content: id, digest: null },
      ...facts,
    };
  }

  /** What cannot be undone now (the disk failed) is undone at the next open. */
  async #undo(
    intent: string,
    began: Revision,
    refs: readonly number[],
    names: readonly { readonly key: string }[],
  ): Promise<void> {
    const { ports, shelf } = this.#parts;
    try {
      for (const ref of refs) await dropSpace(ports.blocks, ref);
      await shelf.commit(
        [{ key: intent, modified: began }],
        [{ key: intent, value: null }, ...names.map(({ key }) => ({ key, value: null }))],
      );
    } catch (err) {
      ports.log.warn({ err }, 'a snapshot that could not be made is undone at next start');
    }
  }

  async rename(id: string, name: string): Promise<SnapshotRecord> {
    refuse(`snapshot "${name}"`, nameFault(name));
    return await this.#change(id, (old) => {
      if (old.name === name) return null;
      this.#parts.snapshots.checkNameFree(old.disk, name);
      const taken = keys.snapshotName(old.disk, name);
      return {
        record: { ...old, name },
        compare: [{ key: taken, modified: 0n }],
        mutate: [
          { key: keys.snapshotName(old.disk, old.name), value: null },
          { key: taken, value: encodeName(id) },
        ],
      };
    });
  }

  /** A template cannot be deleted. */
  async setTemplate(id: string, template: boolean): Promise<SnapshotRecord> {
    return await this.#change(id, (old) =>
      old.template === template ? null : { record: { ...old, template } },
    );
  }

  async setAttributes(
    id: string,
    change: (old: Attributes) => Attributes,
  ): Promise<SnapshotRecord> {
    return await this.#change(id, (old) => {
      const attributes = Object.freeze({ ...change(old.attributes) });
      refuse(`snapshot "${old.name}"`, attributesFault(attributes));
      return { record: { ...old, attributes } };
    });
  }

  /** All of the content was read, and this is its digest. */
  async setDigest(id: string, digest: string): Promise<SnapshotRecord> {
    return await this.#change(id, (old) =>
      old.digest === digest ? null : { record: { ...old, digest } },
    );
  }

  async #change(
    id: string,
    change: (old: SnapshotRecord) => {
      readonly record: SnapshotRecord;
      readonly compare?: readonly Comparison[];
      readonly mutate?: readonly Mutation[];
    } | null,
  ): Promise<SnapshotRecord> {
    const { serial, shelf, snapshots } = this.#parts;
    return await serial.run(async () => {
      shelf.checkOpen();
      const { record: old, modified } = snapshots.held(id);
      const wanted = change(old);
      if (wanted === null) return old;
      const { record, compare = [], mutate = [] } = wanted;
      const key = keys.snapshot(id);
      const revision = await shelf.commit(
        [{ key, modified }, ...compare],
        [{ key, value: encodeSnapshot(record) }, ...mutate],
      );
      return snapshots.put(record, revision, 'updated');
    });
  }

  /** At once and for good. NOT_FOUND, IN_USE (a template, or it is being read), BUSY. */
  async remove(id: string): Promise<SnapshotRecord> {
    return await this.#parts.serial.run(async () => {
      this.#parts.shelf.checkOpen();
      const held = this.#parts.snapshots.held(id);
      this.#mayGo(held.record);
      return await this.#drop(held);
    });
  }

  #mayGo({ id, name, template }: SnapshotRecord): void {
    if (template) {
      const text = `snapshot "${name}" is a template; unset that before it is deleted`;
      throw new StorageError('IN_USE', text);
    }
    if (this.#parts.snapshots.isRead(id)) {
      throw new StorageError('IN_USE', `snapshot "${name}" is being read`);
    }
  }

  async #drop({ record, modified }: HeldSnapshot): Promise<SnapshotRecord> {
    const { shelf, snapshots, ports } = this.#parts;
    const { id, ref, disk, name } = record;
    const intent = keys.intent(id);
    const revision = await shelf.commit(
      [
        { key: keys.snapshot(id), modified },
        { key: intent, modified: 0n },
        // Its disk may be going back to it, which a crash would have to finish.
        { key: keys.intent(disk), modified: 0n },
      ],
      [
        { key: keys.snapshot(id), value: null },
        { key: keys.snapshotName(disk, name), value: null },
        { key: intent, value: encodeIntent({ op: 'purge', ref }) },
      ],
    );
    snapshots.forget(record);
    await dropSpace(ports.blocks, ref);
    await shelf.commit([{ key: intent, modified: revision }], [{ key: intent, value: null }]);
    return record;
  }

  /** All snapshots of a disk, or, if one of them may not go, none. IN_USE. */
  async removeAllOf(disk: string): Promise<readonly SnapshotRecord[]> {
    const { serial, shelf, snapshots } = this.#parts;
    return await serial.run(async () => {
      shelf.checkOpen();
      const all = snapshots.of(disk);
      for (const record of all) this.#mayGo(record);
      for (const { id } of all) await this.#drop(snapshots.held(id));
      return all;
    });
  }

  /**
   * The disk has the content and the size of its snapshot again; what it has now is kept as a snapshot named `keep`.
   * The caller sees to it that no change of the disk is in flight. NOT_FOUND, EXISTS, NO_SPACE, BUSY.
   */
  async rollback(
    id: string,
    keep: string,
    attributes: (disk: DiskRecord) => Attributes = () => ({}),
  ): Promise<{ readonly disk: DiskRecord; readonly kept: SnapshotRecord }> {
    refuse(`snapshot "${keep}"`, nameFault(keep));
    return await this.#parts.serial.run(async () => {
      const { shelf, snapshots } = this.#parts;
      const { record: snapshot } = snapshots.held(id);
      const [kept] = await this.#create([snapshot.disk], keep, attributes);
      const disk = await this.#revert(shelf.heldLiving(snapshot.disk), snapshots.held(id));
      return { disk, kept: kept! };
    });
  }

  async #revert({ record, modified }: Held, snapshot: HeldSnapshot): Promise<DiskRecord> {
    const { shelf, ports, purger } = this.#parts;
    const { blocks } = ports;
    const { id, ref } = record;
    const { size, ref: from } = snapshot.record;
    const reverted: DiskRecord = { ...record, size };
    const reserved = promisedBlocks(reverted);
    const more = reserved - promisedBlocks(record);
    if (more > 0) {
      await purger.withSpace(more * blockBytes, () => blocks.reserve(ref, reserved));
    }
    const intent = keys.intent(id);
    const revision = await shelf.commit(
      [
        { key: keys.disk(id), modified },
        { key: keys.snapshot(snapshot.record.id), modified: snapshot.modified },
        { key: intent, modified: 0n },
      ],
      [
        { key: keys.disk(id), value: encodeRecord(reverted) },
        { key: intent, value: encodeIntent({ op: 'revert', ref, from, reserved }) },
      ],
    );
    await blocks.revert(ref, from);
    if (more < 0) await blocks.reserve(ref, reserved);
    await flushed(blocks, ref);
    await shelf.commit([{ key: intent, modified: revision }], [{ key: intent, value: null }]);
    return shelf.put(reverted, revision, 'reverted');
  }
}

/** Nothing happened to the disks since. */
const unchanged = (disks: readonly Held[]): Comparison[] =>
  disks.map(({ record, modified }) => ({ key: keys.disk(record.id), modified }));
