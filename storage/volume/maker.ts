/**
 * Makes virtual disks: empty ones and clones of snapshots. A record and its space appear together or not at all
 * (the intent `create`). Its caller serialises it with the other changes of the catalog.
 */
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Revision } from '../cluster/directory.ts';
import { blockBytes } from '../map/blocks.ts';
import type { ImageBlocks } from '../map/images.ts';
import { dropSpace, encodeIntent, flushed, keys } from './intents.ts';
import { limits } from './limits.ts';
import { encodeName } from './load.ts';
import type { Purger } from './purger.ts';
import { attributesFault, encodeRecord, nameFault, refuse, sizeFault } from './record.ts';
import type { Refs } from './refs.ts';
import { cipherKeyBytes } from './sealed-blocks.ts';
import type { Shelf } from './shelf.ts';
import type { SnapshotRecord } from './snapshot.ts';
import type { DiskRecord } from './volume.ts';

export interface NewDisk {
  readonly name: string;
  /** Bytes, a multiple of 4096. */
  readonly size: number;
  /** Default 512. */
  readonly sectorBytes?: 512 | 4096;
  /** Thick: room for every block is promised. Default false. */
  readonly reserved?: boolean;
  /** Its blocks are sealed under a key of its own, so that it can be erased. Default false. */
  readonly erasable?: boolean;
  readonly attributes?: Readonly<Record<string, string>>;
}

export type NewClone = Pick<NewDisk, 'name' | 'reserved' | 'attributes'>;

export interface MakerPorts {
  readonly blocks: ImageBlocks;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Maker {
  readonly #ports: MakerPorts;
  readonly #shelf: Shelf;
  readonly #purger: Purger;
  readonly #refs: Refs;

  constructor(ports: MakerPorts, shelf: Shelf, purger: Purger, refs: Refs) {
    this.#ports = ports;
    this.#shelf = shelf;
    this.#purger = purger;
    this.#refs = refs;
  }

  newId(): string {
    return Buffer.from(this.#ports.random.bytes(16)).toString('hex');
  }

  newKey(): string {
    return Buffer.from(this.#ports.random.bytes(cipherKeyBytes)).toString('hex');
  }

  /** Everything of a new disk but its space. INVALID, EXISTS. */
  draft(wanted: NewDisk): Omit<DiskRecord, 'ref'> {
    checkNew(wanted);
    this.#shelf.checkOpen();
    this.#shelf.checkNameFree(wanted.name);
    if (this.#shelf.size >= limits.disks) {
      throw new StorageError('INVALID', `a store holds at most ${limits.disks} disks`);
    }
    return {
      id: this.newId(),
      name: wanted.name,
      size: wanted.size,
      sectorBytes: wanted.sectorBytes ?? 512,
      physicalSectorBytes: 4096,
      reserved: wanted.reserved ?? false,
      created: this.#ports.clock.wall(),
      removed: null,
      ...(wanted.erasable === true ? { cipherKey: this.newKey() } : {}),
      attributes: Object.freeze({ ...wanted.attributes }),
    };
  }

  async create(wanted: NewDisk): Promise<DiskRecord> {
    const { blocks } = this.#ports;
    const draft = this.draft(wanted);
    return await this.#make(draft, (ref, promised) => blocks.create(ref, promised));
  }

  /** As the snapshot, whose key it needs, and with the origin told. */
  async clone(from: SnapshotRecord, origin: string, wanted: NewClone): Promise<DiskRecord> {
    const images = this.#ports.blocks;
    const { size, family, cipherKey } = from;
    const sectorBytes = from.sectorBytes === 4096 ? 4096 : 512;
    const draft = {
      ...this.draft({ ...wanted, size, sectorBytes }),
      ...(cipherKey === undefined ? {} : { cipherKey }),
      family,
      origin: { snapshot: from.id, name: origin },
    };
    return await this.#make(draft, (ref, promised) => images.clone(from.ref, ref, promised));
  }

  async #make(
    draft: Omit<DiskRecord, 'ref'>,
    space: (ref: number, promised: number) => Promise<void>,
  ): Promise<DiskRecord> {
    const taken = this.#refs.take(1);
    const { id, ...rest } = draft;
    const ref = taken.refs[0]!;
    const record: DiskRecord = { id, ref, ...rest };
    const { name } = record;
    const began = await this.#shelf.commit(
      [
        taken.compare,
        { key: keys.name(name), modified: 0n },
        { key: keys.disk(id), modified: 0n },
        { key: keys.intent(id), modified: 0n },
      ],
      [
        taken.mutate,
        { key: keys.name(name), value: encodeName(id) },
        { key: keys.intent(id), value: encodeIntent({ op: 'create', ref, name }) },
      ],
    );
    taken.took(began);
    try {
      const promised = promisedBlocks(record);
      await this.#purger.withSpace(promised * blockBytes, () => space(ref, promised));
      await flushed(this.#ports.blocks, ref);
    } catch (error) {
      await this.#undo(record, began);
      throw error;
    }
    const modified = await this.#shelf.commit(
      [{ key: keys.intent(id), modified: began }],
      [
        { key: keys.disk(id), value: encodeRecord(record) },
        { key: keys.intent(id), value: null },
      ],
    );
    return this.#shelf.put(record, modified, 'created');
  }

  /** What cannot be undone now (the disk failed) is undone at the next open. */
  async #undo(record: DiskRecord, began: Revision): Promise<void> {
    const { blocks, log } = this.#ports;
    try {
      await dropSpace(blocks, record.ref);
      await this.#shelf.commit(
        [{ key: keys.intent(record.id), modified: began }],
        [
          { key: keys.name(record.name), value: null },
          { key: keys.intent(record.id), value: null },
        ],
      );
    } catch (err) {
      log.warn({ err, disk: record.name }, 'a disk that could not be made is undone at next start');
    }
  }
}

function checkNew(wanted: NewDisk): void {
  const subject = `disk "${wanted.name}"`;
  refuse(subject, nameFault(wanted.name));
  refuse(subject, sizeFault(wanted.size));
  refuse(subject, attributesFault(wanted.attributes ?? {}));
  const { sectorBytes = 512 } = wanted;
  if (sectorBytes !== 512 && sectorBytes !== 4096) refuse('sector size', '512 or 4096 bytes');
}

export const promisedBlocks = (record: Pick<DiskRecord, 'reserved' | 'size'>): number =>
  record.reserved ? record.size / blockBytes : 0;
