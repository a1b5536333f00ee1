/**
 * START STOP UNIT (SBC-3 5.25) and PREVENT ALLOW MEDIUM REMOVAL (5.10), TEST UNIT READY
 * and REQUEST SENSE: the state of a unit as a whole.
 *
 *   START STOP UNIT  1Bh, IMMED (0), r, POWER CONDITION MODIFIER, POWER CONDITION (7:4) NO_FLUSH (2)
 *                    LOEJ (1) START (0), CONTROL
 *
 * There is nothing to spin down, so power conditions are taken and change nothing; a stop flushes.
 * Only a removable unit ejects, and only while no nexus prevents it.
 */
import { u8 } from './bytes.ts';
import { Access } from './command.ts';
import { Job } from './job.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { answer } from './outcome.ts';
import { SanitizeState } from './sanitize.ts';
import { encodeSense, Sense, type SenseCode, type SenseDetail } from './sense.ts';
import type { Task } from './task.ts';

const startBit = 0x01;
const loadEjectBit = 0x02;
const noFlushBit = 0x04;

/** START with power condition 0 is allowed under every reservation (SBC-3 table 13). */
export function startStopAccess(cdb: Uint8Array): Access {
  return (u8(cdb, 4) & 0xf1) === startBit ? Access.always : Access.write;
}

/** Allowing removal is allowed to everybody, preventing it is not (SPC-4 table 65). */
export function preventAccess(cdb: Uint8Array): Access {
  return (u8(cdb, 4) & 1) === 0 ? Access.always : Access.write;
}

export function startStartStop(unit: LogicalUnit, task: Task): boolean {
  const flags = u8(task.cdb, 4);
  // With a power condition LOEJ and START are ignored (SBC-3 5.25).
  if (flags >> 4 !== 0 || (flags & loadEjectBit) === 0) return true;
  if (!unit.device.capabilities.removable) return unit.badField(task, 4, 1);
  // Prevention holds the medium where it is: loaded or, once it is out, out.
  const moves = ((flags & startBit) !== 0) === unit.ejected;
  if (!moves || !unit.removalPrevented) return true;
  unit.check(task, Sense.removalPrevented);
  return false;
}

export function startStop(unit: LogicalUnit, task: Task): void {
  const flags = u8(task.cdb, 4);
  if (flags >> 4 !== 0) {
    task.finish();
    return;
  }
  if ((flags & startBit) !== 0) {
    if ((flags & loadEjectBit) !== 0 && unit.ejected) {
      unit.ejected = false;
      unit.post(Sense.mediumChanged, task.nexus);
    }
    task.finish();
    return;
  }
  new StopJob(unit, task, (flags & loadEjectBit) !== 0, (flags & noFlushBit) === 0).begin();
}

class StopJob extends Job {
  readonly #eject: boolean;
  #flush: boolean;

  constructor(unit: LogicalUnit, task: Task, eject: boolean, flush: boolean) {
    super(unit, task);
    this.#eject = eject;
    this.#flush = flush;
  }

  protected step(): boolean {
    if (this.#flush) {
      this.#flush = false;
      this.unit.device.flush(this);
      return true;
    }
    if (this.#eject) this.unit.ejected = true;
    return false;
  }

  protected stepped(): void {}
}

export function preventAllow(unit: LogicalUnit, task: Task): void {
  unit.state(task.nexus).preventing = (u8(task.cdb, 4) & 1) !== 0;
  task.finish();
}

export function testUnitReady(_unit: LogicalUnit, task: Task): void {
  task.finish();
}

/** The pending unit attention, which this takes away, or what keeps the unit from being ready. */
export function requestSense(unit: LogicalUnit, task: Task): void {
  const attention = unit.state(task.nexus).attentions.take();
  const { code, detail } = attention ? { code: attention, detail: {} } : condition(unit);
  answer(task, encodeSense(code, (u8(task.cdb, 1) & 1) !== 0, detail), u8(task.cdb, 4));
  task.finish();
}

/** What keeps the unit from being ready. */
function condition(unit: LogicalUnit): { code: SenseCode; detail: SenseDetail } {
  const { state, progress } = unit.sanitize;
  if (state === SanitizeState.running) {
    return { code: Sense.sanitizeInProgress, detail: { progress } };
  }
  if (state === SanitizeState.failed) return { code: Sense.sanitizeFailed, detail: {} };
  return { code: unit.ejected ? Sense.mediumNotPresent : Sense.none, detail: {} };
}
