/**
 * WRITE USING TOKEN (SBC-3 5.45): the data that a token stands for is written to some ranges.
 *
 *   CDB    83h, 11h, …, LIST IDENTIFIER (4) at 6, PARAMETER LIST LENGTH (4) at 10, GROUP NUMBER, CONTROL
 *   list   0 WRITE USING TOKEN DATA LENGTH, 2    16 ROD TOKEN, 512
 *          2 DEL_TKN (1) IMMED (0)              534 BLOCK DEVICE RANGE DESCRIPTOR LENGTH, 2
 *          8 OFFSET INTO ROD, 8                 536 … descriptors
 *
 * The unit that the data is read from is found again at every piece, through the target's `copyTarget`:
 * a token opens no unit that its holder may not use any more. When the token ends in the middle the
 * command ends with it, and the transfer count says how much of what was asked for is written and right.
 * A command that takes too long for the host's timer ends without an error and says the same.
 */
import { aluaRefusal } from './alua.ts';
import { u8, u16, u32, u64 } from './bytes.ts';
import { CopyJob, type CopySegment } from './copy-job.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { ExtendedCopyAction } from './opcode.ts';
import { RodRefusal, rangesOf, recordFor, startRodList, withRodList } from './rod-list.ts';
import { CopyOperation, closeRodRecord, type RodRecord } from './rod-results.ts';
import { type Extent, RodToken, RodType, rodTokenLength, rodTokenRest } from './rod-token.ts';
import { Sense, type SenseCode, type SenseDetail } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { Task } from './task.ts';

const headerLength = 536;
const tokenAt = 16;
const leastDataLength = 0x226;
const immedBit = 0x01;
const deleteBit = 0x02;

/** What one command does. */
interface Use {
  /** Null: the zero token. */
  readonly token: RodToken | null;
  readonly source: LogicalUnit | null;
  readonly segments: readonly CopySegment[];
  /** The segments are less than what was asked for: the token had no more. */
  readonly short: boolean;
  readonly deletes: boolean;
}

export function startWriteUsingToken(unit: LogicalUnit, task: Task): boolean {
  return startRodList(unit, task, headerLength);
}

export function writeUsingToken(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  withRodList(unit, task, dataOut, (list) => {
    const use = parse(unit, task, list);
    const immediate = (u8(list, 2) & immedBit) !== 0;
    if (immediate && unit.background.size >= scsiLimits.rodBackground) {
      task.status = ScsiStatus.busy;
      task.finish();
      return;
    }
    const record = recordFor(unit, task, ExtendedCopyAction.writeUsingToken);
    if (!immediate) {
      new RodJob(unit, task, use, record, scsiLimits.rodForegroundMs).run();
      return;
    }
    record.state = CopyOperation.background;
    const rest = unit.background.begin(task, true);
    task.finish();
    new RodJob(unit, rest, use, record, Number.POSITIVE_INFINITY).run();
  });
}

function parse(unit: LogicalUnit, task: Task, list: Uint8Array): Use {
  if (u16(list, 0) < leastDataLength) throw new RodRefusal(Sense.invalidFieldInParameters, 0);
  const deletes = (u8(list, 2) & deleteBit) !== 0;
  const bytes = list.slice(tokenAt, tokenAt + rodTokenLength);
  const found = tokenOf(unit, task, bytes);
  const ranges = rangesOf(unit, list, headerLength - 2);
  if (found === null) {
    const segments = segmentsOf(unit, ranges, null, 0, Number.POSITIVE_INFINITY, []);
    return { token: null, source: null, segments, short: false, deletes };
  }
  const { sectorBytes } = unit.device;
  // Above 2^53 this is inexact and beyond the end of every token.
  const offset = u64(list, 8) * sectorBytes;
  if (offset >= found.size) throw new RodRefusal(Sense.invalidFieldInParameters, 8);
  const source = sourceOf(unit, task, found);
  if (source === null) throw new RodRefusal(Sense.cscdNotReachable);
  // A last block that the token fills in part is written, with zeros in the rest of it.
  const most = Math.ceil((found.size - offset) / sectorBytes) * sectorBytes;
  const segments = segmentsOf(unit, ranges, source, offset, most, found.extents);
  const asked = ranges.reduce((sum, each) => sum + each.bytes, 0);
  return { token: found, source, segments, short: asked > most, deletes };
}

/** The living token that `bytes` are; null: the zero token. */
function tokenOf(unit: LogicalUnit, task: Task, bytes: Uint8Array): RodToken | null {
  if (u32(bytes, 0) === RodType.zero) {
    if (u16(bytes, 6) !== rodTokenRest) throw new RodRefusal(Sense.tokenLength);
    return null;
  }
  const found = unit.target.rodTokens.find(bytes, task.nexus.initiator);
  if (found instanceof RodToken) return found;
  throw new RodRefusal(found);
}

/** The unit that the token's data is in, if the initiator may use it now. */
function sourceOf(
  unit: LogicalUnit,
  task: Task,
  token: RodToken,
  known?: LogicalUnit,
): LogicalUnit | null {
  if (Buffer.compare(unit.device.identity.naa, token.naa) === 0) return unit;
  const source = unit.target.copyTarget(task.nexus, token.naa, known)?.unit ?? null;
  return source === null || source.ejected ? null : source;
}

function segmentsOf(
  unit: LogicalUnit,
  ranges: readonly Extent[],
  source: LogicalUnit | null,
  offset: number,
  most: number,
  extents: readonly Extent[],
): CopySegment[] {
  const segments: CopySegment[] = [];
  let done = 0;
  for (const range of ranges) {
    const bytes = Math.min(range.bytes, most - done);
    const from = offset + done;
    segments.push({ source, destination: unit, from, to: range.from, bytes, extents });
    done += bytes;
  }
  return segments;
}

class RodJob extends CopyJob {
  readonly #use: Use;
  readonly #record: RodRecord;
  readonly #untilMs: number;
  #late = false;

  /** `withinMs`: after so long it ends with what it has done. */
  constructor(unit: LogicalUnit, task: Task, use: Use, record: RodRecord, withinMs: number) {
    super(unit, task, use.segments, null);
    this.#use = use;
    this.#record = record;
    this.#untilMs = unit.target.rodTokens.nowMs() + withinMs;
  }

  run(): void {
    const { token, source } = this.#use;
    if (token !== null) this.unit.target.rodTokens.use(token);
    // Zeros need no buffer.
    if (source === null) this.begin();
    else this.beginWithScratch();
  }

  protected override refusal(): SenseCode | null {
    const { token, source } = this.#use;
    const { unit, task } = this;
    if (unit.background.closed) return Sense.invalidLun;
    if (unit.ejected) return Sense.mediumNotPresent;
    if (!unit.target.aluaFixed) {
      const code = aluaRefusal(unit.target.alua, task.nexus, ordinary);
      if (code !== null) return code;
    }
    if (token === null) return null;
    if (token.ended !== null) return token.ended;
    return sourceOf(unit, task, token, source ?? undefined) === source
      ? null
      : Sense.cscdNotReachable;
  }

  /** At least a piece is done, so that a host that goes on from there gets to the end. */
  protected override goesOn(): boolean {
    this.#late = this.#record.blocks > 0 && this.unit.target.rodTokens.nowMs() >= this.#untilMs;
    return !this.#late;
  }

  protected override moved(bytes: number): void {
    this.#record.blocks += bytes / this.unit.device.sectorBytes;
    this.#record.calls++;
  }

  protected override detail(): SenseDetail {
    return {};
  }

  protected override ended(): void {
    const { token, short, deletes } = this.#use;
    const { rodTokens } = this.unit.target;
    closeRodRecord(this.#record, this.task, this.whole && !short);
    if (token === null) return;
    rodTokens.release(token);
    // A host that is to go on needs it still.
    if (deletes && !this.#late) rodTokens.end(token, Sense.tokenDeleted);
  }
}

/** A command that no port runs but in an active state. */
const ordinary = { whileUnavailable: false, whileStandby: false };
