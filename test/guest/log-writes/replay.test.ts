/** A log of writes is replayed to each flush mark, and what is missing there is found. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { temporaryDirectory } from '#test/kit/temp.ts';
import * as ours from '../../../storage/map/open.ts';
import { judgeState, type Recording } from '../../sim/crash-check.ts';
import { openerOf, record } from '../../sim/crash-points.ts';
import type { TraceWrite } from '../../sim/disk.ts';
import type { Mark } from '../../sim/store-load.ts';
import {
  entryBytes,
  Flag,
  type LogEntry,
  logMagic,
  logVersion,
  markOf,
  pointOf,
  readLog,
} from './log.ts';
import { replayLog } from './replay.ts';

const sectorBytes = 512;
const nothing = new Uint8Array(0);

const written = (offset: number, data: Uint8Array, flags = 0): LogEntry => ({
  ...{ offset, length: data.length, flags, data, text: '' },
});
const flush: LogEntry = { offset: 0, length: 0, flags: Flag.flush, data: nothing, text: '' };
const marked = (point: number): LogEntry => ({ ...flush, flags: Flag.mark, text: markOf(point) });

/** As the kernel writes it. */
function encode(entries: readonly LogEntry[]): Buffer {
  const head = Buffer.alloc(sectorBytes);
  head.writeBigUInt64LE(logMagic, 0);
  head.writeBigUInt64LE(logVersion, 8);
  head.writeBigUInt64LE(BigInt(entries.length), 16);
  head.writeUInt32LE(sectorBytes, 24);
  const parts: Uint8Array[] = [head];
  for (const { offset, length, flags, data, text } of entries) {
    const sector = Buffer.alloc(sectorBytes);
    const words = [offset / sectorBytes, length / sectorBytes, flags, text.length];
    words.forEach((word, index) => {
      sector.writeBigUInt64LE(BigInt(word), index * 8);
    });
    sector.write(text, entryBytes, 'latin1');
    parts.push(sector, data);
  }
  return Buffer.concat(parts);
}

/** What dm-log-writes would have kept of a recorded load. */
function logOf({ trace }: Recording): LogEntry[] {
  const entries: LogEntry[] = [];
  const writes = new Map<number, TraceWrite>();
  let acked = -1;
  for (const { event } of trace) {
    if (event.kind === 'write') writes.set(event.id, event);
    else if (event.kind === 'durable') {
      for (const id of event.ids) {
        const write = writes.get(id);
        if (write !== undefined)
          entries.push(written(write.block * 4096, Buffer.concat(write.data)));
      }
      entries.push(flush);
    } else if ((event.note as Mark).acked !== acked) {
      acked = (event.note as Mark).acked;
      entries.push(marked(acked));
    }
  }
  return entries;
}

const recording = record(ours, { seed: 5, operations: 200 });

async function replayed(log: Iterable<LogEntry>) {
  const { history, size, start } = await recording;
  return await replayLog(log, {
    ...{ size, start: start[0]!, issued: history.issued, seed: 5 },
    judge: (state, mark, again) =>
      judgeState(openerOf(ours), { history, size }, [state], mark, again),
  });
}

test('a log is read as it was written', async (t) => {
  const path = join(await temporaryDirectory(t), 'log');
  const data = new Uint8Array(8192).fill(7);
  const discard = { ...flush, offset: 4096, length: 65_536, flags: Flag.discard };
  const entries = [written(16_384, data, Flag.fua), marked(17), discard, flush];
  await writeFile(path, encode(entries));
  const read = [...readLog(path)];
  t.deepEqual(
    read.map((entry) => ({ ...entry, data: Uint8Array.from(entry.data) })),
    entries,
  );
  t.deepEqual(
    read.map(({ text }) => pointOf(text)),
    [null, 17, null, null],
  );
});

test('a log that ends within an entry, or is none, is refused', async (t) => {
  const path = join(await temporaryDirectory(t), 'log');
  const bytes = encode([written(0, new Uint8Array(4096))]);
  await writeFile(path, bytes.subarray(0, bytes.length - 1));
  t.throws(() => [...readLog(path)], { message: /within an entry/ });
  await writeFile(path, Buffer.alloc(4096));
  t.throws(() => [...readLog(path)], { message: /no log of writes/ });
});

test('every flush mark of a sound log holds what was acknowledged before it', async (t) => {
  const log = logOf(await recording);
  const verdict = await replayed(log);
  t.deepEqual(verdict.violations, []);
  t.true(
    verdict.flushes >= 30 && verdict.marks >= 20 && verdict.reopened >= 20,
    JSON.stringify(verdict),
  );
});

test('a write that is missing before a flush is found', async (t) => {
  const log = logOf(await recording);
  const marks = log.flatMap(({ text }, index) => (pointOf(text) === null ? [] : [index]));
  const mark = marks[Math.floor(marks.length / 2)]!;
  const missing = log.findLastIndex((entry, index) => index < mark && entry.length > 0);
  const { violations } = await replayed(log.toSpliced(missing, 1));
  t.regex(violations[0] ?? 'nothing was found', /acknowledged was/);
});

test('a flush that is missing before an acknowledgement is found', async (t) => {
  const log = logOf(await recording);
  const marks = log.flatMap(({ text }, index) => (pointOf(text) === null ? [] : [index]));
  const mark = marks[Math.floor(marks.length / 2)]!;
  const missing = log.findLastIndex((entry, index) => index < mark && entry === flush);
  const { violations } = await replayed(log.toSpliced(missing, 1));
  t.regex(violations[0] ?? 'nothing was found', /acknowledged was/);
});
