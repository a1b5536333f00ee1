/**
 * Streams out of a store and into it: the snapshots concerned stay while they are read, and an import that does not
 * end well leaves nothing.
 */
import { StorageError } from '../base/errors.ts';
import type { ImageBlocks } from '../map/images.ts';
import type { Catalog } from './catalog.ts';
import { exportStream } from './export.ts';
import type { Import, Imported, ImportedDisk } from './import.ts';
import type { SnapshotRecord } from './snapshot.ts';
import { type Begin, readStream } from './stream-format.ts';

/** A disk that is there, by id, or one to be made. */
export type ImportTarget = { readonly disk: string } | { readonly made: ImportedDisk };

/** NOT_FOUND; what else is wrong shows when the stream is read. */
export function exportFrom(
  catalog: Catalog,
  blocks: ImageBlocks,
  snapshot: string,
  base: string | null,
): AsyncGenerator<Uint8Array> {
  const { snapshots } = catalog;
  const record = snapshots.get(snapshot);
  const from = base === null ? null : snapshots.get(base);
  if (record === null || (base !== null && from === null)) {
    throw new StorageError('NOT_FOUND', 'there is no such snapshot');
  }
  const learned = ({ id }: SnapshotRecord, digest: string) => snapshots.setDigest(id, digest);
  const releases = [record, ...(from === null ? [] : [from])].map(({ id }) => snapshots.read(id));
  const disk = catalog.get(record.disk)!.name;
  return guarded(exportStream({ blocks, learned }, disk, record, from), () => {
    for (const release of releases) release();
  });
}

/** `still` holds the changes of a disk until the function that it gives is called. */
export async function importInto(
  { imports }: Catalog,
  still: (id: string) => Promise<() => void>,
  source: AsyncIterable<Uint8Array>,
  into: (begin: Begin) => ImportTarget,
): Promise<Imported> {
  let under: Import | null = null;
  let disk: string | null = null;
  try {
    for await (const record of readStream(source)) {
      if (record.type === 'begin') {
        const where = into(record);
        if ('disk' in where) {
          disk = where.disk;
          under = await imports.into(record, where.disk);
        } else under = await imports.intoNew(record, where.made);
      } else if (record.type !== 'end') await under!.put(record);
      else {
        const release = disk === null ? () => {} : await still(disk);
        try {
          return await under!.finish(record);
        } finally {
          release();
        }
      }
    }
    throw new StorageError('CORRUPT', 'import: the stream has no end');
  } catch (error) {
    await under?.abort();
    throw error;
  }
}

/** `end` is called once, whether the generator was read to its end or given up before it began. */
function guarded<T>(from: AsyncGenerator<T>, end: () => void): AsyncGenerator<T> {
  let ended = false;
  const over = () => {
    if (!ended) end();
    ended = true;
  };
  return {
    next: async () => {
      try {
        const result = await from.next();
        if (result.done === true) over();
        return result;
      } catch (error) {
        over();
        throw error;
      }
    },
    return: async (value) => {
      over();
      return await from.return(value);
    },
    throw: async (error) => {
      over();
      return await from.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      over();
      await from.return(undefined);
    },
  };
}
