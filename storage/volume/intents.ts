/**
 * Changes of a disk that touch both the Directory and the blocks, and so cannot be one transaction:
 * an intent is written first and taken away last. Whoever opens the store after a crash finishes or
 * undoes what it finds, so that neither side knows of something the other does not.
 *
 *   create  undone: the space is dropped and the name is free again; nobody was told of the disk
 *   purge   finished: the record is gone already, the space is dropped
 *   trim    finished: blocks past the end of a shrunk disk are unmapped, so that growing it again
 *           shows zeros
 *   spaces  undone: spaces that were to become snapshots or an imported disk are dropped, names are free again
 *   revert  finished: the space goes back to what the snapshot holds, whose size the record has already
 *
 * Directory keys: disk/<id> record, name/<name> the id of the living disk of that name, snapshot/<id> record,
 * snapshot-name/<disk id>/<name> the id of that disk's snapshot of that name, intent/<id> at most one per disk or
 * snapshot, counter/ref the next address space.
 */
import { called } from '../base/called.ts';
import { StorageError } from '../base/errors.ts';
import type { Blocks } from '../map/blocks.ts';
import { decodeJson, encodeJson, isId, isWhole, nameFault } from './record.ts';

export const keys = {
  disk: (id: string): string => `disk/${id}`,
  name: (name: string): string => `name/${name}`,
  snapshot: (id: string): string => `snapshot/${id}`,
  snapshotName: (disk: string, name: string): string => `snapshot-name/${disk}/${name}`,
  intent: (id: string): string => `intent/${id}`,
  ref: 'counter/ref',
} as const;

export type Intent =
  | { readonly op: 'create'; readonly ref: number; readonly name: string }
  | { readonly op: 'purge'; readonly ref: number }
  /** Blocks `from`…`to`-1 are past the end; `reserved` is what stays promised. */
  | {
      readonly op: 'trim';
      readonly ref: number;
      readonly from: number;
      readonly to: number;
      readonly reserved: number;
    }
  /** `names`: keys that were taken, and for whom. */
  | {
      readonly op: 'spaces';
      readonly refs: readonly number[];
      readonly names: readonly { readonly key: string; readonly id: string }[];
    }
  | {
      readonly op: 'revert';
      readonly ref: number;
      readonly from: number;
      readonly reserved: number;
    };

const intentVersion = 1;

export function encodeIntent(intent: Intent): Uint8Array {
  return encodeJson({ version: intentVersion, ...intent });
}

export function decodeIntent(bytes: Uint8Array, what: string): Intent {
  const fields = decodeJson(bytes, intentVersion, what);
  const whole = (field: string): number => {
    const value = fields[field];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw new StorageError('CORRUPT', `${what}: bad ${field}`);
    }
    return value;
  };
  const { op, name } = fields;
  switch (op) {
    case 'create':
      if (typeof name !== 'string' || nameFault(name) !== null) break;
      return { op, ref: whole('ref'), name };
    case 'purge':
      return { op, ref: whole('ref') };
    case 'trim':
      return {
        op,
        ref: whole('ref'),
        from: whole('from'),
        to: whole('to'),
        reserved: whole('reserved'),
      };
    case 'revert':
      return { op, ref: whole('ref'), from: whole('from'), reserved: whole('reserved') };
    case 'spaces': {
      const { refs, names } = fields;
      if (!Array.isArray(refs) || !refs.every(isWhole)) break;
      if (!Array.isArray(names) || !names.every(isTakenName)) break;
      return { op, refs, names: names.map(({ key, id }) => ({ key, id })) };
    }
  }
  throw new StorageError('CORRUPT', `${what}: unknown intent`);
}

function isTakenName(value: unknown): value is { key: string; id: string } {
  const { key, id } = Object(value) as Record<string, unknown>;
  return typeof key === 'string' && /^(?:snapshot-)?name\//.test(key) && isId(id);
}

/** Drop a space if it is there, after everything that was accepted for it has ended. */
export async function dropSpace(blocks: Blocks, ref: number): Promise<void> {
  if (!blocks.refs().includes(ref)) return;
  await flushed(blocks, ref);
  await blocks.drop(ref);
}

export function flushed(blocks: Blocks, ref: number): Promise<void> {
  return called((done) => blocks.flush(done, ref));
}

export function unmapped(blocks: Blocks, ref: number, block: number, count: number): Promise<void> {
  return called((done) => blocks.unmap(ref, block, count, done));
}
