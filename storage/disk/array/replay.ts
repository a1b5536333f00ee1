/**
 * After a crash: segments whose parity was not durable are found by the journals, put where they
 * belong once more, and get their parity. Doing it twice changes nothing.
 *
 * Of a segment the records of its newest life count, which begins with its first block. Where that
 * record is gone it was written over, which happens only after the parity was durable. Blocks of a
 * lost disk come from the records; behind the last group they count as zeros, as they do when a
 * segment is sealed.
 */
import type { ArrayDisk } from './array.ts';
import {
  blockBytes,
  columnPlace,
  parityPlace,
  piecesOf,
  segmentBlocks,
  segmentBytes,
} from './geometry.ts';
import type { JournalRecord } from './journal-record.ts';

interface Life {
  readonly records: { readonly record: JournalRecord; readonly data: Uint8Array }[];
}

export async function replay(array: ArrayDisk): Promise<void> {
  const { members, zones } = array;
  for (const member of members.alive()) {
    const { journal } = member;
    if (journal === null) continue;
    const { records, bytes } = await journal.read();
    const lives = new Map<number, Life>();
    for (const record of records) {
      const segment = Math.floor(record.block / segmentBlocks);
      if (record.block % segmentBlocks === 0) lives.set(segment, { records: [] });
      const from = (record.at + 1) * blockBytes;
      const data = bytes.subarray(from, from + record.blocks * blockBytes);
      lives.get(segment)?.records.push({ record, data });
    }
    for (const [segment, life] of lives) {
      if (segment < 1 || segment * segmentBytes >= zones.size || !zones.isFormed(segment)) continue;
      const place = parityPlace(zones.shape, zones.indexOf(segment));
      // Its parity may have moved: then the other disk's journal has the segment.
      if (zones.place(segment, place)?.member !== member) continue;
      await complete(array, segment, life);
    }
  }
  for (const member of members.alive()) {
    if (member.journal === null) continue;
    const { offset, front } = await member.journal.mark();
    await members.put(member, offset, [front], true);
  }
}

async function complete(array: ArrayDisk, segment: number, { records }: Life): Promise<void> {
  const { zones, copies, unsealed } = array;
  const whole = Buffer.alloc(segmentBytes);
  for (const piece of piecesOf(zones.shape, 0, segmentBlocks)) {
    const place = columnPlace(zones.shape, zones.indexOf(segment), piece.column);
    const target = zones.place(segment, place);
    const into = whole.subarray(piece.at * blockBytes, (piece.at + piece.blocks) * blockBytes);
    if (target !== null) await readable(copies, target, into);
  }
  for (const { record, data } of records) {
    whole.set(data, (record.block % segmentBlocks) * blockBytes);
  }
  for (const { record, data } of records) {
    await unsealed.writeBlocks(segment, record.block % segmentBlocks, [data]);
  }
  await unsealed.writeParity(segment, whole);
}

type Reader = ArrayDisk['copies'];

/** A column; blocks that cannot be read are zeros, and the records say what they were. */
async function readable(
  copies: Reader,
  target: Parameters<Reader['readAt']>[0],
  into: Uint8Array,
): Promise<void> {
  await copies.readAt(target, 0, into).catch(async () => {
    for (let at = 0; at < into.length; at += blockBytes) {
      const block = into.subarray(at, at + blockBytes);
      await copies.readAt(target, at / blockBytes, block).catch(() => block.fill(0));
    }
  });
}
