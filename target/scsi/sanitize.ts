/**
 * SANITIZE (SBC-3 5.24, 4.11): makes what was written irretrievable, over the whole medium.
 *
 *   CDB   48h, IMMED (7) AUSE (5) SERVICE ACTION (4:0), …, PARAMETER LIST LENGTH (2) at 7, CONTROL
 *   OVERWRITE list   0 INVERT (7) TEST (6:5) OVERWRITE COUNT (4:0)   2 PATTERN LENGTH, 2   4 PATTERN
 *
 * Only where the device says `sanitize`; each operation begins with its `erase` where it has one.
 * The operation belongs to the unit and not to the task: no abort
 * and no reset ends it. It begins when writes under way have left the device; until it ends only INQUIRY,
 * REPORT LUNS and REQUEST SENSE are served, and after a failure nothing else but SANITIZE is.
 */
import { strict as assert } from 'node:assert';
import { u8, u16 } from './bytes.ts';
import { Access, type Command } from './command.ts';
import { command } from './command-row.ts';
import type { Completion, DeviceError } from './device.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Sense } from './sense.ts';
import { type Task, Transfer } from './task.ts';

const SanitizeAction = {
  overwrite: 0x01,
  blockErase: 0x02,
  cryptographicErase: 0x03,
  exitFailureMode: 0x1f,
} as const;
const unrestrictedExit = 0x20;
const immediate = 0x80;

/** Where a unit stands with its last SANITIZE. */
export const SanitizeState = { none: 0, running: 1, failed: 2 } as const;
export type SanitizeState = (typeof SanitizeState)[keyof typeof SanitizeState];

/** What a unit keeps of it. */
export class SanitizeStatus {
  state: SanitizeState = SanitizeState.none;
  /** Done so far, of 65536. */
  progress = 0;
  /** AUSE of the last SANITIZE: a failure may be left by EXIT FAILURE MODE. */
  unrestricted = false;
}

function row(
  name: string,
  action: number,
  transfer: Transfer,
  start: Command['start'],
  execute: Command['execute'],
  supported = offersSanitize,
): Command {
  return command({
    name: `SANITIZE, ${name}`,
    usage: '48 a0 00 00 00 00 00 ff ff 00',
    action,
    transfer,
    access: Access.write,
    flags: ['writes', 'medium', 'sanitizes'],
    source: 'SBC-3 5.24',
    supported,
    start,
    execute,
  });
}

const offersSanitize = (unit: LogicalUnit) => unit.device.capabilities.sanitize === true;
const offersErase = (unit: LogicalUnit) =>
  offersSanitize(unit) && unit.device.capabilities.cryptographicErase === true;

export const sanitizeCommands: readonly Command[] = [
  row('OVERWRITE', SanitizeAction.overwrite, Transfer.out, startOverwrite, overwrite),
  row('BLOCK ERASE', SanitizeAction.blockErase, Transfer.none, startPlain, blockErase),
  row(
    'CRYPTOGRAPHIC ERASE',
    SanitizeAction.cryptographicErase,
    Transfer.none,
    startPlain,
    blockErase,
    offersErase,
  ),
  row('EXIT FAILURE MODE', SanitizeAction.exitFailureMode, Transfer.none, startPlain, exitFailure),
];

/** Bits the rows let through but that are not allowed in the state of the unit. */
function admitted(unit: LogicalUnit, task: Task): boolean {
  const { state, unrestricted } = unit.sanitize;
  if (state !== SanitizeState.failed || unrestricted) return true;
  // After a restricted failure only a restricted SANITIZE may follow (SBC-3 4.11.4).
  return (u8(task.cdb, 1) & unrestrictedExit) === 0 || unit.badField(task, 1, 5);
}

function startPlain(unit: LogicalUnit, task: Task): boolean {
  if (u16(task.cdb, 7) !== 0) return unit.badField(task, 7);
  return admitted(unit, task);
}

function startOverwrite(unit: LogicalUnit, task: Task): boolean {
  task.length = u16(task.cdb, 7);
  if (task.length < 5 || task.length > unit.device.sectorBytes + 4) return unit.badField(task, 7);
  if (task.expectedLength >= task.length) return admitted(unit, task);
  unit.check(task, Sense.parameterListLength);
  return false;
}

function overwrite(unit: LogicalUnit, task: Task, dataOut: Uint8Array | null): void {
  const list = dataOut?.subarray(0, task.length) ?? new Uint8Array(0);
  if (list.length < task.length) {
    unit.check(task, Sense.parameterListLength);
    task.finish();
    return;
  }
  const flags = u8(list, 0);
  const length = u16(list, 2);
  const passes = flags & 0x1f;
  let wrong = (flags & 0x60) !== 0 || passes === 0 ? 0 : null;
  if (length === 0 || length > list.length - 4) wrong ??= 2;
  if (wrong !== null) {
    unit.check(task, Sense.invalidFieldInParameters, { field: { inCdb: false, byte: wrong } });
    task.finish();
    return;
  }
  const pattern = list.slice(4, 4 + length);
  unit.scratch.take((scratch) => {
    const { sectorBytes } = unit.device;
    for (let i = 0; i < scratch.length; i++) scratch[i] = u8(pattern, (i % sectorBytes) % length);
    new Operation(unit, task, { scratch, passes, invert: (flags & 0x80) !== 0 }).begin();
  });
}

/** A device that can be erased is erased: nothing is left then for a BLOCK ERASE to do. */
function blockErase(unit: LogicalUnit, task: Task): void {
  new Operation(unit, task, null).begin();
}

function exitFailure(unit: LogicalUnit, task: Task): void {
  const { sanitize } = unit;
  if (sanitize.state === SanitizeState.failed && !sanitize.unrestricted) {
    unit.badField(task, 1, 4);
  } else if (sanitize.state === SanitizeState.failed) sanitize.state = SanitizeState.none;
  task.finish();
}

interface Overwrite {
  /** Full of the pattern, block by block. */
  readonly scratch: Uint8Array;
  readonly passes: number;
  /** Every other pass has the pattern inverted. */
  readonly invert: boolean;
}

/** One sanitize operation; `overwrite` null: a block or a cryptographic erase. */
class Operation implements Completion {
  readonly #unit: LogicalUnit;
  readonly #overwrite: Overwrite | null;
  /** Null once it was answered. */
  #task: Task | null;
  #pass = 0;
  #at = 0;
  #length = 0;
  #erased = false;
  #flushed = false;
  #waiting = false;
  #driving = false;
  #ended = false;

  constructor(unit: LogicalUnit, task: Task, overwrite: Overwrite | null) {
    this.#unit = unit;
    this.#task = task;
    this.#overwrite = overwrite;
  }

  begin(): void {
    const { sanitize, device, target, lun } = this.#unit;
    const task = this.#task;
    assert(task);
    // While it waited for its scratch buffer another SANITIZE or a reservation came, or it was aborted.
    if (task.aborted || this.#unit.excluded(task)) {
      this.#giveBack();
      task.finish();
      return;
    }
    assert(device.capabilities.sanitize === true);
    sanitize.state = SanitizeState.running;
    sanitize.progress = 0;
    sanitize.unrestricted = (u8(task.cdb, 1) & unrestrictedExit) !== 0;
    if ((u8(task.cdb, 1) & immediate) !== 0) this.#answer();
    // A piece that a copy has read before must not be written after, however short the operation is.
    this.#unit.breaks++;
    this.#unit.visits.idle(() => {
      target.settle(lun, this.#unit.nexuses(), () => this.#drive());
    });
  }

  complete(error: DeviceError | null): void {
    assert(this.#waiting, 'a device call completed twice');
    this.#waiting = false;
    if (error !== null) this.#end(error);
    else this.#at += this.#length;
    if (!this.#driving && !this.#ended) this.#drive();
  }

  #drive(): void {
    this.#driving = true;
    for (let pieces = 0; !this.#ended; pieces++) {
      // An aborted task is let go; the operation goes on (SBC-3 4.11.1).
      if (this.#task?.aborted) this.#answer();
      if (pieces === scsiLimits.piecesPerTurn) {
        this.#unit.target.defer(() => this.#drive());
        break;
      }
      this.#waiting = true;
      this.#step();
      if (this.#waiting) break;
    }
    this.#driving = false;
  }

  #step(): void {
    const { device, sanitize } = this.#unit;
    const passes = this.#overwrite?.passes ?? 1;
    const size = device.sectors * device.sectorBytes;
    if (!this.#erased) {
      this.#erased = true;
      if (device.capabilities.cryptographicErase === true) {
        assert(device.erase);
        // A store that overwrites nothing in place has no other way; its length counts for the erases.
        this.#length = this.#overwrite ? 0 : size;
        device.erase(this);
        return;
      }
    }
    if (this.#at >= size && this.#pass < passes - 1) {
      this.#pass++;
      this.#at = 0;
      if (this.#overwrite?.invert) invertAll(this.#overwrite.scratch);
    }
    sanitize.progress = Math.min(
      0xffff,
      Math.floor(((this.#pass + this.#at / size) / passes) * 0x10000),
    );
    if (this.#at >= size) {
      this.#length = 0;
      this.#waiting = !this.#flushed;
      if (this.#flushed) this.#end(null);
      this.#flushed = true;
      if (this.#waiting) device.flush(this);
      return;
    }
    const most = this.#overwrite ? scsiLimits.pieceBytes : scsiLimits.zeroPieceBytes;
    this.#length = Math.min(most, size - this.#at);
    if (this.#overwrite) {
      device.write(this.#at, this.#overwrite.scratch.subarray(0, this.#length), true, this);
    } else if (device.capabilities.thin) device.unmap(this.#at, this.#length, this);
    else device.writeZeroes(this.#at, this.#length, false, this);
  }

  #end(error: DeviceError | null): void {
    const { sanitize } = this.#unit;
    this.#ended = true;
    sanitize.state = error === null ? SanitizeState.none : SanitizeState.failed;
    if (this.#task && error !== null) this.#unit.check(this.#task, Sense.sanitizeFailed);
    this.#giveBack();
    this.#answer();
  }

  #answer(): void {
    const task = this.#task;
    this.#task = null;
    task?.finish();
  }

  #giveBack(): void {
    if (this.#overwrite) this.#unit.scratch.give(this.#overwrite.scratch);
  }
}

function invertAll(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = ~u8(bytes, i) & 0xff;
}
