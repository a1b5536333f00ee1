/**
 * What the bench measures, each by a public tool. The LUNs were filled with random data before, so that
 * reads hit data and not holes. There are two: `hot` fits into this target's default cache, `cold` is
 * four times as large as that (and fits, as all files here, into the page cache that tgt reads from).
 */

import type { Peer } from '../kit/peer.ts';
import { processorSeconds } from '../kit/process.ts';
import { runOk } from '../kit/run.ts';

export const Lun = { hot: 'hot', cold: 'cold' } as const;
export type Lun = (typeof Lun)[keyof typeof Lun];

export const LUN_BYTES: Readonly<Record<Lun, number>> = { hot: 192 * 2 ** 20, cold: 2 ** 30 };

/** One server and where its LUNs are. */
export interface Side {
  readonly peer: Peer;
  readonly urls: Readonly<Record<Lun, string>>;
}

export interface Workload {
  readonly lun: Lun;
  readonly name: string;
  readonly tool: 'qemu-img bench' | 'iscsi-perf';
  readonly write: boolean;
  readonly queueDepth: number;
  readonly requestBytes: number;
  /** Step between requests; qemu-img goes round the LUN. Not for iscsi-perf, which is random. */
  readonly stepBytes: number;
}

export interface Measurement {
  /** Requests a second. */
  readonly rate: number;
  /** Processor time of the server for one request, microseconds; null when the tool does not say
   *  how many requests it made. */
  readonly processorUs: number | null;
}

const KIB = 1024;
/** Odd and far: 4 KiB blocks in an order that no read-ahead follows, each once a round. */
const STRIDE = 1021;

interface Shape {
  readonly write: boolean;
  readonly queueDepth: number;
  readonly kib: number;
  readonly stride?: number;
}

function random(name: string, lun: Lun, queueDepth: number): Workload {
  const requestBytes = 4 * KIB;
  return { name, lun, tool: 'iscsi-perf', write: false, queueDepth, requestBytes, stepBytes: 0 };
}

function qemu(name: string, lun: Lun, shape: Shape): Workload {
  const { write, queueDepth, kib, stride = 1 } = shape;
  const requestBytes = kib * KIB;
  const stepBytes = requestBytes * stride;
  return { name, lun, tool: 'qemu-img bench', write, queueDepth, requestBytes, stepBytes };
}

const READ = { write: false, queueDepth: 32 } as const;
const WRITE = { write: true, queueDepth: 32 } as const;

/** In this order: what stands in a log depends on who wrote it, so reads come before scattered writes. */
export const WORKLOADS: readonly Workload[] = [
  random('4 KiB random reads, q32, in cache', Lun.hot, 32),
  random('4 KiB random reads, q32, four times the cache', Lun.cold, 32),
  qemu('4 KiB scattered reads, q32', Lun.hot, { ...READ, kib: 4, stride: STRIDE }),
  qemu('4 KiB sequential reads, q32', Lun.hot, { ...READ, kib: 4 }),
  qemu('4 KiB scattered reads, q1', Lun.hot, { ...READ, kib: 4, queueDepth: 1, stride: STRIDE }),
  qemu('4 KiB sequential reads, q8, four times the cache', Lun.cold, {
    ...READ,
    kib: 4,
    queueDepth: 8,
  }),
  qemu('64 KiB sequential reads, q1', Lun.cold, { ...READ, kib: 64, queueDepth: 1 }),
  qemu('64 KiB sequential reads, q32', Lun.cold, { ...READ, kib: 64 }),
  qemu('256 KiB sequential reads, q8', Lun.cold, { ...READ, kib: 256, queueDepth: 8 }),
  qemu('64 KiB sequential durable writes, q32', Lun.cold, { ...WRITE, kib: 64 }),
  qemu('256 KiB sequential durable writes, q8', Lun.cold, { ...WRITE, kib: 256, queueDepth: 8 }),
  qemu('4 KiB sequential durable writes, q32', Lun.cold, { ...WRITE, kib: 4 }),
  qemu('4 KiB scattered durable writes, q32', Lun.cold, { ...WRITE, kib: 4, stride: STRIDE }),
  qemu('4 KiB scattered durable writes, q1', Lun.cold, {
    ...WRITE,
    kib: 4,
    queueDepth: 1,
    stride: STRIDE,
  }),
  qemu('256 KiB sequential reads of what was written scattered, q8', Lun.cold, {
    ...READ,
    kib: 256,
    queueDepth: 8,
  }),
];

const SECTOR_BYTES = 512;
const CALIBRATION_REQUESTS = 500;

/** How many requests take about `targetS` seconds of this peer. */
export async function calibrate(side: Side, load: Workload, targetS: number): Promise<number> {
  if (load.tool === 'iscsi-perf') {
    // By time, so there is nothing to calibrate; but its first run finds the caches cold.
    await iscsiPerf(side, load, targetS);
    return 0;
  }
  const first = await qemuBench(side, load, CALIBRATION_REQUESTS);
  const second = await qemuBench(side, load, Math.max(500, Math.round((first * targetS) / 4)));
  return Math.max(CALIBRATION_REQUESTS, Math.round(second * targetS));
}

export async function measure(
  side: Side,
  load: Workload,
  requests: number,
  targetS: number,
): Promise<Measurement> {
  if (load.tool === 'iscsi-perf') {
    return { rate: await iscsiPerf(side, load, targetS), processorUs: null };
  }
  const before = await processorSeconds(side.peer.pid);
  const rate = await qemuBench(side, load, requests);
  const spentS = (await processorSeconds(side.peer.pid)) - before;
  return { rate, processorUs: (spentS / requests) * 1e6 };
}

async function qemuBench(side: Side, load: Workload, requests: number): Promise<number> {
  const { stdout } = await runOk('qemu-img', [
    ...['bench', '-f', 'raw', '-t', 'none', ...(load.write ? ['-w'] : [])],
    ...['-c', String(requests), '-d', String(load.queueDepth), '-s', String(load.requestBytes)],
    ...['-S', String(load.stepBytes), side.urls[load.lun]],
  ]);
  const seconds = Number(/Run completed in ([\d.]+) seconds/.exec(stdout)?.[1]);
  if (!(seconds > 0)) throw new Error(`qemu-img bench said:\n${stdout}`);
  return requests / seconds;
}

async function iscsiPerf(side: Side, load: Workload, targetS: number): Promise<number> {
  const { stdout } = await runOk('iscsi-perf', [
    ...['-r', '-m', String(load.queueDepth), '-b', String(load.requestBytes / SECTOR_BYTES)],
    ...['-t', String(Math.max(1, Math.round(targetS))), side.urls[load.lun]],
  ]);
  // The last line is the average of the whole run; the ones before it are redrawn every second.
  const rate = Number([...stdout.matchAll(/^iops average (\d+)/gm)].at(-1)?.[1]);
  if (!(rate > 0)) throw new Error(`iscsi-perf said:\n${stdout}`);
  return rate;
}
