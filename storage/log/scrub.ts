/**
 * Scrubbing: every segment that holds something is read again within a set period, before a second
 * fault meets a first one that nobody has seen. Each group is followed from the segment's front, by
 * its header, sequence and the checksum of the header before it; each block is verified. What does
 * not match is had in another way and written anew; then all other copies, or the parity, are
 * compared with it as well. What no disk can give is reported.
 */
import type { Clock } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Disk } from '../disk/disk.ts';
import {
  type Entry,
  type GroupHeader,
  readEntries,
  readGroupHeader,
  readSegmentHeader,
} from './format.ts';
import { blockWords, wordsOf } from './frame.ts';
import { SegmentImage } from './image.ts';
import { mend, mendEntries } from './mend.ts';
import { SegmentState, type Segments } from './segments.ts';

export interface ScrubPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly segments: Segments;
  readonly storeId: Uint32Array;
  readonly log: Log;
}

/** Times in milliseconds since 1970 UTC. */
export interface ScrubState {
  /** Segments before this one were looked at in this pass. */
  readonly next: number;
  /** When this pass began; null: none is under way. */
  readonly begun: number | null;
  /** When the last whole pass ended; null: there was none. */
  readonly ended: number | null;
  /** Of this pass, or the last one. */
  readonly segments: number;
  readonly blocks: number;
  readonly repaired: number;
  /** Blocks that no disk can give. They may belong to data that was overwritten since. */
  readonly bad: number;
}

export const neverScrubbed: ScrubState = {
  next: 1,
  begun: null,
  ended: null,
  segments: 0,
  blocks: 0,
  repaired: 0,
  bad: 0,
};

export class Scrubber {
  readonly #ports: ScrubPorts;
  #state: ScrubState = neverScrubbed;
  #periodMs = 0;
  #hurry = false;
  #stopped = false;
  #running: Promise<void> | null = null;
  #cancel: (() => void) | null = null;
  #savedAt = 0;
  /** Keep the state, so that a pass goes on after a restart. */
  save: (state: ScrubState) => Promise<void> = async () => {};

  constructor(ports: ScrubPorts) {
    this.#ports = ports;
  }

  get state(): ScrubState {
    return this.#state;
  }

  /** When the next segment is looked at by itself is set by this; 0: only when asked. */
  schedule(state: ScrubState, periodMs: number): void {
    this.#state = state;
    this.#periodMs = periodMs;
    if (state.begun !== null || periodMs > 0) this.#sleep();
  }

  /** A pass from now on, or the rest of the one under way, without rests but for the disk's sake. */
  start(): void {
    this.#hurry = true;
    if (this.#state.begun === null) this.#begin();
    this.#cancel?.();
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#running;
    if (this.#state.begun !== null) await this.#keep();
  }

  #begin(): void {
    const { ended } = this.#state;
    this.#state = { ...neverScrubbed, ended, begun: this.#ports.clock.wall() };
  }

  /** Spread over the period, so that each segment has its turn once in it. */
  #sleep(): void {
    if (this.#stopped) return;
    const { clock, segments } = this.#ports;
    const { begun, ended } = this.#state;
    const gentle = Math.min(this.#periodMs / Math.max(1, segments.count), limits.scrubRestMsMax);
    let rest = this.#hurry ? limits.scrubRestMsMin : gentle;
    if (begun === null && ended !== null) rest = ended + this.#periodMs - clock.wall();
    const delay = Math.max(limits.scrubRestMsMin, Math.min(rest, limits.scrubRestMsMax));
    this.#cancel = clock.after(delay, () => this.#wake());
  }

  #wake(): void {
    this.#cancel = null;
    if (this.#running !== null || this.#stopped) return;
    const { begun, ended } = this.#state;
    if (begun === null) {
      const due = ended === null || ended + this.#periodMs <= this.#ports.clock.wall();
      if (!due) {
        this.#sleep();
        return;
      }
      this.#begin();
    }
    this.#running = this.#turn()
      .catch((err: unknown) => {
        // The disk as a whole cannot be read: who uses it hears of that.
        this.#ports.log.error({ err }, 'scrubbing has stopped for now');
        this.#hurry = false;
      })
      .finally(() => {
        this.#running = null;
        if (this.#state.begun !== null || this.#periodMs > 0) this.#sleep();
      });
  }

  /** One segment, or the end. */
  async #turn(): Promise<void> {
    const { segments } = this.#ports;
    let { next } = this.#state;
    while (next <= segments.count && !isFull(segments, next)) next += 1;
    if (next > segments.count) {
      await this.#finish(next);
      return;
    }
    segments.hold(next);
    try {
      const found = await scrubSegment(this.#ports, next);
      const { blocks, repaired, bad, segments: before } = this.#state;
      this.#state = {
        ...this.#state,
        next: next + 1,
        segments: before + 1,
        blocks: blocks + found.blocks,
        repaired: repaired + found.repaired,
        bad: bad + found.bad,
      };
    } finally {
      segments.letGo(next);
    }
    const { clock } = this.#ports;
    if (clock.now() - this.#savedAt >= limits.scrubSaveMs) await this.#keep();
  }

  async #finish(next: number): Promise<void> {
    const { clock, log } = this.#ports;
    this.#hurry = false;
    this.#state = { ...this.#state, next, begun: null, ended: clock.wall() };
    const { segments, blocks, repaired, bad } = this.#state;
    const facts = { segments, blocks, repaired, bad };
    if (bad > 0) log.error(facts, 'the store was scrubbed: blocks are damaged for good');
    else log.info(facts, 'the store was scrubbed');
    await this.#keep();
  }

  async #keep(): Promise<void> {
    this.#savedAt = this.#ports.clock.now();
    try {
      await this.save(this.#state);
    } catch (err) {
      this.#ports.log.warn({ err }, 'how far scrubbing is cannot be kept');
    }
  }
}

/** Whether all of a segment is on disk, and something of it may be needed. */
function isFull(segments: Segments, segment: number): boolean {
  const state = segments.state(segment);
  if (state === SegmentState.free || state === SegmentState.open) return false;
  return segments.live(segment) > 0;
}

/** The caller holds the segment. */
async function scrubSegment(
  ports: ScrubPorts,
  segment: number,
): Promise<{ blocks: number; repaired: number; bad: number }> {
  const { disk, segments, log } = ports;
  const image = new SegmentImage();
  await image.read(disk, segment);
  const found = { blocks: 0, repaired: 0, bad: 0 };
  let end = await frontOf(ports, image, segment);
  let data = 0;
  let before: GroupHeader | null = null;
  for (let at = end; at > 0 && at < limits.blocksPerSegment; ) {
    const header: GroupHeader | null =
      (await nextGroup(ports, image, segment, at, before)) ??
      // Behind a header that no disk can give there may be groups that are good.
      (data < segments.live(segment) ? laterGroup(ports, image, segment, at, before) : null);
    if (header === null) break;
    at = header.address % limits.blocksPerSegment;
    const entries: Entry[] = readEntries(image.words, at * blockWords, header);
    const { mended, bad } = await mendEntries(disk, image, entries);
    found.blocks += 1 + header.blocks;
    found.repaired += mended;
    found.bad += bad.length;
    for (const { ref, block, address } of bad) {
      log.error({ ref, block, address }, 'a block is damaged and no disk has a good copy of it');
    }
    data += header.blocks;
    before = header;
    at += 1 + header.blocks;
    end = at;
  }
  const hidden = segments.live(segment) - data;
  if (hidden > 0) {
    found.bad += hidden;
    log.error({ segment, blocks: hidden }, 'a header is damaged and no disk has a good copy of it');
  }
  if (found.bad === 0 && disk.redundancy !== undefined) {
    const bytes = image.bytes.subarray(0, end * limits.blockBytes);
    found.repaired += await disk.redundancy.audit(segment * limits.segmentBytes, bytes);
  }
  return found;
}

/** The next group of this life of the segment that can be read, behind block `at`. */
function laterGroup(
  { storeId }: ScrubPorts,
  image: SegmentImage,
  segment: number,
  at: number,
  before: GroupHeader | null,
): GroupHeader | null {
  const front = readSegmentHeader(image.words, storeId);
  for (let block = at + 1; block < limits.blocksPerSegment; block += 1) {
    const address = segment * limits.blocksPerSegment + block;
    const header = readGroupHeader(image.words, block * blockWords, address, storeId);
    if (header === null || header.incarnation !== front?.incarnation) continue;
    if (block + header.blocks >= limits.blocksPerSegment) continue;
    if (before === null || header.sequence > before.sequence) return header;
  }
  return null;
}

/** The segment's own header: 1 when it is there, 0 when no disk can give it. */
async function frontOf(ports: ScrubPorts, image: SegmentImage, segment: number): Promise<number> {
  const { disk, storeId, log } = ports;
  const good = (bytes: Uint8Array): boolean =>
    readSegmentHeader(wordsOf(bytes), storeId)?.segment === segment;
  const address = segment * limits.blocksPerSegment;
  if (await mend(disk, address, image.bytes.subarray(0, limits.blockBytes), good)) return 1;
  log.error({ segment }, 'the header of a segment is damaged and no disk has a good copy of it');
  return 0;
}

/** The group that stands at block `at` of this life of the segment; null: it ends here. */
async function nextGroup(
  { disk, storeId }: ScrubPorts,
  image: SegmentImage,
  segment: number,
  at: number,
  before: GroupHeader | null,
): Promise<GroupHeader | null> {
  const address = segment * limits.blocksPerSegment + at;
  const front = readSegmentHeader(image.words, storeId)!;
  let found: GroupHeader | null = null;
  const good = (bytes: Uint8Array): boolean => {
    const header = readGroupHeader(wordsOf(bytes), 0, address, storeId);
    if (header === null || header.incarnation !== front.incarnation) return false;
    if (at + header.blocks >= limits.blocksPerSegment) return false;
    const follows = before === null || header.previous === before.crc;
    if (!follows || (before !== null && header.sequence !== before.sequence + 1)) return false;
    found = header;
    return true;
  };
  return (await mend(disk, address, image.block(address), good)) ? found : null;
}
