/**
 * Where the blocks of a segment lie among the disks of its zone: pure arithmetic.
 *
 * A zone takes one extent on each of `width` disks, its *places*. Each segment of the zone has one
 * *chunk* of every extent, the chunks one behind the other. The segment's blocks fill its columns
 * one after the other, so that a small write goes to one disk and a large one to several:
 *
 *   single     1 column                    width 1
 *   striped    N columns                   width N
 *   mirrored   1 column, two copies        width 2
 *   parity     N columns and their XOR     width N + 1; the place of the parity goes round with
 *                                          the segments, so that all disks write alike
 *
 *   segment of 256 blocks, N = 4          place 0    place 1    place 2    place 3    place 4
 *   segment 0 of the zone (chunk 0)       parity     0…63       64…127     128…191    192…255
 *   segment 1 (chunk 1)                   192…255    parity     0…63       64…127     128…191
 *
 * Row r of the parity is the XOR of row r of all columns; the last column may be shorter, and what
 * it lacks counts as zeros.
 */
import assert from 'node:assert/strict';
import { StorageError } from '../../base/errors.ts';
import { limits } from '../limits.ts';

export const layouts = ['single', 'striped', 'mirrored', 'parity'] as const;
export type Layout = (typeof layouts)[number];

export const blockBytes = limits.unitBytes;
export const segmentBytes = limits.areaUnitBytes;
export const segmentBlocks = segmentBytes / blockBytes;

export interface Shape {
  readonly layout: Layout;
  /** Disks that the data of a segment is spread over. */
  readonly columns: number;
  readonly width: number;
  readonly chunkBlocks: number;
  /** Places of a zone that may be lost. */
  readonly spare: 0 | 1;
}

export function shapeOf(layout: Layout, columns: number): Shape {
  const chunkBlocks = Math.ceil(segmentBlocks / columns);
  switch (layout) {
    case 'single':
      assert.equal(columns, 1);
      return { layout, columns, width: 1, chunkBlocks, spare: 0 };
    case 'striped':
      return { layout, columns, width: columns, chunkBlocks, spare: 0 };
    case 'mirrored':
      assert.equal(columns, 1);
      return { layout, columns, width: 2, chunkBlocks, spare: 1 };
    case 'parity':
      return { layout, columns, width: columns + 1, chunkBlocks, spare: 1 };
  }
}

/** Data columns of a new store on so many disks. INVALID. */
export function chooseColumns(layout: Layout, disks: number, wanted: number | null): number {
  const spread = layout === 'striped' || layout === 'parity';
  if (wanted !== null && !spread) {
    throw new StorageError('INVALID', `the layout ${layout} takes no number of data disks`);
  }
  const extra = layout === 'parity' || layout === 'mirrored' ? 1 : 0;
  const columns = spread ? (wanted ?? Math.min(disks - extra, limits.columnsMax)) : 1;
  const least = spread ? limits.columnsMin : 1;
  if (columns > limits.columnsMax || (wanted !== null && columns < least)) {
    const range = `${limits.columnsMin} to ${limits.columnsMax}`;
    throw new StorageError('INVALID', `${layout} takes ${range} data disks, not ${columns}`);
  }
  const needed = Math.max(columns, least) + extra;
  if (disks < needed) {
    throw new StorageError(
      'INVALID',
      `${layout} needs at least ${needed} disks, here are ${disks}`,
    );
  }
  return columns;
}

/** The place of the parity of segment `index` of a zone; -1: none. */
export const parityPlace = (shape: Shape, index: number): number =>
  shape.layout === 'parity' ? index % shape.width : -1;

/** The place of a column of segment `index` of a zone. */
export function columnPlace(shape: Shape, index: number, column: number): number {
  if (shape.layout !== 'parity') return column;
  return ((index % shape.width) + 1 + column) % shape.width;
}

/** Blocks that a column has. */
export const columnBlocks = (shape: Shape, column: number): number =>
  Math.min(shape.chunkBlocks, segmentBlocks - column * shape.chunkBlocks);

/** A run of a segment's blocks that lie one behind the other on one disk. */
export interface Piece {
  readonly column: number;
  /** First row of its column. */
  readonly row: number;
  readonly blocks: number;
  /** First block, counted from the start of the range. */
  readonly at: number;
}

/** The blocks [start, end) of a segment by column. */
export function piecesOf(shape: Shape, start: number, end: number): Piece[] {
  const { chunkBlocks } = shape;
  const pieces: Piece[] = [];
  for (let block = start; block < end; ) {
    const column = Math.floor(block / chunkBlocks);
    const row = block % chunkBlocks;
    const blocks = Math.min(end - block, chunkBlocks - row);
    pieces.push({ column, row, blocks, at: block - start });
    block += blocks;
  }
  return pieces;
}

/** `into` ^= `from`; both whole words, `from` not longer. */
export function xorInto(into: Uint8Array, from: Uint8Array): void {
  assert(from.length <= into.length && from.length % 4 === 0);
  const target = new Int32Array(into.buffer, into.byteOffset, from.length / 4);
  const source = new Int32Array(from.buffer, from.byteOffset, from.length / 4);
  for (let index = 0; index < source.length; index += 1) target[index]! ^= source[index]!;
}

/** The parity of a whole segment. */
export function parityOf(shape: Shape, segment: Uint8Array, into: Uint8Array): void {
  const chunk = shape.chunkBlocks * blockBytes;
  into.fill(0);
  for (let column = 0; column < shape.columns; column += 1) {
    const end = Math.min((column + 1) * chunk, segment.length);
    xorInto(into, segment.subarray(column * chunk, end));
  }
}
