/** Parameter lists of EXTENDED COPY, and what the tests of it do with a device. */
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { type Result, sector, type Watched, type World } from './kit.ts';

export const MiB = 1024 * 1024;

export interface Segment {
  source?: number;
  destination?: number;
  blocks: number;
  from: number;
  to: number;
  flags?: number;
}

export function cscd(naa: Uint8Array, over: Record<number, number> = {}): Uint8Array {
  const out = new Uint8Array(32);
  out[0] = 0xe4;
  out[4] = 1;
  out[5] = 3;
  out[7] = 16;
  out.set(naa, 8);
  out[30] = 2;
  for (const [at, value] of Object.entries(over)) out[Number(at)] = value;
  return out;
}

export function segment(each: Segment): Uint8Array {
  const out = new Uint8Array(28);
  const view = new DataView(out.buffer);
  out[0] = 2;
  out[1] = each.flags ?? 0;
  out[3] = 24;
  view.setUint16(4, each.source ?? 0);
  view.setUint16(6, each.destination ?? 0);
  view.setUint16(10, each.blocks);
  view.setBigUint64(12, BigInt(each.from));
  view.setBigUint64(20, BigInt(each.to));
  return out;
}

export function list(
  cscds: readonly Uint8Array[],
  segments: readonly Uint8Array[],
  over: Record<number, number> = {},
): Uint8Array {
  const body = Buffer.concat([...cscds, ...segments]);
  const out = new Uint8Array(16 + body.length);
  const view = new DataView(out.buffer);
  out[0] = 7;
  view.setUint16(2, cscds.length * 32);
  view.setUint32(
    8,
    segments.reduce((sum, each) => sum + each.length, 0),
  );
  out.set(body, 16);
  for (const [at, value] of Object.entries(over)) out[Number(at)] = value;
  return out;
}

export function xcopy(length: number): string {
  return `83 00 0000000000000000 ${length.toString(16).padStart(8, '0')} 00 00`;
}

export function send(world: World, out: Uint8Array, from: Nexus = world.a): Promise<Result> {
  return world.run(xcopy(out.length), { out, from });
}

export function fill(device: Watched, at: number, blocks: number, seed: number): Uint8Array {
  const data = new Uint8Array(blocks * sector);
  for (let i = 0; i < data.length; i++) data[i] = (seed + i * 7 + (i >> 9)) & 0xff;
  device.ram.write(at * sector, data, false, { complete: () => {} });
  return data;
}

export function read(device: Watched, at: number, blocks: number): Uint8Array {
  const out = new Uint8Array(blocks * sector);
  device.ram.readNow(at * sector, out.length, out, 0);
  return out;
}
