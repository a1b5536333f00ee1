/** Commands and parameter lists of ROD tokens, and what their answers say. */
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { ManualClock } from '../session/kit.ts';
import { fill, read } from './copy-kit.ts';
import { type Result, sector, verdict, type Watched, World, type WorldOptions } from './kit.ts';

export type Range = readonly [lba: number, blocks: number];

const hex8 = (value: number) => value.toString(16).padStart(8, '0');

export interface ListOptions {
  readonly immed?: boolean;
  /** INACTIVITY TIMEOUT, seconds. */
  readonly timeout?: number;
  /** RTV and ROD TYPE. */
  readonly type?: number;
  readonly delete?: boolean;
  /** OFFSET INTO ROD. */
  readonly offset?: number | bigint;
}

function putRanges(out: Buffer, at: number, ranges: readonly Range[]): void {
  out.writeUInt16BE(out.length - 2, 0);
  out.writeUInt16BE(ranges.length * 16, at - 2);
  ranges.forEach(([lba, blocks], i) => {
    out.writeBigUInt64BE(BigInt(lba), at + i * 16);
    out.writeUInt32BE(blocks, at + i * 16 + 8);
  });
}

export function populateList(ranges: readonly Range[], options: ListOptions = {}): Buffer {
  const out = Buffer.alloc(16 + 16 * ranges.length);
  putRanges(out, 16, ranges);
  out[2] = (options.immed ? 1 : 0) | (options.type === undefined ? 0 : 2);
  out.writeUInt32BE(options.timeout ?? 0, 4);
  out.writeUInt32BE(options.type ?? 0, 8);
  return out;
}

export function writeList(
  token: Uint8Array,
  ranges: readonly Range[],
  options: ListOptions = {},
): Buffer {
  const out = Buffer.alloc(536 + 16 * ranges.length);
  putRanges(out, 536, ranges);
  out[2] = (options.immed ? 1 : 0) | (options.delete ? 2 : 0);
  out.writeBigUInt64BE(BigInt(options.offset ?? 0), 8);
  out.set(token, 16);
  return out;
}

/** POPULATE TOKEN (10h) and WRITE USING TOKEN (11h). */
export function rodCdb(action: 0x10 | 0x11, listId: number, length: number): string {
  return `83 ${action.toString(16)} 00000000 ${hex8(listId)} ${hex8(length)} 00 00`;
}

export function informationCdb(listId: number, allocation = 1024): string {
  return `84 07 ${hex8(listId)} 00000000 ${hex8(allocation)} 00 00`;
}

export const zeroToken: Uint8Array = (() => {
  const out = Buffer.alloc(512);
  out.writeUInt32BE(0xffff_0001, 0);
  out.writeUInt16BE(0x01f8, 6);
  return out;
})();

/** The answer to RECEIVE ROD TOKEN INFORMATION. */
export interface Information {
  readonly action: number;
  /** COPY OPERATION STATUS. */
  readonly state: number;
  readonly delay: number;
  readonly completion: number;
  /** As `verdict` has it, when there is sense data. */
  readonly sense: string;
  readonly count: number;
  readonly token: Uint8Array | null;
}

export function parseInformation(data: Uint8Array): Information {
  const view = Buffer.from(data);
  const field = view[13] ?? 0;
  const sense = view.subarray(32, 32 + (view[14] ?? 0));
  const descriptors = view.readUInt32BE(32 + field);
  if (view.readUInt32BE(0) !== view.length - 4) throw new Error('AVAILABLE DATA');
  if (view.length !== 36 + field + descriptors) throw new Error('ROD TOKEN DESCRIPTORS LENGTH');
  if (view[15] !== 0xf1 || field % 4 !== 0) throw new Error('units or sense field');
  return {
    action: view[4] ?? 0,
    state: view[5] ?? 0,
    delay: view.readUInt32BE(8),
    completion: view[12] ?? 0,
    sense: sense.length === 0 ? '' : verdict({ status: view[12] ?? 0, sense }),
    count: Number(view.readBigUInt64BE(16)),
    token: descriptors === 0 ? null : view.subarray(38 + field, 38 + field + 512),
  };
}

export interface From {
  readonly from?: Nexus;
  readonly lun?: number;
  readonly listId?: number;
}

/** A world with a clock that the test moves. */
export class RodWorld extends World {
  readonly clock: ManualClock;

  constructor(options: WorldOptions = {}) {
    const clock = new ManualClock();
    const turns = {
      now: () => clock.now(),
      wall: () => clock.wall(),
      soon: (fire: () => void) => queueMicrotask(fire),
      after: (_delayMs: number, fire: () => void) => {
        const immediate = setImmediate(fire);
        return () => clearImmediate(immediate);
      },
    };
    super({ bytes: 16 * 1024 * 1024, ...options, target: { clock: turns, ...options.target } });
    this.clock = clock;
  }

  send(action: 0x10 | 0x11, list: Uint8Array, at: From = {}): Promise<Result> {
    return this.run(rodCdb(action, at.listId ?? 257, list.length), { ...at, out: list });
  }

  async information(at: From = {}): Promise<Information> {
    const result = await this.run(informationCdb(at.listId ?? 257), at);
    if (verdict(result) !== '00')
      throw new Error(`RECEIVE ROD TOKEN INFORMATION: ${verdict(result)}`);
    return parseInformation(result.data);
  }

  /** Makes a token that is known to be good, and hands it over. */
  async token(ranges: readonly Range[], options: ListOptions = {}, at: From = {}): Promise<Buffer> {
    const result = await this.send(0x10, populateList(ranges, options), at);
    if (verdict(result) !== '00') throw new Error(`POPULATE TOKEN: ${verdict(result)}`);
    const { token, state } = await this.information(at);
    if (token === null || state !== 1) throw new Error('no token');
    return Buffer.from(token);
  }

  /** WRITE USING TOKEN; `02 05/2304` and the like. */
  async use(
    token: Uint8Array,
    ranges: readonly Range[],
    options: ListOptions = {},
    at: From = {},
  ): Promise<string> {
    return verdict(await this.send(0x11, writeList(token, ranges, options), at));
  }
}

export function same(device: Watched, at: number, data: Uint8Array): boolean {
  return Buffer.compare(read(device, at, data.length / sector), data) === 0;
}

export { fill, read };
