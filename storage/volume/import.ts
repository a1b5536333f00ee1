/**
 * A stream (stream-format.ts) becomes a new disk, or the next snapshot of a disk that has its base. Everything goes
 * into a space of its own first and is checked against the digests; only then, in one transaction, does it become
 * visible. What ends before that, by an error or a crash, leaves nothing (the intent `spaces`).
 *
 * - An incremental stream fits a disk that has a snapshot of the same content, by id and digest, and has not been
 *   written to since.
 * - An imported content is kept as a snapshot too, so that the next increment finds its base.
 */
import { called } from '../base/called.ts';
import { StorageError } from '../base/errors.ts';
import type { Comparison, Mutation, Revision } from '../cluster/directory.ts';
import { blockBytes, type Done } from '../map/blocks.ts';
import { ContentSum } from './content-sum.ts';
import { digestOf } from './export.ts';
import { dropSpace, encodeIntent, flushed, type Intent, keys } from './intents.ts';
import { limits } from './limits.ts';
import { encodeName } from './load.ts';
import { type NewDisk, promisedBlocks } from './maker.ts';
import { OpenVolume } from './open.ts';
import { encodeRecord } from './record.ts';
import { encodeSnapshot, familyOf, type SnapshotRecord, snapshotAsDisk } from './snapshot.ts';
import type { SnapshotsParts } from './snapshots.ts';
import type { Begin, Data, End, Hole } from './stream-format.ts';
import type { DiskRecord } from './volume.ts';
import type { SpaceMaker } from './writes.ts';

/** Of the new disk, beside what the stream says. */
export type ImportedDisk = Pick<NewDisk, 'name' | 'reserved' | 'erasable' | 'attributes'>;

export interface Imported {
  readonly disk: DiskRecord;
  readonly snapshot: SnapshotRecord;
}

/** What both kinds of import have in common once they have begun. */
interface Begun {
  readonly began: Revision;
  readonly intent: string;
  /** Where the content goes, and under which number it is to be frozen. */
  readonly space: number;
  readonly frozen: number;
  readonly names: readonly { readonly key: string; readonly id: string }[];
  /** It may be in the Directory: nothing is undone any more. */
  settled: boolean;
}

export class Importer {
  readonly #parts: SnapshotsParts;
  readonly #space: SpaceMaker;

  constructor(parts: SnapshotsParts, space: SpaceMaker) {
    this.#parts = parts;
    this.#space = space;
  }

  /** INVALID (the stream is incremental), EXISTS, NO_SPACE. */
  async intoNew(begin: Begin, wanted: ImportedDisk): Promise<Import> {
    if (begin.base !== null) {
      const text = 'the stream is incremental: it goes to the disk that has its base';
      throw new StorageError('INVALID', text);
    }
    const { serial, maker, ports, purger } = this.#parts;
    return await serial.run(async () => {
      const { size, sectorBytes } = begin;
      const draft = maker.draft({ ...wanted, size, sectorBytes });
      const { id, ...rest } = draft;
      const names = [{ key: keys.name(draft.name), id }];
      const begun = await this.#begin(id, names);
      const disk: DiskRecord = { id, ref: begun.space, ...rest };
      const snapshot = this.#draft(disk, begin, begin.snapshot, begun.frozen);
      await this.#orUndo(begun, async () => {
        const promised = promisedBlocks(disk);
        await purger.withSpace(promised * blockBytes, () =>
          ports.blocks.create(begun.space, promised),
        );
      });
      const finish = (digest: string) => this.#finishNew(begun, disk, { ...snapshot, digest });
      return this.#import(begun, disk, snapshot, null, finish);
    });
  }

  /** INVALID (full, other sectors, no such base, or written to since), NOT_FOUND, NO_SPACE. */
  async into(begin: Begin, id: string): Promise<Import> {
    const { snapshots, shelf, serial, ports } = this.#parts;
    const { record: disk } = shelf.heldLiving(id);
    const base = await this.#base(begin, disk);
    const release = snapshots.read(base.id);
    try {
      return await serial.run(async () => {
        const made = this.#parts.maker.newId();
        const name = this.#freeName(disk, begin.snapshot);
        const names = [{ key: keys.snapshotName(id, name), id: made }];
        const begun = await this.#begin(made, names);
        const draft = { ...this.#draft(disk, begin, name, begun.frozen), id: made };
        const space = { ...snapshotAsDisk(base), ref: begun.space };
        await this.#orUndo(begun, () => ports.blocks.clone(base.ref, begun.space, 0));
        const size = Math.max(base.size, begin.size);
        const finish = (digest: string) => this.#finishInto(begun, id, base, { ...draft, digest });
        return this.#import(begun, { ...space, size }, draft, base, finish, release);
      });
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Its snapshot that the stream goes on from. */
  async #base(begin: Begin, disk: DiskRecord): Promise<SnapshotRecord> {
    const { snapshots } = this.#parts;
    const bad = (why: string) => new StorageError('INVALID', `disk "${disk.name}" ${why}`);
    if (begin.base === null) throw bad('is there already, and the stream is full');
    if (begin.sectorBytes !== disk.sectorBytes) throw bad('has sectors of another size');
    const { content, digest } = begin.base;
    const base = snapshots.of(disk.id).findLast((one) => one.content === content);
    if (base === undefined) throw bad(`has no snapshot of the content ${content}, the base`);
    const release = snapshots.read(base.id);
    try {
      if ((await this.#digestOf(base)) !== digest) {
        throw bad(`has another content in "${base.name}" than the stream goes on from`);
      }
      await this.#mustBeAs(disk, base);
    } finally {
      release();
    }
    return base;
  }

  async #digestOf(snapshot: SnapshotRecord): Promise<string> {
    const { blocks } = this.#parts.ports;
    return await digestOf({ blocks, learned: async () => {} }, snapshot);
  }

  async #mustBeAs(disk: DiskRecord, base: SnapshotRecord): Promise<void> {
    const images = this.#parts.ports.blocks;
    const end = Math.max(disk.size, base.size) / blockBytes;
    let same = disk.size === base.size;
    for (let at = 0; same && at < end; ) {
      const { differs, count } = await images.difference(disk.ref, base.ref, at, end - at);
      same = !differs;
      at += count;
    }
    if (same) return;
    const text = `disk "${disk.name}" was written to since its snapshot "${base.name}"; roll it back first`;
    throw new StorageError('INVALID', text);
  }

  #freeName(disk: DiskRecord, wanted: string): string {
    let name = wanted;
    const room = limits.nameLength - 5;
    for (let n = 2; this.#parts.snapshots.find(disk.id, name) !== null; n++) {
      name = `${wanted.slice(0, room)}-${n}`;
    }
    return name;
  }

  #draft(disk: DiskRecord, begin: Begin, name: string, ref: number): SnapshotRecord {
    const { sectorBytes, reserved, cipherKey } = disk;
    return {
      id: this.#parts.maker.newId(),
      ...{ ref, name, disk: disk.id, family: familyOf(disk), size: begin.size },
      created: begin.created,
      ...{ sectorBytes, reserved },
      ...(cipherKey === undefined ? {} : { cipherKey }),
      ...{ template: false, group: null, content: begin.content, digest: null, attributes: {} },
    };
  }

  async #begin(id: string, names: Begun['names']): Promise<Begun> {
    const { shelf, refs } = this.#parts;
    shelf.checkOpen();
    const taken = refs.take(2);
    const intent = keys.intent(id);
    const began = await shelf.commit(
      [
        taken.compare,
        { key: intent, modified: 0n },
        ...names.map(({ key }) => ({ key, modified: 0n })),
      ],
      [
        taken.mutate,
        { key: intent, value: encodeIntent({ op: 'spaces', refs: taken.refs, names }) },
        ...names.map((name) => ({ key: name.key, value: encodeName(name.id) })),
      ],
    );
    taken.took(began);
    const [space, frozen] = [taken.refs[0]!, taken.refs[1]!];
    return { began, intent, space, frozen, names, settled: false };
  }

  async #orUndo(begun: Begun, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.#undo(begun);
      throw error;
    }
  }

  /** What cannot be undone now (the disk failed) is undone at the next open. */
  async #undo({ began, intent, space, frozen, names, settled }: Begun): Promise<void> {
    const { ports, shelf } = this.#parts;
    if (settled) return;
    try {
      for (const ref of [space, frozen]) await dropSpace(ports.blocks, ref);
      await shelf.commit(
        [{ key: intent, modified: began }],
        [{ key: intent, value: null }, ...names.map(({ key }) => ({ key, value: null }))],
      );
    } catch (err) {
      ports.log.warn({ err }, 'an import that ended early is undone at next start');
    }
  }

  /** The transaction by which it becomes visible. */
  async #settle(
    begun: Begun,
    compare: readonly Comparison[],
    mutate: readonly Mutation[],
  ): Promise<Revision> {
    begun.settled = true;
    try {
      const intent = { key: begun.intent, modified: begun.began };
      return await this.#parts.shelf.commit([intent, ...compare], mutate);
    } catch (error) {
      // Somebody else's change came first, so this one did not.
      if (error instanceof StorageError && error.code === 'BUSY') begun.settled = false;
      throw error;
    }
  }

  #import(
    begun: Begun,
    disk: DiskRecord,
    snapshot: SnapshotRecord,
    base: SnapshotRecord | null,
    finish: (digest: string) => Promise<Imported>,
    release: () => void = () => {},
  ): Import {
    const { serial, ports } = this.#parts;
    const sum = base === null ? Promise.resolve('0') : this.#digestOf(base);
    return new Import({
      volume: new OpenVolume(disk, ports.blocks, this.#space),
      size: snapshot.size,
      base,
      digest: sum,
      unwritten: (block, count) => ports.blocks.extent(disk.ref, block, count),
      finish: (digest) =>
        serial.run(async () => {
          await flushed(ports.blocks, disk.ref);
          return await finish(digest);
        }),
      undo: () => serial.run(() => this.#undo(begun)),
      release,
    });
  }

  async #finishNew(begun: Begun, disk: DiskRecord, draft: SnapshotRecord): Promise<Imported> {
    const { intent, space, frozen } = begun;
    const { ports, shelf, snapshots } = this.#parts;
    await ports.blocks.snapshot([{ of: space, as: frozen }]);
    const name = keys.snapshotName(disk.id, draft.name);
    const revision = await this.#settle(
      begun,
      [{ key: name, modified: 0n }],
      [
        { key: intent, value: null },
        { key: keys.disk(disk.id), value: encodeRecord(disk) },
        { key: keys.snapshot(draft.id), value: encodeSnapshot(draft) },
        { key: name, value: encodeName(draft.id) },
      ],
    );
    shelf.put(disk, revision, 'created');
    const snapshot = snapshots.put(draft, revision, 'created');
    return { disk, snapshot };
  }

  /** The caller sees to it that no change of the disk is in flight. */
  async #finishInto(
    begun: Begun,
    id: string,
    base: SnapshotRecord,
    draft: SnapshotRecord,
  ): Promise<Imported> {
    const { intent, space, frozen } = begun;
    const { ports, shelf, snapshots, purger } = this.#parts;
    const { blocks } = ports;
    const { record, modified } = shelf.heldLiving(id);
    await this.#mustBeAs(record, base);
    const disk: DiskRecord = { ...record, size: draft.size };
    const reserved = promisedBlocks(disk);
    const more = reserved - promisedBlocks(record);
    if (more > 0) {
      await purger.withSpace(more * blockBytes, () => blocks.reserve(record.ref, reserved));
    }
    await blocks.snapshot([{ of: space, as: frozen }]);
    const revert: Intent = { op: 'revert', ref: record.ref, from: frozen, reserved };
    const revision = await this.#settle(
      begun,
      [
        { key: keys.disk(id), modified },
        { key: keys.intent(id), modified: 0n },
      ],
      [
        { key: intent, value: encodeIntent({ op: 'purge', ref: space }) },
        { key: keys.disk(id), value: encodeRecord(disk) },
        { key: keys.intent(id), value: encodeIntent(revert) },
        { key: keys.snapshot(draft.id), value: encodeSnapshot(draft) },
      ],
    );
    const snapshot = snapshots.put(draft, revision, 'created');
    await blocks.revert(record.ref, frozen);
    if (more < 0) await blocks.reserve(record.ref, reserved);
    await dropSpace(blocks, space);
    await shelf.commit(
      [
        { key: keys.intent(id), modified: revision },
        { key: intent, modified: revision },
      ],
      [
        { key: keys.intent(id), value: null },
        { key: intent, value: null },
      ],
    );
    return { disk: shelf.put(disk, revision, 'reverted'), snapshot };
  }
}

interface ImportParts {
  /** The space as a disk. */
  readonly volume: OpenVolume;
  /** Of the content that results. */
  readonly size: number;
  readonly base: SnapshotRecord | null;
  /** Of what the space holds at first. */
  readonly digest: Promise<string>;
  unwritten(block: number, count: number): Promise<{ mapped: boolean; count: number }>;
  finish(digest: string): Promise<Imported>;
  undo(): Promise<void>;
  release(): void;
}

/** An import under way: records come in order, then `finish`, or `abort` after any failure. */
export class Import {
  readonly #parts: ImportParts;
  #sum: ContentSum | null = null;
  readonly #inFlight = new Set<Promise<void>>();
  #error: StorageError | null = null;

  constructor(parts: ImportParts) {
    this.#parts = parts;
  }

  async put(record: Data | Hole): Promise<void> {
    const { volume, base } = this.#parts;
    const sum = await this.#begun();
    if (base !== null) {
      const length = record.type === 'data' ? record.data.length : record.length;
      await this.#forget(sum, record.offset, length);
    }
    if (record.type === 'data') {
      const { offset, data } = record;
      sum.add(offset, data);
      await this.#start((done) => volume.write(offset, data, done));
    } else {
      const { offset, length } = record;
      await this.#start((done) => volume.unmap(offset, length, done));
    }
  }

  async #begun(): Promise<ContentSum> {
    this.#sum ??= new ContentSum(await this.#parts.digest);
    return this.#sum;
  }

  /** What the base has there goes out of the sum. */
  async #forget(sum: ContentSum, offset: number, length: number): Promise<void> {
    const { volume } = this.#parts;
    const end = Math.min(offset + length, volume.record.size);
    for (let at = offset; at < end; ) {
      const extent = await this.#parts.unwritten(at / blockBytes, (end - at) / blockBytes);
      const bytes = Math.min(extent.count * blockBytes, limits.streamPieceBytes);
      const step = extent.mapped ? bytes : extent.count * blockBytes;
      if (extent.mapped) {
        const data = new Uint8Array(step);
        await called((done) => volume.read(at, step, data, 0, done));
        sum.subtract(at, data);
      }
      at += step;
    }
  }

  /** Several at once, each in a range of its own. */
  async #start(begin: (done: Done) => void): Promise<void> {
    if (this.#error !== null) throw this.#error;
    const call: Promise<void> = called(begin).then(
      () => void this.#inFlight.delete(call),
      (error: StorageError) => {
        this.#error ??= error;
        this.#inFlight.delete(call);
      },
    );
    this.#inFlight.add(call);
    if (this.#inFlight.size >= limits.importsInFlight) await Promise.race(this.#inFlight);
  }

  /** CORRUPT: what came is not what was exported. */
  async finish({ digest }: End): Promise<Imported> {
    const { base, size, volume } = this.#parts;
    const sum = await this.#begun();
    await Promise.all(this.#inFlight);
    if (this.#error !== null) throw this.#error;
    if (base !== null && base.size > size) {
      await this.#forget(sum, size, base.size - size);
      await called((done) => volume.unmap(size, base.size - size, done));
    }
    if (sum.toString() !== digest) {
      const text = 'import: the content is not the one that was exported';
      throw new StorageError('CORRUPT', text);
    }
    const imported = await this.#parts.finish(digest);
    this.#parts.release();
    return imported;
  }

  /** Nothing of it is left. */
  async abort(): Promise<void> {
    await Promise.all(this.#inFlight);
    await this.#parts.undo();
    this.#parts.release();
  }
}
