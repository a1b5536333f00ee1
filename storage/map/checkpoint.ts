/**
 * A checkpoint: the dirty map pages go to the log, children before parents, then the roots of all
 * spaces, then a superblock that names them. Writes go on meanwhile (it is fuzzy): a page may hold
 * what was written after the checkpoint began, and recovery replays the log from where it began,
 * which leads to the same end.
 *
 * Invariant: the superblock is written only when every block that it leads to is durable.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../base/clock.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../disk/disk.ts';
import { EntryKind } from '../log/format.ts';
import { type Superblock, writeSuperblock } from '../log/superblock.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Content, Space } from './content.ts';
import type { Page } from './page.ts';
import { encodeRoots, type SpaceRoot, spacesPerBlock } from './roots.ts';

export interface CheckpointPorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly storeId: Uint32Array;
  readonly writer: LogWriter;
  readonly content: Content;
}

export class Checkpointer {
  readonly #ports: CheckpointPorts;
  #superblock: Superblock;
  /** Blocks of log written when the last checkpoint began. */
  #begunAt = 0;
  #running = false;
  /** Pages written by the checkpoint under way: after a crash they are dirty again. */
  pagesInDoubt = 0;
  count = 0;
  mapBlocks = 0;

  /** `superblock`: the durable one; its checkpoint blocks are counted live by the caller. */
  constructor(ports: CheckpointPorts, superblock: Superblock) {
    this.#ports = ports;
    this.#superblock = superblock;
    ports.writer.checkpoint = superblock.sequence;
  }

  /** Bytes of log since the last one began. */
  get behindBytes(): number {
    return (this.#ports.writer.blocks - this.#begunAt) * limits.blockBytes;
  }

  /** Blocks of room that the next checkpoint, and one more after a crash within it, can take. */
  get debtBlocks(): number {
    const { content } = this.#ports;
    const roots = Math.ceil(content.spaces.size / spacesPerBlock) + 1;
    return 2 * (content.pages.dirty + roots) + this.pagesInDoubt;
  }

  /** Resolves when the checkpoint is durable. DISK_FAILED. */
  async run(): Promise<void> {
    assert(!this.#running, 'one checkpoint at a time');
    this.#running = true;
    const { disk, storeId, writer, content } = this.#ports;
    const before = this.#superblock;
    this.#alive();
    const position = writer.position();
    this.#begunAt = writer.blocks;
    content.segments.beginCheckpoint();
    await this.#pages();
    this.#alive();
    const spaces = content.spaces.size;
    const blocks = this.#roots();
    const wholeAt = writer.newest;
    await writer.durable();
    const superblock: Superblock = {
      sequence: before.sequence + 1,
      incarnation: before.incarnation,
      segments: content.segments.count,
      spaces,
      position,
      wholeAt,
      touched: content.segments.touched,
      blocks,
    };
    try {
      await writeSuperblock(disk, storeId, superblock);
    } catch (error) {
      writer.fail(error);
      throw writer.failure!;
    }
    for (const block of before.blocks) content.segments.dies(block.address, true);
    content.segments.completeCheckpoint();
    writer.checkpoint = superblock.sequence;
    this.#superblock = superblock;
    this.pagesInDoubt = 0;
    this.count += 1;
    this.#running = false;
  }

  async #pages(): Promise<void> {
    const { content } = this.#ports;
    let written = 0;
    for (let level = 1; level <= content.pages.levels; level += 1) {
      for (const page of content.pages.take(level)) {
        if (page.gone || !page.dirty) continue;
        if (written % limits.pagesPerTurn === 0) {
          await this.#turn();
          this.#alive();
        }
        // It may have gone while others had their turn.
        if (page.gone) continue;
        this.#page(page);
        written += 1;
      }
    }
  }

  /** Let others on, and do not run ahead of the disk. */
  async #turn(): Promise<void> {
    const { clock, writer } = this.#ports;
    await new Promise<void>((resolve) => clock.soon(resolve));
    while (writer.unsettled > limits.groupsInFlight || !writer.accepts(2 * limits.pagesPerTurn)) {
      if (writer.unsettled === 0) break;
      await writer.progress();
    }
  }

  /** Looked at after every wait, in the turn that appends: nothing is appended to a failed log. */
  #alive(): void {
    const { failure } = this.#ports.writer;
    if (failure !== null) throw failure;
  }

  #page(page: Page): void {
    const { writer, content } = this.#ports;
    const { ref, level, index, parent } = page;
    const address = writer.append(EntryKind.page, level, ref, index, page.bytes, 0);
    if (page.address !== 0) content.segments.dies(page.address, true);
    content.segments.born(address);
    page.address = address;
    page.crc = writer.crc;
    content.pages.clean(page);
    this.pagesInDoubt += 1;
    this.mapBlocks += 1;
    if (parent === null) return;
    parent.words[page.slot * 2] = address;
    parent.words[page.slot * 2 + 1] = writer.crc;
    content.pages.mark(parent);
  }

  #roots(): { address: number; crc: number }[] {
    const { writer, content } = this.#ports;
    const roots: SpaceRoot[] = [];
    for (const space of content.spaces.values()) roots.push(rootOf(space));
    const blocks: { address: number; crc: number }[] = [];
    // One block even of nothing: the position that the superblock names is then on disk as well.
    for (let from = 0; from === 0 || from < roots.length; from += spacesPerBlock) {
      const number = blocks.length;
      const data = encodeRoots(number, roots.slice(from, from + spacesPerBlock));
      const address = writer.append(EntryKind.checkpoint, 0, 0, number, data, 0);
      content.segments.born(address);
      blocks.push({ address, crc: writer.crc });
      this.mapBlocks += 1;
    }
    return blocks;
  }
}

/**
 * The written part of a space's map. A root that rose after its level had its turn is not written
 * yet: what it has beyond its first child came after the checkpoint began and is replayed.
 */
function rootOf(space: Space): SpaceRoot {
  let page: Page | null = space.tree.root;
  while (page !== null && page.address === 0) page = page.children?.[0] ?? null;
  return {
    ref: space.ref,
    height: page?.level ?? 0,
    reserved: space.share.reserved,
    address: page?.address ?? 0,
    crc: page?.crc ?? 0,
  };
}
