/**
 * For tests of the transport without sockets: a stream in memory, a clock that moves when told, a
 * device that answers when told, and an initiator that says exactly what the test says.
 *
 * PDUs are laid out here by hand from RFC 7143 section 11, not with target/wire.
 */
import { crc32c } from '@node-rs/crc32';
import type { Clock } from '../../../target/clock.ts';
import {
  type BlockDevice,
  type ByteStream,
  type Completion,
  DeviceError,
  IscsiServer,
  type IscsiServerOptions,
  RamDevice,
  type StreamHandler,
  type Target,
  type TargetOptions,
} from '../../../target/index.ts';

export const NAME = 'iqn.2026-11.test:disk';
export const INITIATOR = 'iqn.2026-11.test:host';
export const MIB = 1024 * 1024;

export class ManualClock implements Clock {
  #now = 1000;
  #timers: { at: number; fire: () => void }[] = [];

  now(): number {
    return this.#now;
  }
  wall(): number {
    return 1_800_000_000_000 + this.#now;
  }
  after(delayMs: number, fire: () => void): () => void {
    const timer = { at: this.#now + delayMs, fire };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }
  soon(fire: () => void): void {
    queueMicrotask(fire);
  }
  /** Lets time pass, a second at a time, so that timers set by timers fire as well. */
  advance(ms: number): void {
    const end = this.#now + ms;
    while (this.#now < end) {
      this.#now = Math.min(end, this.#now + 1000);
      const due = this.#timers.filter((timer) => timer.at <= this.#now);
      this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
      for (const timer of due) timer.fire();
    }
  }
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** Both ends of a connection in memory. With `slow` the peer takes nothing until `take` is called. */
export class MemoryStream implements ByteStream {
  readonly remoteAddress: string;
  readonly remotePort = 40000;
  readonly localAddress: string;
  readonly localPort = 3260;
  slow = false;
  paused = false;
  /** How the target's side ended, if it did. */
  ended: 'end' | 'destroy' | null = null;
  handler: StreamHandler | null = null;
  #sent: Buffer[] = [];
  /** By reference: what is in them must still be what was said when it is taken. */
  #waiting: { parts: readonly Uint8Array[]; done: () => void }[] = [];

  constructor(remoteAddress = '192.0.2.7', localAddress = '192.0.2.1') {
    this.remoteAddress = remoteAddress;
    this.localAddress = localAddress;
  }

  write(bytes: Uint8Array, done: () => void): boolean {
    return this.writeAll([bytes], done);
  }
  writeAll(parts: readonly Uint8Array[], done: () => void): boolean {
    if (this.slow) {
      this.#waiting.push({ parts: [...parts], done });
      return false;
    }
    this.#sent.push(Buffer.concat(parts));
    return true;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended ??= 'end';
  }
  destroy(): void {
    this.ended = 'destroy';
  }

  /** Bytes that the target has written and nobody took. */
  get held(): number {
    return this.#waiting.reduce((sum, { parts }) => sum + sizeOf(parts), 0);
  }
  /** A slow peer reads one write of the target. */
  take(): void {
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#sent.push(Buffer.concat(next.parts));
    next.done();
  }
  /** What the target sent since the last call. */
  drain(): Buffer {
    return Buffer.concat(this.#sent.splice(0));
  }
}

export interface Pdu {
  op: number;
  flags: number;
  /** Byte 2 and byte 3. */
  byte2: number;
  byte3: number;
  tag: number;
  head: Buffer;
  data: Buffer;
}

export interface Fields {
  immediate?: boolean;
  flags?: number;
  byte2?: number;
  byte3?: number;
  ahs?: Buffer;
  /** Overrides the true length. */
  dataLength?: number;
  lun?: number;
  tag?: number;
  w20?: number;
  w24?: number;
  w28?: number;
  w32?: number;
  w36?: number;
  w40?: number;
  cdb?: Buffer;
  data?: Buffer;
}

export function pdu(op: number, fields: Fields = {}): Buffer {
  const data = fields.data ?? Buffer.alloc(0);
  const ahs = fields.ahs ?? Buffer.alloc(0);
  const head = Buffer.alloc(48);
  head[0] = op | (fields.immediate === true ? 0x40 : 0);
  head[1] = fields.flags ?? 0x80;
  head[2] = fields.byte2 ?? 0;
  head[3] = fields.byte3 ?? 0;
  head[4] = ahs.length / 4;
  head.writeUIntBE(fields.dataLength ?? data.length, 5, 3);
  head.writeUInt16BE(fields.lun ?? 0, 8);
  head.writeUInt32BE(fields.tag ?? 0, 16);
  head.writeUInt32BE(fields.w20 ?? 0, 20);
  head.writeUInt32BE(fields.w24 ?? 0, 24);
  head.writeUInt32BE(fields.w28 ?? 0, 28);
  head.writeUInt32BE(fields.w32 ?? 0, 32);
  head.writeUInt32BE(fields.w36 ?? 0, 36);
  head.writeUInt32BE(fields.w40 ?? 0, 40);
  fields.cdb?.copy(head, 32);
  return Buffer.concat([head, ahs, data, Buffer.alloc(-data.length & 3)]);
}

export function text(pairs: Record<string, string>): Buffer {
  return Buffer.from(
    Object.entries(pairs)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(''),
  );
}

export function pairs(data: Buffer): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of data.toString().split('\0')) {
    const at = line.indexOf('=');
    if (at > 0) found[line.slice(0, at)] = line.slice(at + 1);
  }
  return found;
}

/** READ(10) or WRITE(10). */
export function rw10(opcode: 0x28 | 0x2a, lba: number, blocks: number): Buffer {
  const cdb = Buffer.alloc(16);
  cdb[0] = opcode;
  cdb.writeUInt32BE(lba, 2);
  cdb.writeUInt16BE(blocks, 7);
  return cdb;
}

/** A RAM device whose reads and writes end when the test says. */
export class HeldDevice extends RamDevice {
  holdReads = false;
  holdWrites = false;
  readonly log: string[] = [];
  readonly #held: (() => void)[] = [];

  get waiting(): number {
    return this.#held.length;
  }
  override readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    return !this.holdReads && super.readNow(offset, length, into, at);
  }
  override lend(offset: number, length: number, slices: Uint8Array[]): boolean {
    return !this.holdReads && super.lend(offset, length, slices);
  }
  override read(o: number, length: number, into: Uint8Array, at: number, done: Completion): void {
    super.readNow(o, length, into, at);
    this.#held.push(() => done.complete(null));
  }
  override write(offset: number, data: Uint8Array, fua: boolean, done: Completion): void {
    this.log.push(`write ${offset} ${data.length} ${data[0]}`);
    if (!this.holdWrites) {
      super.write(offset, data, fua, done);
      return;
    }
    const copy = Buffer.from(data);
    this.#held.push(() => super.write(offset, copy, fua, done));
  }
  /** Ends the oldest call that waits. */
  release(): void {
    this.#held.shift()?.();
  }
  releaseAll(): void {
    while (this.#held.length !== 0) this.release();
  }
  failOldest(): void {
    this.#held.shift();
  }
}

export const refused = new DeviceError('mediumError', 'a test says so');

export interface World {
  server: IscsiServer;
  clock: ManualClock;
  device: HeldDevice;
  target: Target;
}

export function world(
  options: IscsiServerOptions = {},
  device = new HeldDevice({ bytes: 64 * MIB }),
  target: Partial<TargetOptions> = {},
): World {
  const clock = new ManualClock();
  const server = new IscsiServer({ clock, ...options });
  const added = server.addTarget({ name: NAME, access: () => 'read-write', ...target });
  added.scsi.add(0, device as BlockDevice);
  return { server, clock, device, target: added };
}

/** Two hosts, logged in; `theirs`: keys of the second one's login. */
export interface TwoHosts extends World {
  us: Host;
  them: Host;
}

export async function twoHosts(theirs: Record<string, string> = {}): Promise<TwoHosts> {
  const all = world();
  const us = new Host(all.server);
  const them = new Host(all.server);
  await us.enter({}, 1);
  await them.enter(theirs, 2);
  return { ...all, us, them };
}

/** Status-Class and Status-Detail of a Login Response in hex. */
export function loginStatus(reply: Pdu | undefined): string {
  return reply?.head.subarray(36, 38).toString('hex') ?? 'no answer';
}

/** One connection of an initiator. */
export class Host {
  readonly stream: MemoryStream;
  readonly handler: StreamHandler;
  cmdSn = 1;
  tag = 100;
  headerDigest = false;
  dataDigest = false;
  #rest = Buffer.alloc(0);

  constructor(server: IscsiServer, address?: string, portalGroup?: number) {
    this.stream = new MemoryStream(address);
    const handler = server.accept(this.stream, portalGroup);
    if (handler === null) throw new Error('not accepted');
    this.handler = handler;
  }

  /** Hands bytes to the target, all at once or in pieces of `step`. */
  send(bytes: Buffer, step = bytes.length): void {
    for (let at = 0; at < bytes.length; at += step) {
      const piece = Buffer.from(bytes.subarray(at, at + step));
      this.handler.received(piece, piece.length);
      // As on a socket: the next bytes come into the same buffer.
      piece.fill(0xee);
    }
  }

  /** Adds the digests that were negotiated to a PDU without AHS. */
  digested(bytes: Buffer): Buffer {
    const parts = [bytes.subarray(0, 48)];
    if (this.headerDigest) parts.push(digest(bytes.subarray(0, 48)));
    if (bytes.length > 48) {
      parts.push(bytes.subarray(48));
      if (this.dataDigest) parts.push(digest(bytes.subarray(48)));
    }
    return Buffer.concat(parts);
  }

  /** The PDUs that came since the last call, after everything that waits for `soon` has run. */
  async receive(): Promise<Pdu[]> {
    await new Promise((resolve) => setImmediate(resolve));
    let all = Buffer.concat([this.#rest, this.stream.drain()]);
    const found: Pdu[] = [];
    while (all.length >= 48) {
      const dataLength = all.readUIntBE(5, 3);
      let dataAt = 48 + all[4]! * 4;
      if (this.headerDigest) dataAt += 4;
      let end = dataAt + dataLength + (-dataLength & 3);
      if (this.headerDigest && !digest(all.subarray(0, 48)).equals(all.subarray(48, 52))) {
        throw new Error('wrong header digest from the target');
      }
      if (this.dataDigest && dataLength !== 0) {
        if (!digest(all.subarray(dataAt, end)).equals(all.subarray(end, end + 4))) {
          throw new Error('wrong data digest from the target');
        }
        end += 4;
      }
      if (all.length < end) break;
      found.push({
        op: all[0]!,
        flags: all[1]!,
        byte2: all[2]!,
        byte3: all[3]!,
        tag: all.readUInt32BE(16),
        head: Buffer.from(all.subarray(0, 48)),
        data: Buffer.from(all.subarray(dataAt, dataAt + dataLength)),
      });
      all = all.subarray(end);
    }
    this.#rest = Buffer.from(all);
    return found;
  }

  async login(keys: Record<string, string> = {}, isid = 1): Promise<Pdu> {
    const who = { InitiatorName: INITIATOR, SessionType: 'Normal', TargetName: NAME };
    const bytes = pdu(0x43, {
      flags: 0x87,
      tag: this.tag++,
      w24: this.cmdSn,
      data: text({ ...who, ...keys }),
    });
    bytes.writeUInt32BE(0x80000000 + isid, 8);
    this.send(bytes);
    const [reply] = await this.receive();
    if (reply === undefined) throw new Error('no login response');
    return reply;
  }

  /** Login, and the unit attention of a new nexus out of the way. */
  async enter(keys: Record<string, string> = {}, isid = 1): Promise<Pdu> {
    const reply = await this.login(keys, isid);
    if (reply.head.readUInt16BE(36) !== 0) throw new Error('login was refused');
    const answer = pairs(reply.data);
    this.headerDigest = answer.HeaderDigest === 'CRC32C';
    this.dataDigest = answer.DataDigest === 'CRC32C';
    this.command(Buffer.alloc(16));
    await this.receive();
    return reply;
  }

  /** Sends a SCSI command; returns its tag. */
  command(
    cdb: Buffer,
    fields: Fields & { length?: number; write?: boolean; read?: boolean } = {},
  ): number {
    const tag = fields.tag ?? this.tag++;
    const flags =
      fields.flags ?? 0x81 | (fields.write === true ? 0x20 : 0) | (fields.read === true ? 0x40 : 0);
    const bytes = pdu(0x01, {
      ...fields,
      flags,
      tag,
      w20: fields.length ?? 0,
      w24: fields.w24 ?? this.cmdSn,
    });
    cdb.copy(bytes, 32, 0, 16);
    if (fields.immediate !== true && fields.w24 === undefined) this.cmdSn++;
    this.send(this.digested(bytes));
    return tag;
  }

  dataOut(
    tag: number,
    transferTag: number,
    sn: number,
    offset: number,
    data: Buffer,
    flags = 0x80,
  ): void {
    this.send(
      this.digested(pdu(0x05, { flags, tag, w20: transferTag, w36: sn, w40: offset, data })),
    );
  }

  taskManagement(fn: number, referenced = 0xffffffff, refCmdSn = 0): number {
    const tag = this.tag++;
    const fields = { immediate: true, flags: 0x80 | fn, tag, w20: referenced, w32: refCmdSn };
    this.send(this.digested(pdu(0x02, { ...fields, w24: this.cmdSn })));
    return tag;
  }
}

function digest(bytes: Buffer): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(crc32c(bytes));
  return out;
}

/** Sense key, ASC and ASCQ of a SCSI Response with fixed-format sense. */
export function senseOf(response: Pdu): string {
  const at = 2;
  const key = response.data[at + 2]! & 0x0f;
  return `${key.toString(16)}/${response.data.subarray(at + 12, at + 14).toString('hex')}`;
}
