/**
 * What the bench measures, each by a public tool. Every workload covers the whole LUN, which was
 * filled with random data before, so that reads hit data and not holes.
 */

import type { Peer } from '../kit/peer.ts';
import { processorSeconds } from '../kit/process.ts';
import { runOk } from '../kit/run.ts';

export interface Workload {
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

function qemu(name: string, write: boolean, queueDepth: number, kib: number, stride = 1): Workload {
  const requestBytes = kib * KIB;
  const stepBytes = requestBytes * stride;
  return { name, tool: 'qemu-img bench', write, queueDepth, requestBytes, stepBytes };
}

export const WORKLOADS: readonly Workload[] = [
  {
    name: '4 KiB random reads, q32',
    tool: 'iscsi-perf',
    write: false,
    queueDepth: 32,
    requestBytes: 4 * KIB,
    stepBytes: 0,
  },
  qemu('4 KiB scattered reads, q32', false, 32, 4, STRIDE),
  qemu('4 KiB sequential reads, q32', false, 32, 4),
  qemu('4 KiB scattered durable writes, q32', true, 32, 4, STRIDE),
  qemu('4 KiB sequential durable writes, q32', true, 32, 4),
  qemu('64 KiB sequential reads, q32', false, 32, 64),
  qemu('256 KiB sequential reads, q8', false, 8, 256),
  qemu('64 KiB sequential durable writes, q32', true, 32, 64),
  qemu('256 KiB sequential durable writes, q8', true, 8, 256),
  qemu('4 KiB scattered reads, q1', false, 1, 4, STRIDE),
  qemu('4 KiB scattered durable writes, q1', true, 1, 4, STRIDE),
];

const SECTOR_BYTES = 512;
const CALIBRATION_REQUESTS = 500;

/** How many requests take about `targetS` seconds of this peer. */
export async function calibrate(peer: Peer, load: Workload, targetS: number): Promise<number> {
  if (load.tool === 'iscsi-perf') return 0;
  const first = await qemuBench(peer, load, CALIBRATION_REQUESTS);
  const second = await qemuBench(peer, load, Math.max(500, Math.round((first * targetS) / 4)));
  return Math.max(CALIBRATION_REQUESTS, Math.round(second * targetS));
}

export async function measure(
  peer: Peer,
  load: Workload,
  requests: number,
  targetS: number,
): Promise<Measurement> {
  if (load.tool === 'iscsi-perf') {
    return { rate: await iscsiPerf(peer, load, targetS), processorUs: null };
  }
  const before = await processorSeconds(peer.pid);
  const rate = await qemuBench(peer, load, requests);
  const spentS = (await processorSeconds(peer.pid)) - before;
  return { rate, processorUs: (spentS / requests) * 1e6 };
}

async function qemuBench(peer: Peer, load: Workload, requests: number): Promise<number> {
  const { stdout } = await runOk('qemu-img', [
    ...['bench', '-f', 'raw', '-t', 'none', ...(load.write ? ['-w'] : [])],
    ...['-c', String(requests), '-d', String(load.queueDepth), '-s', String(load.requestBytes)],
    ...['-S', String(load.stepBytes), peer.url],
  ]);
  const seconds = Number(/Run completed in ([\d.]+) seconds/.exec(stdout)?.[1]);
  if (!(seconds > 0)) throw new Error(`qemu-img bench said:\n${stdout}`);
  return requests / seconds;
}

async function iscsiPerf(peer: Peer, load: Workload, targetS: number): Promise<number> {
  const { stdout } = await runOk('iscsi-perf', [
    ...['-r', '-m', String(load.queueDepth), '-b', String(load.requestBytes / SECTOR_BYTES)],
    ...['-t', String(Math.max(1, Math.round(targetS))), peer.url],
  ]);
  // The last line is the average of the whole run; the ones before it are redrawn every second.
  const rate = Number([...stdout.matchAll(/^iops average (\d+)/gm)].at(-1)?.[1]);
  if (!(rate > 0)) throw new Error(`iscsi-perf said:\n${stdout}`);
  return rate;
}
