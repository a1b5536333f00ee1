/**
 * The verbs export and import: streams of snapshots out of the store and into it, with the targets that go with
 * them. A stream takes long, so it holds up no other verb; what it needs is checked again at its end.
 */
import type { Serial } from '#storage/base/serial.ts';
import type { Catalog } from '#storage/volume/catalog.ts';
import type { Imported } from '#storage/volume/import.ts';
import type { Begin } from '#storage/volume/stream-format.ts';
import type { ImportTarget } from '#storage/volume/transfer.ts';
import type { DiskView } from './disk-view.ts';
import type { Disks } from './disks.ts';
import { PetalError } from './errors.ts';
import type { Exposure } from './exposure.ts';
import { livingDisk, snapshotNamed } from './find.ts';
import type { Log } from './log.ts';
import type { SnapshotView } from './snapshot-view.ts';
import type { SnapshotVerbs } from './snapshots.ts';

/** What this needs of a storage server. */
export interface TransferStore {
  readonly catalog: Catalog;
  export(snapshot: string, base: string | null): AsyncGenerator<Uint8Array>;
  import(
    source: AsyncIterable<Uint8Array>,
    into: (begin: Begin) => ImportTarget,
  ): Promise<Imported>;
}

export interface TransfersPorts {
  readonly store: TransferStore;
  readonly disks: Disks;
  readonly snapshots: SnapshotVerbs;
  readonly exposure: Exposure;
  readonly verbs: Serial;
  readonly log: Log;
}

export interface Export {
  /** `DISK@SNAPSHOT`, made for this when a disk was asked for. */
  readonly snapshot: string;
  /** What the snapshot holds, in bytes: about what a full stream carries. */
  readonly bytes: number;
  readonly stream: AsyncIterable<Uint8Array>;
}

export interface ImportOptions {
  readonly reserved?: boolean;
  readonly sanitize?: boolean;
}

export interface ImportView {
  readonly disk: DiskView;
  readonly snapshot: SnapshotView;
}

export class Transfers {
  readonly #ports: TransfersPorts;

  constructor(ports: TransfersPorts) {
    this.#ports = ports;
  }

  get #catalog(): Catalog {
    return this.#ports.store.catalog;
  }

  /** Of a snapshot, or of a disk: then a snapshot is made first. What fails before the first byte is thrown here. */
  async export(source: string, from: string | null): Promise<Export> {
    const { store, snapshots, log } = this.#ports;
    const name = await snapshots.orNew(source, 'export');
    const snapshot = snapshotNamed(this.#catalog, name);
    const base = from === null ? null : this.#baseOf(snapshot.disk, from);
    const stream = store.export(snapshot.id, base);
    const first = await stream.next();
    log.info({ snapshot: name, from }, 'export begins');
    return { snapshot: name, bytes: snapshots.show(name).used, stream: resumed(first, stream) };
  }

  /** `SNAPSHOT` of the same disk, or `DISK@SNAPSHOT`. */
  #baseOf(disk: string, from: string): string {
    const own = this.#catalog.snapshots.find(disk, from);
    return (own ?? snapshotNamed(this.#catalog, from)).id;
  }

  /** A full stream makes a disk of that name, an increment goes onto the one that is there. */
  async import(
    name: string,
    source: AsyncIterable<Uint8Array>,
    options: ImportOptions,
  ): Promise<ImportView> {
    const { store, disks, snapshots, log, verbs, exposure } = this.#ports;
    let release = (): void => {};
    try {
      const { disk, snapshot } = await store.import(source, (begin) => {
        if (begin.base !== null) return { disk: this.#unused(name) };
        const attributes = disks.firstAttributes(name);
        release = exposure.reserveNames(attributes);
        const { reserved = false, sanitize: erasable = false } = options;
        return { made: { name, reserved, erasable, attributes } };
      });
      log.info({ disk: disk.name, snapshot: snapshot.name }, 'imported');
      return await verbs.run(async () => ({
        disk: exposure.isExposed(disk.id) ? disks.show(disk.id) : disks.adopt(disk),
        snapshot: snapshots.show(snapshot.id),
      }));
    } finally {
      release();
    }
  }

  #unused(name: string): string {
    const record = livingDisk(this.#catalog, name);
    const [session] = this.#ports.exposure.sessionsOf(record);
    if (session === undefined) return record.id;
    const who = `${session.initiator} at ${session.address}`;
    throw new PetalError('IN_USE', `disk '${name}' is used by ${who}; log out there first`);
  }
}

async function* resumed(
  first: IteratorResult<Uint8Array>,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    if (first.done !== true) yield first.value;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
