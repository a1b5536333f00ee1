/**
 * What the SCSI tests share: a nexus, a target with one RAM device behind a wrapper that completes
 * later when asked to and refuses calls outside of its size, and `run`, which does for one command what the
 * transport does.
 */
import { strict as assert } from 'node:assert';
import { type Clock, realClock } from '../../../target/clock.ts';
import { Filter } from '../../../target/filters/filter.ts';
import { RamDevice, type RamDeviceOptions } from '../../../target/ram-device.ts';
import type { Completion, DeviceAllocation, DeviceError } from '../../../target/scsi/device.ts';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import type { ReservationStore } from '../../../target/scsi/reservation-store.ts';
import { ScsiTarget, type ScsiTargetOptions } from '../../../target/scsi/scsi-target.ts';
import { type Task, Transfer } from '../../../target/scsi/task.ts';
import type { Unit } from '../../../target/scsi/unit.ts';

export const sector = 512;

export function nexus(name = 'a', over: Partial<Nexus> = {}): Nexus {
  return {
    initiator: `iqn.2026-11.test:${name}`,
    isid: '80000000000a',
    target: 'iqn.2026-11.test:disk',
    portalGroup: 1,
    relativePort: 1,
    readOnly: false,
    ...over,
  };
}

/** How a wrapped device answers. */
export interface Behaviour {
  /** Complete in a later turn instead of at once. */
  later: boolean;
  /** Fail the next call with this, once. */
  fail: DeviceError | null;
  /** Seen before a call is passed on. */
  before: ((call: string) => void) | null;
}

/** The calls that reached the device, and the wrapper's own checks of the port's contract. */
export class Watched extends Filter {
  readonly ram: RamDevice;
  readonly behaviour: Behaviour = { later: false, fail: null, before: null };
  readonly calls: string[] = [];
  largest = 0;
  inFlight = 0;

  constructor(options: RamDeviceOptions) {
    const ram = new RamDevice(options);
    super(ram);
    this.ram = ram;
  }

  override readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    this.#check('readNow', offset, length);
    return this.ram.readNow(offset, length, into, at);
  }
  override read(
    offset: number,
    length: number,
    into: Uint8Array,
    at: number,
    done: Completion,
  ): void {
    this.#call('read', offset, length, done, (d) => this.ram.read(offset, length, into, at, d));
  }
  override write(offset: number, data: Uint8Array, fua: boolean, done: Completion): void {
    const copy = data.slice();
    this.#call(fua ? 'write fua' : 'write', offset, data.length, done, (d) =>
      this.ram.write(offset, copy, fua, d),
    );
  }
  override flush(done: Completion): void {
    this.#call('flush', 0, 0, done, (d) => this.ram.flush(d));
  }
  override unmap(offset: number, length: number, done: Completion): void {
    assert(this.capabilities.thin, 'unmap of a thick device');
    this.#call('unmap', offset, length, done, (d) => this.ram.unmap(offset, length, d));
  }
  override writeZeroes(offset: number, length: number, mayUnmap: boolean, done: Completion): void {
    this.#call(mayUnmap ? 'zero unmap' : 'zero', offset, length, done, (d) =>
      this.ram.writeZeroes(offset, length, mayUnmap, d),
    );
  }
  override compareAndWrite(
    offset: number,
    compare: Uint8Array,
    write: Uint8Array,
    done: Completion,
  ): void {
    assert.equal(compare.length, write.length);
    this.#call('compareAndWrite', offset, compare.length, done, (d) =>
      this.ram.compareAndWrite(offset, compare, write, d),
    );
  }
  override erase(done: Completion): void {
    this.#call('erase', 0, 0, done, (d) => this.ram.erase(d));
  }
  override allocation(offset: number, length: number): DeviceAllocation {
    this.#check('allocation', offset, length);
    return this.ram.allocation(offset, length);
  }

  #check(call: string, offset: number, length: number): void {
    const end = this.sectors * this.sectorBytes;
    assert(offset >= 0 && length >= 0 && offset + length <= end, `${call} ${offset}+${length}`);
    assert(offset % this.sectorBytes === 0 && length % this.sectorBytes === 0, call);
    if (call !== 'flush' && call !== 'erase') assert(length > 0, `${call} of nothing`);
  }

  #call(
    name: string,
    offset: number,
    length: number,
    done: Completion,
    run: (done: Completion) => void,
  ): void {
    this.#check(name, offset, length);
    this.behaviour.before?.(name);
    this.calls.push(name === 'flush' || name === 'erase' ? name : `${name} ${offset} ${length}`);
    this.largest = Math.max(this.largest, length);
    const error = this.behaviour.fail;
    this.behaviour.fail = null;
    const go = () => (error ? done.complete(error) : run(done));
    if (!this.behaviour.later) {
      go();
      return;
    }
    this.inFlight++;
    setImmediate(() => {
      this.inFlight--;
      go();
    });
  }
}

export interface Result {
  readonly status: number;
  readonly sense: Uint8Array | null;
  readonly data: Uint8Array;
  readonly transfer: number;
}

/** `02 05/2100`: status, key and additional sense code; `00` alone when there is no sense. */
export function verdict(result: Pick<Result, 'status' | 'sense'>): string {
  const hex = (value: number, width: number) => value.toString(16).padStart(width, '0');
  const status = hex(result.status, 2);
  const s = result.sense;
  if (s === null) return status;
  const descriptor = s[0] === 0x72;
  const key = (descriptor ? s[1] : s[2]) ?? 0;
  const code = descriptor ? (s[2] ?? 0) * 256 + (s[3] ?? 0) : (s[12] ?? 0) * 256 + (s[13] ?? 0);
  return `${status} ${hex(key, 2)}/${hex(code, 4)}`;
}

/** Byte and bit the sense points at: `cdb 2.7`, `list 8`; empty without a field pointer. */
export function pointer(sense: Uint8Array | null): string {
  if (sense === null || sense[0] === 0x72) return '';
  const flags = sense[15] ?? 0;
  if ((flags & 0x80) === 0) return '';
  const where = (flags & 0x40) !== 0 ? 'cdb' : 'list';
  const byte = (sense[16] ?? 0) * 256 + (sense[17] ?? 0);
  return (flags & 8) !== 0 ? `${where} ${byte}.${flags & 7}` : `${where} ${byte}`;
}

export function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(/\s/g, ''));
}

/** A CDB of at least 16 bytes, as an iSCSI command carries it. */
export function cdb(text: string): Uint8Array {
  const out = new Uint8Array(16);
  out.set(hex(text));
  return out;
}

export class TestTask implements Task {
  readonly cdb: Uint8Array;
  readonly nexus: Nexus;
  readonly expectedLength: number;
  transfer: Transfer = Transfer.none;
  offset = 0;
  length = 0;
  fua = false;
  status = 0xff;
  sense: Uint8Array | null = null;
  dataIn: Uint8Array | null = null;
  aborted = false;
  elsewhere = null;
  finished = 0;
  readonly done: Promise<void>;
  #resolve: () => void = () => {};

  constructor(command: Uint8Array, from: Nexus, expectedLength: number) {
    this.cdb = command;
    this.nexus = from;
    this.expectedLength = expectedLength;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  finish(): void {
    this.finished++;
    this.#resolve();
  }
}

export interface WorldOptions extends Partial<RamDeviceOptions> {
  readonly store?: ReservationStore;
  readonly lun?: number;
  /** The ports of the SCSI target under test. */
  readonly target?: Partial<ScsiTargetOptions>;
}

/** A delay is one turn of the event loop, and keeps the test's process alive. */
const turns: Clock = {
  ...realClock,
  after(_delayMs, fire) {
    const immediate = setImmediate(fire);
    return () => clearImmediate(immediate);
  },
};

/** A target with one device at LUN 0, and nexuses whose power-on attention has been taken. */
export class World {
  readonly target: ScsiTarget;
  readonly device: Watched;
  readonly a: Nexus = nexus('a');
  readonly b: Nexus = nexus('b');
  readonly c: Nexus = nexus('c');

  constructor(options: WorldOptions = {}) {
    this.target = new ScsiTarget({
      name: 'iqn.2026-11.test:disk',
      relativePort: 1,
      portalGroup: 1,
      clock: turns,
      ...options.target,
    });
    const capabilities = { hostMayChange: { writeProtect: true }, ...options.capabilities };
    this.device = new Watched({ bytes: 16 * 1024 * 1024, ...options, capabilities });
    this.target.add(0, this.device, options.store);
  }

  /** Attach and take the power-on unit attention. */
  async attach(...nexuses: Nexus[]): Promise<void> {
    for (const each of nexuses) {
      this.target.attach(each);
      assert.equal(verdict(await this.run('00', { from: each })), '02 06/2900');
    }
  }

  async run(
    command: string | Uint8Array,
    options: { from?: Nexus; out?: Uint8Array; expected?: number; lun?: number } = {},
  ): Promise<Result> {
    const bytes = typeof command === 'string' ? cdb(command) : command;
    const unit = this.target.route((options.lun ?? 0) * 0x10000, 0);
    const expected = options.expected ?? options.out?.length ?? 0xffff_ffff;
    const task = new TestTask(bytes, options.from ?? this.a, expected);
    return carry(unit, task, options.out ?? null);
  }
}

/** What the transport does with a task. */
export async function carry(unit: Unit, task: TestTask, out: Uint8Array | null): Promise<Result> {
  let data = new Uint8Array(0);
  if (unit.start(task)) {
    const { transfer } = task;
    if (transfer === Transfer.read || transfer === Transfer.write) {
      assert(unit.device && task.length > 0);
      data = new Uint8Array(task.length);
      const payload = new Uint8Array(task.length);
      payload.set((out ?? new Uint8Array(0)).subarray(0, task.length));
      await new Promise<void>((resolve) => {
        const done: Completion = {
          complete(error) {
            if (error) unit.fail(task, error);
            resolve();
          },
        };
        if (transfer === Transfer.read) unit.device?.read(task.offset, task.length, data, 0, done);
        else unit.device?.write(task.offset, payload, task.fua, done);
      });
      if (transfer === Transfer.write) data = new Uint8Array(0);
    } else {
      const wanted = Math.min(task.length, task.expectedLength, out?.length ?? 0);
      unit.execute(task, transfer === Transfer.out ? (out?.subarray(0, wanted) ?? null) : null);
      await task.done;
      assert.equal(task.finished, 1, 'finish exactly once');
      data = task.dataIn?.slice() ?? data;
    }
  } else assert.equal(task.finished, 0, 'a refused command is not finished');
  return { status: task.status, sense: task.sense, data, transfer: task.transfer };
}
