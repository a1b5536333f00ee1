/**
 * A snapshot as a stream (stream-format.ts): all of it, or what differs from an earlier snapshot. Blocks of zeros are
 * not sent. Nothing is read ahead of whoever takes the stream.
 */
import { called } from '../base/called.ts';
import { StorageError } from '../base/errors.ts';
import { type Blocks, blockBytes } from '../map/blocks.ts';
import type { ImageBlocks } from '../map/images.ts';
import { ContentSum, isZero } from './content-sum.ts';
import { limits } from './limits.ts';
import { SealedBlocks } from './sealed-blocks.ts';
import type { SnapshotRecord } from './snapshot.ts';
import { StreamWriter } from './stream-format.ts';

export interface ExportPorts {
  readonly blocks: ImageBlocks;
  /** The digest of all of the content was computed on the way. */
  learned(snapshot: SnapshotRecord, digest: string): Promise<unknown>;
}

/** `disk`: its name, for the stream. */
export async function* exportStream(
  ports: ExportPorts,
  disk: string,
  snapshot: SnapshotRecord,
  base: SnapshotRecord | null,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (base !== null) mustFollow(snapshot, base);
  const writer = new StreamWriter();
  const { size, content, created, name } = snapshot;
  const sectorBytes = snapshot.sectorBytes === 4096 ? 4096 : 512;
  const from =
    base === null ? null : { content: base.content, digest: await digestOf(ports, base) };
  yield writer.begin({ size, sectorBytes, content, created, disk, snapshot: name, base: from });
  const sum = new ContentSum(from?.digest);
  const images = ports.blocks;
  if (base === null) yield* allOf(new Reader(images, snapshot), writer, sum);
  else
    yield* changesOf(images, new Reader(images, snapshot), new Reader(images, base), writer, sum);
  const digest = sum.toString();
  await ports.learned(snapshot, digest);
  yield writer.end(digest);
}

function mustFollow(snapshot: SnapshotRecord, base: SnapshotRecord): void {
  if (base.sectorBytes !== snapshot.sectorBytes) {
    throw new StorageError('INVALID', 'the two snapshots have sectors of different sizes');
  }
  if (base.id !== snapshot.id) return;
  throw new StorageError('INVALID', 'a snapshot does not differ from itself');
}

/** All of the content is read when nobody has yet. */
export async function digestOf(ports: ExportPorts, snapshot: SnapshotRecord): Promise<string> {
  if (snapshot.digest !== null) return snapshot.digest;
  const sum = new ContentSum();
  for await (const _ of allOf(new Reader(ports.blocks, snapshot), null, sum));
  const digest = sum.toString();
  await ports.learned(snapshot, digest);
  return digest;
}

/** Reads a content in whole blocks; what is past its end is zeros. */
class Reader {
  readonly ref: number;
  readonly blocks: number;
  readonly #store: Blocks;
  readonly #plain: Blocks;

  constructor(store: Blocks, { ref, size, cipherKey }: SnapshotRecord) {
    this.ref = ref;
    this.blocks = size / blockBytes;
    this.#store = store;
    this.#plain = cipherKey === undefined ? store : new SealedBlocks(store, cipherKey);
  }

  async read(block: number, count: number): Promise<Uint8Array> {
    const data = new Uint8Array(count * blockBytes);
    const inside = Math.min(count, this.blocks - block);
    if (inside <= 0) return data;
    await called((done) => this.#plain.read(this.ref, block, inside, data, 0, done));
    return data;
  }

  /** Runs of mapped blocks in pieces, in order. */
  async *pieces(): AsyncGenerator<{ block: number; count: number }> {
    for (let at = 0; at < this.blocks; ) {
      const { mapped, count } = await this.#store.extent(this.ref, at, this.blocks - at);
      for (let done = 0; mapped && done < count; done += pieceBlocks) {
        yield { block: at + done, count: Math.min(pieceBlocks, count - done) };
      }
      at += count;
    }
  }
}

const pieceBlocks = limits.streamPieceBytes / blockBytes;

/** Without a writer only for the sum. */
async function* allOf(
  reader: Reader,
  writer: StreamWriter | null,
  sum: ContentSum,
): AsyncGenerator<Uint8Array> {
  for await (const { block, count } of reader.pieces()) {
    const data = await reader.read(block, count);
    sum.add(block * blockBytes, data);
    if (writer === null) continue;
    for (const [from, to] of runs(count, (at) => !isZero(blockOf(data, at)))) {
      const part = data.subarray(from * blockBytes, to * blockBytes);
      yield writer.data((block + from) * blockBytes, part);
    }
  }
}

async function* changesOf(
  images: ImageBlocks,
  now: Reader,
  before: Reader,
  writer: StreamWriter,
  sum: ContentSum,
): AsyncGenerator<Uint8Array> {
  const end = Math.max(now.blocks, before.blocks);
  for (let at = 0; at < end; ) {
    const answer = await images.difference(now.ref, before.ref, at, end - at);
    const count = answer.differs ? Math.min(answer.count, pieceBlocks) : answer.count;
    if (answer.differs) yield* changed(now, before, at, count, writer, sum);
    at += count;
  }
}

async function* changed(
  now: Reader,
  before: Reader,
  block: number,
  count: number,
  writer: StreamWriter,
  sum: ContentSum,
): AsyncGenerator<Uint8Array> {
  const [data, old] = await Promise.all([now.read(block, count), before.read(block, count)]);
  const offset = block * blockBytes;
  sum.subtract(offset, old);
  sum.add(offset, data);
  const inside = Math.min(count, now.blocks - block);
  const differs = (at: number): boolean =>
    Buffer.compare(blockOf(data, at), blockOf(old, at)) !== 0;
  for (const [from, to] of runs(inside, differs)) {
    // Within the run, stretches of data and of zeros take turns.
    for (let at = from; at < to; ) {
      const zero = isZero(blockOf(data, at));
      let next = at + 1;
      while (next < to && isZero(blockOf(data, next)) === zero) next++;
      const start = (block + at) * blockBytes;
      const part = data.subarray(at * blockBytes, next * blockBytes);
      yield zero ? writer.hole(start, part.length) : writer.data(start, part);
      at = next;
    }
  }
}

const blockOf = (data: Uint8Array, at: number): Uint8Array =>
  data.subarray(at * blockBytes, (at + 1) * blockBytes);

/** Stretches of numbers below `count` of which `wanted` is true, as from…to-1. */
function* runs(count: number, wanted: (at: number) => boolean): Generator<[number, number]> {
  for (let from = 0; from < count; from++) {
    if (!wanted(from)) continue;
    let to = from + 1;
    while (to < count && wanted(to)) to++;
    yield [from, to];
    from = to;
  }
}
