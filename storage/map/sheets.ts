/**
 * The sheets of a checkpoint: what it holds beside the pages of the map, 4 KiB each, in the log. A sheet
 * that has not changed stays where an earlier checkpoint wrote it. Checkpoint blocks say where each is
 * (contents.ts); the superblock says where those are.
 *
 *   kind 1  page table, see page-table.ts
 *   kind 2  live blocks of each segment, 16 bits, without those of sheets and checkpoint blocks
 *   kind 3  epochs and lines, 51 records of 20 words:
 *             word 0  number of the epoch, or of a line without epochs; 0: nothing
 *                  1  line
 *                  2  space that leads to it; 0: none
 *                  3  1 open, 2 frozen, 3 ghost, 4 doomed, 5 a line without epochs
 *                  4  number of its parent; 0: none
 *                  5  id of its root page; 0: it maps nothing
 *                  6  levels of its map
 *                  7  line that its line branched off; 0: none
 *                  8  and at which epoch
 *                  9  leaves that are done, 64 bits
 *                 11  promised blocks, 64 bits
 *                 13  blocks mapped, 64 bits
 *                 15  blocks of these that it wrote itself, 64 bits
 *                 17  pages that it made
 *                 18  0
 *                 19  0
 */
import { blockWords, getLong, setLong } from '../log/frame.ts';
import { Epoch, type EpochState, type Epochs, Line } from './epochs.ts';
import { heightMax } from './page.ts';

export const SheetKind = { pageTable: 1, live: 2, epochs: 3 } as const;
export type SheetKind = (typeof SheetKind)[keyof typeof SheetKind];

const recordWords = 20;
export const epochsPerSheet = Math.floor(blockWords / recordWords);
const states: readonly EpochState[] = ['open', 'frozen', 'ghost', 'doomed'];
const lineOnly = 5;

/** All epochs, and the lines that have none, parents before children. */
export function encodeEpochs(epochs: Epochs): Uint32Array[] {
  const sheets: Uint32Array[] = [];
  let count = 0;
  const record = (): { words: Uint32Array; at: number } => {
    if (count % epochsPerSheet === 0) sheets.push(new Uint32Array(blockWords));
    const at = (count % epochsPerSheet) * recordWords;
    count += 1;
    return { words: sheets.at(-1)!, at };
  };
  for (const line of epochs.lines.values()) {
    if (line.epochs.length > 0) continue;
    const { words, at } = record();
    words[at] = line.id;
    words[at + 3] = lineOnly;
    encodeLine(words, at, line);
  }
  for (const epoch of epochs.byNumber.values()) {
    const { words, at } = record();
    encodeEpoch(words, at, epoch);
  }
  if (sheets.length === 0) sheets.push(new Uint32Array(blockWords));
  return sheets;
}

function encodeLine(words: Uint32Array, at: number, line: Line): void {
  words[at + 1] = line.id;
  words[at + 7] = line.from?.id ?? 0;
  words[at + 8] = line.fromEpoch;
}

function encodeEpoch(words: Uint32Array, at: number, epoch: Epoch): void {
  words[at] = epoch.number;
  words[at + 2] = epoch.ref;
  words[at + 3] = states.indexOf(epoch.state) + 1;
  words[at + 4] = epoch.parent?.number ?? 0;
  words[at + 5] = epoch.root;
  words[at + 6] = epoch.height;
  encodeLine(words, at, epoch.line);
  setLong(words, at + 9, epoch.cursor);
  setLong(words, at + 11, epoch.reserved);
  setLong(words, at + 13, epoch.mapped);
  setLong(words, at + 15, epoch.own);
  words[at + 17] = epoch.pages;
}

/** Fill `epochs`; false: the sheets contradict themselves. */
export function decodeEpochs(sheets: readonly Uint32Array[], epochs: Epochs): boolean {
  const records: { words: Uint32Array; at: number }[] = [];
  for (const words of sheets) {
    for (let at = 0; at + recordWords <= blockWords; at += recordWords) {
      if (words[at] !== 0) records.push({ words, at });
    }
  }
  return decodeLines(records, epochs) && decodeStates(records, epochs);
}

interface Recorded {
  readonly words: Uint32Array;
  readonly at: number;
}

/** Lines rise like epochs: one that is branched off has a higher number. */
function decodeLines(records: readonly Recorded[], epochs: Epochs): boolean {
  const lines = new Map<number, { from: number; fromEpoch: number }>();
  for (const { words, at } of records) {
    lines.set(words[at + 1]!, { from: words[at + 7]!, fromEpoch: words[at + 8]! });
  }
  for (const [id, { from, fromEpoch }] of [...lines].sort(([a], [b]) => a - b)) {
    const before = from === 0 ? null : epochs.lines.get(from);
    if (before === undefined || from >= id) return false;
    epochs.lines.set(id, new Line(id, before, fromEpoch));
  }
  return true;
}

function decodeStates(records: readonly Recorded[], epochs: Epochs): boolean {
  const found = records.filter(({ words, at }) => words[at + 3] !== lineOnly);
  found.sort((a, b) => a.words[a.at]! - b.words[b.at]!);
  for (const { words, at } of found) {
    const [number, line, ref] = [words[at]!, words[at + 1]!, words[at + 2]!];
    const state = states[words[at + 3]! - 1];
    const parent = words[at + 4] === 0 ? null : epochs.byNumber.get(words[at + 4]!);
    if (state === undefined || parent === undefined || number < line) return false;
    if (epochs.byNumber.has(number) || (ref !== 0 && epochs.byRef.has(ref))) return false;
    if ((ref === 0) !== (state === 'ghost' || state === 'doomed')) return false;
    const epoch = new Epoch(number, epochs.lines.get(line)!, ref, state);
    epoch.root = words[at + 5]!;
    epoch.height = words[at + 6]!;
    if (epoch.height > heightMax || (epoch.root === 0) !== (epoch.height === 0)) return false;
    epoch.cursor = getLong(words, at + 9);
    epoch.reserved = getLong(words, at + 11);
    epoch.mapped = getLong(words, at + 13);
    epoch.own = getLong(words, at + 15);
    epoch.pages = words[at + 17]!;
    epochs.adopt(epoch, parent);
  }
  return true;
}
