/**
 * What the medium is: READ CAPACITY 10 and 16 (SBC-3 5.15, 5.16), GET LBA STATUS (5.4) and READ
 * DEFECT DATA (5.17, 5.18; there never are any: the store repairs what it can).
 *
 *   READ CAPACITY(16) data, 32 bytes            GET LBA STATUS data
 *    0  LAST LBA, 8                              0  PARAMETER DATA LENGTH, 4;  4 reserved
 *    8  BLOCK LENGTH, 4                          8  descriptors: LBA (8), NUMBER OF BLOCKS (4),
 *   12  P_TYPE, PROT_EN = 0                         20 PROVISIONING STATUS (3:0): 0 mapped,
 *   13  LBPPBE (3:0)                                   1 deallocated, reserved (3)
 *   14  LBPME (7) LBPRZ (6) LOWEST ALIGNED LBA = 0
 */
import { strict as assert } from 'node:assert';
import { putU32, putU64, u8, u16, u32, u64 } from './bytes.ts';
import { Job } from './job.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Opcode } from './opcode.ts';
import { answer } from './outcome.ts';
import { Sense } from './sense.ts';
import type { Task } from './task.ts';

export function readCapacity10(unit: LogicalUnit, task: Task): void {
  const { sectors, sectorBytes } = unit.device;
  const out = new Uint8Array(8);
  // FFFFFFFFh sends the host to READ CAPACITY(16).
  putU32(out, 0, Math.min(sectors - 1, 0xffffffff));
  putU32(out, 4, sectorBytes);
  answer(task, out, out.length);
  task.finish();
}

export function readCapacity16(unit: LogicalUnit, task: Task): void {
  const { sectors, sectorBytes, physicalSectorBytes, capabilities } = unit.device;
  const out = new Uint8Array(32);
  putU64(out, 0, sectors - 1);
  putU32(out, 8, sectorBytes);
  out[13] = Math.log2(physicalSectorBytes / sectorBytes);
  out[14] = capabilities.thin ? 0xc0 : 0;
  answer(task, out, u32(task.cdb, 10));
  task.finish();
}

export function startLbaStatus(unit: LogicalUnit, task: Task): boolean {
  if (u64(task.cdb, 2) < unit.device.sectors) return true;
  unit.check(task, Sense.lbaOutOfRange);
  return false;
}

interface Extent {
  readonly lba: number;
  blocks: number;
  readonly mapped: boolean;
}

export function lbaStatus(unit: LogicalUnit, task: Task): void {
  new LbaStatus(unit, task).begin();
}

/** Neighbours of one state are merged, within `limits.lbaStatusCalls` questions to the device. */
class LbaStatus extends Job {
  readonly #extents: Extent[] = [];
  readonly #most: number;
  #lba: number;
  #calls = 0;

  constructor(unit: LogicalUnit, task: Task) {
    super(unit, task);
    this.#lba = u64(task.cdb, 2);
    // As many descriptors as are asked for, at least one: the length field tells of what is there.
    const room = Math.max(1, Math.ceil((u32(task.cdb, 10) - 8) / 16));
    this.#most = Math.min(room, scsiLimits.lbaStatusDescriptors);
  }

  protected step(): boolean {
    const { device } = this.unit;
    const { sectorBytes, sectors } = device;
    while (this.#lba < sectors && this.#calls < scsiLimits.lbaStatusCalls) {
      this.#calls += 1;
      const left = Math.min(sectors - this.#lba, 0xffffffff);
      const [offset, bytes] = [this.#lba * sectorBytes, left * sectorBytes];
      const found = device.allocation(offset, bytes);
      if (found === null) {
        assert(device.locate, 'what answers null can look it up');
        device.locate(offset, bytes, this);
        return true;
      }
      const blocks = Math.min(left, Math.max(1, Math.floor(found.length / sectorBytes)));
      if (!this.#add(blocks, found.mapped)) break;
    }
    this.#answer();
    return false;
  }

  protected stepped(): void {}

  /** False: there is no room for one more. */
  #add(blocks: number, mapped: boolean): boolean {
    const last = this.#extents.at(-1);
    if (last && last.mapped === mapped && last.blocks + blocks <= 0xffffffff) last.blocks += blocks;
    else if (this.#extents.length === this.#most) return false;
    else this.#extents.push({ lba: this.#lba, blocks, mapped });
    this.#lba += blocks;
    return true;
  }

  #answer(): void {
    const out = new Uint8Array(8 + this.#extents.length * 16);
    putU32(out, 0, out.length - 4);
    this.#extents.forEach((extent, i) => {
      const at = 8 + i * 16;
      putU64(out, at, extent.lba);
      putU32(out, at + 8, extent.blocks);
      out[at + 12] = extent.mapped ? 0 : 1;
    });
    answer(this.task, out, u32(this.task.cdb, 10));
  }
}

/** Both lists are empty; the format asked for is echoed. */
export function readDefectData(_unit: LogicalUnit, task: Task): void {
  const { cdb } = task;
  const ten = u8(cdb, 0) === Opcode.readDefectData10;
  const out = new Uint8Array(ten ? 4 : 8);
  out[1] = u8(cdb, ten ? 2 : 1) & 0x1f;
  answer(task, out, ten ? u16(cdb, 7) : u32(cdb, 6));
  task.finish();
}
