/**
 * Two targets of one server for tests of copies: LUN 0 of the near one commands, LUN 0 of the far one is the
 * other end. Calls into the far device end when the test says so.
 */
import { RamDevice, type RamDeviceOptions } from '../../../target/ram-device.ts';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { ScsiTarget, type ScsiTargetOptions } from '../../../target/scsi/scsi-target.ts';
import { HeldDevice } from '../session/kit.ts';
import { cscd, list, MiB, segment, xcopy } from './copy-kit.ts';
import { carry, cdb, nexus, sector, TestTask, verdict, World } from './kit.ts';

export const farName = 'iqn.2026-11.test:far';
/** What a copy moves: four pieces. */
export const copied = MiB;

export interface TwoOptions {
  readonly here?: Partial<RamDeviceOptions>;
  readonly there?: Partial<RamDeviceOptions>;
  readonly far?: Partial<ScsiTargetOptions>;
}

/** Data that says where it was. */
export function pattern(bytes: number): Buffer {
  const data = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 4) data.writeUInt32LE(Math.imul(at, 2654435761) >>> 0, at);
  return data;
}

export function content(device: RamDevice, bytes = copied, at = 0): Buffer {
  const into = Buffer.alloc(bytes);
  RamDevice.prototype.readNow.call(device, at, bytes, into, 0);
  return into;
}

export class Two {
  readonly world: World;
  readonly far: ScsiTarget;
  readonly there: HeldDevice;
  /** How the initiator stands at the far target. */
  readonly rules = { masked: false, readOnly: false };

  constructor(options: TwoOptions = {}) {
    const bytes = 4 * MiB;
    this.there = new HeldDevice({ bytes, capabilities: { thin: false }, ...options.there });
    const port = { relativePort: 1, portalGroup: 1 };
    this.far = new ScsiTarget({ name: farName, ...port, ...options.far });
    this.far.add(0, this.there);
    const world: World = new World({
      bytes,
      capabilities: { thin: false },
      ...options.here,
      target: {
        copyTargets: (from, naa, known) => {
          const own = world.target.ownUnit(naa, known);
          if (own !== null) return { unit: own, readOnly: from.readOnly };
          const unit = this.rules.masked ? null : this.far.ownUnit(naa, known);
          return unit === null ? null : { unit, readOnly: this.rules.readOnly };
        },
      },
    });
    this.world = world;
  }

  static async make(options: TwoOptions = {}): Promise<Two> {
    const two = new Two(options);
    await two.world.attach(two.world.a);
    const data = pattern(copied);
    for (const device of [two.world.device.ram, two.there]) {
      RamDevice.prototype.write.call(device, 0, data, false, { complete: () => {} });
    }
    return two;
  }

  /** A nexus of the far target, its unit attention out of the way. */
  async enter(name: string, over: Partial<Nexus> = {}): Promise<Nexus> {
    const made = nexus(name, { target: farName, ...over });
    this.far.attach(made);
    await this.farRun('03 00 00 00 12', made);
    return made;
  }

  async farRun(command: string, from: Nexus, out?: Uint8Array): Promise<string> {
    const task = new TestTask(cdb(command), from, out?.length ?? 0xffff);
    return verdict(await carry(this.far.route(0, 0), task, out ?? null));
  }

  /** PERSISTENT RESERVE OUT at the far target. */
  reserveOut(from: Nexus, action: number, type: number, key: number, service = 0): Promise<string> {
    const out = new Uint8Array(24);
    out[7] = key;
    out[15] = service;
    return this.farRun(`5f 0${action} 0${type} 0000 00000018`, from, out);
  }

  /** Copies the first MiB to the second MiB of the far device, or `back`. */
  async copy(options: { from?: Nexus; back?: boolean; bytes?: number } = {}): Promise<string> {
    const { from = this.world.a, back = false, bytes = copied } = options;
    const ends = [this.world.device, this.there];
    const [source, destination] = back ? ends.toReversed() : ends;
    if (source === undefined || destination === undefined) throw new Error('two ends');
    const length = (size: number) => ({ 29: size >> 16, 30: (size >> 8) & 0xff, 31: size & 0xff });
    const cscds = [source, destination].map((each) =>
      cscd(each.identity.naa, length(each.sectorBytes)),
    );
    const blocks = bytes / source.sectorBytes;
    const to = MiB / destination.sectorBytes;
    const out = list(cscds, [segment({ destination: 1, blocks, from: 0, to })], { 0: 0, 1: 0x18 });
    return verdict(await this.world.run(xcopy(out.length), { from, out }));
  }

  /** Lets the far device end its calls until `copying` has ended. */
  async ended(copying: Promise<string>): Promise<string> {
    let result: string | null = null;
    void copying.then((value) => {
      result = value;
    });
    while (result === null) {
      await turn();
      this.there.releaseAll();
    }
    return result;
  }

  /** Until a call is inside the far device, `count` of them having ended there before. */
  async inside(count = 0): Promise<void> {
    for (let ended = 0; ; ) {
      await turn();
      if (this.there.waiting === 0) continue;
      if (ended === count) return;
      this.there.release();
      ended++;
    }
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export { sector };
