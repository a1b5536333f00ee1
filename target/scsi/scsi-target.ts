/**
 * A SCSI target device with one target port group: LUN → logical unit, and the nexuses attached to it.
 *
 * Routes the 8-byte LUN of a command (SAM-5 4.7) and posts the unit attentions that concern the
 * target as a whole: REPORTED LUNS DATA HAS CHANGED, resets, nexus events. A nexus attached here is
 * attached to every logical unit, those added later included.
 */
import { strict as assert } from 'node:assert';
import { type Clock, realClock } from '../clock.ts';
import { AbsentUnit } from './absent-unit.ts';
import { type Alua, fixedAlua } from './alua.ts';
import type { BlockDevice } from './device.ts';
import { scsiLimits } from './limits.ts';
import { LogicalUnit } from './logical-unit.ts';
import { decodeLun, LunKind } from './lun.ts';
import type { Nexus } from './nexus.ts';
import { MemoryReservationStore, type ReservationStore } from './reservation-store.ts';
import { RodTokens } from './rod-tokens.ts';
import { Sense, type SenseCode } from './sense.ts';
import type { CopyTarget, TargetView } from './target-view.ts';
import type { Unit } from './unit.ts';
import { WellKnownUnit } from './well-known-unit.ts';

export interface ScsiTargetOptions {
  /** Target name (IQN). */
  readonly name: string;
  /** Relative target port identifier, 1…65535. */
  readonly relativePort: number;
  /** Target portal group tag, also the target port group. */
  readonly portalGroup: number;
  /**
   * Which logical units a third-party copy commanded by `nexus` may reach, by NAA designator. Null:
   * unknown or masked; a unit that the initiator could not log in to must be null (CVE-2020-28374).
   * Absent: the LUNs of this target. To offer those of another target, ask its `unitOf`. `known`: the
   * unit that was the answer before; it may be judged alone.
   */
  readonly copyTargets?: (nexus: Nexus, naa: Uint8Array, known?: LogicalUnit) => CopyTarget | null;
  /**
   * Relative identifiers of all ports of the target, ascending, when there is no `alua` and a port's
   * number is also its group's. Absent: the one above.
   */
  readonly ports?: () => readonly number[];
  /**
   * Target port groups and their states; absent: a group for each port, always active/optimized.
   * After a change that no host asked for `accessChanged(null)` is to be called.
   */
  readonly alua?: Alua;
  /** Shared by targets where a token made at one is to be good at another. Absent: one of its own. */
  readonly rodTokens?: RodTokens;
  /** Through which long work lets others run. */
  readonly clock?: Clock;
}

/**
 * Ends the tasks of `nexus` on `lun` without a response and calls `done` once, when nothing of them
 * can reach the device any more. The transport provides it (PREEMPT AND ABORT).
 */
export type AbortTasks = (nexus: Nexus, lun: number, done: () => void) => void;

/**
 * Calls `done` once, when no write of `nexuses` on `lun` that began before this call can still reach the
 * medium. Nothing is aborted, and what is begun later is refused by the reservation already.
 */
export type Settle = (lun: number, nexuses: readonly Nexus[], done: () => void) => void;

export class ScsiTarget implements TargetView {
  readonly name: string;
  readonly relativePort: number;
  readonly portalGroup: number;
  readonly alua: Alua;
  readonly aluaFixed: boolean;
  readonly rodTokens: RodTokens;
  /** Set by the transport; until then PREEMPT AND ABORT has nothing to abort. */
  onAbortTasks: AbortTasks | null = null;
  /** Set by the transport; until then a reservation answers without waiting for older writes. */
  onSettle: Settle | null = null;
  /** Set by the transport, which may tell hosts before they send a command. */
  onLunsChanged: (() => void) | null = null;
  readonly #units = new Map<number, LogicalUnit>();
  readonly #copyTargets: ScsiTargetOptions['copyTargets'];
  readonly #nexuses = new Set<Nexus>();
  readonly #clock: Clock;
  readonly #absent: AbsentUnit;
  readonly #wellKnown: WellKnownUnit;
  /** LUN 0 as a unit object, for the first command of every session without a map look-up. */
  #zero: Unit;

  constructor(options: ScsiTargetOptions) {
    assert(options.relativePort >= 1 && options.relativePort <= 0xffff);
    assert(options.portalGroup >= 0 && options.portalGroup <= 0xffff);
    this.name = options.name;
    this.relativePort = options.relativePort;
    this.portalGroup = options.portalGroup;
    this.#absent = new AbsentUnit(this);
    this.#wellKnown = new WellKnownUnit(this);
    this.#zero = this.#absent;
    this.#copyTargets = options.copyTargets;
    this.alua = options.alua ?? fixedAlua(options.portalGroup, options.relativePort, options.ports);
    this.aluaFixed = options.alua === undefined;
    this.#clock = options.clock ?? realClock;
    this.rodTokens = options.rodTokens ?? new RodTokens({ clock: this.#clock });
  }

  /** Offer `device` at `lun`, 0…16383. Attached nexuses learn of it by 3F/0E. */
  add(
    lun: number,
    device: BlockDevice,
    reservations: ReservationStore = new MemoryReservationStore(),
  ): void {
    assert(Number.isInteger(lun) && lun >= 0 && lun <= scsiLimits.lun);
    assert(!this.#units.has(lun), `LUN ${lun} is taken`);
    const unit = new LogicalUnit({ lun, device, target: this, reservations });
    for (const nexus of this.#nexuses) unit.attach(nexus);
    this.#post(Sense.lunsChanged);
    this.#units.set(lun, unit);
    if (lun === 0) this.#zero = unit;
    this.onLunsChanged?.();
  }

  /**
   * Take `lun` away. Commands already started end by themselves, later ones find no such LUN, and copies that
   * read or write there by command of another unit end before their next call. Resolves when neither a
   * write nor a call of a copy is inside the device.
   */
  remove(lun: number): Promise<void> {
    const unit = this.#units.get(lun);
    assert(unit, `LUN ${lun} is not there`);
    const left = new Promise<void>((resolve) => {
      this.settle(lun, unit.nexuses(), () => unit.visits.idle(resolve));
    });
    this.#units.delete(lun);
    if (lun === 0) this.#zero = this.#absent;
    unit.close();
    this.#post(Sense.lunsChanged);
    this.onLunsChanged?.();
    return left;
  }

  /** The LUNs offered, ascending. */
  luns(): number[] {
    return [...this.#units.keys()].sort((a, b) => a - b);
  }

  /** The unit that the 8-byte LUN field (as two u32) names; never null. */
  route(high: number, low: number): Unit {
    if (high === 0 && low === 0) return this.#zero;
    const decoded = decodeLun(high, low);
    if (decoded === LunKind.reportLuns) return this.#wellKnown;
    if (decoded === LunKind.none) return this.#absent;
    return this.#units.get(decoded) ?? this.#absent;
  }

  /** A session is in full-feature phase. Every unit has 29/00 for it. */
  attach(nexus: Nexus): void {
    assert(!this.#nexuses.has(nexus), 'nexus is attached already');
    this.#nexuses.add(nexus);
    this.#wellKnown.attach(nexus);
    for (const unit of this.#units.values()) unit.attach(nexus);
  }

  /** The session ended: its unit attentions, SPC-2 reservations and medium locks go. */
  detach(nexus: Nexus): void {
    if (!this.#nexuses.delete(nexus)) return;
    this.#wellKnown.detach(nexus);
    for (const unit of this.#units.values()) unit.detach(nexus);
  }

  /** LOGICAL UNIT RESET (SAM-5 6.3.3). False: no such logical unit. */
  reset(high: number, low: number): boolean {
    const unit = this.route(high, low);
    if (!(unit instanceof LogicalUnit)) return false;
    unit.reset(Sense.deviceReset);
    return true;
  }

  /** Target warm or cold reset: every logical unit is reset. */
  resetAll(): void {
    this.#wellKnown.post(Sense.powerOn);
    for (const unit of this.#units.values()) unit.reset(Sense.powerOn);
  }

  /** Tasks of `nexus` were cleared by another initiator (CLEAR TASK SET with TAS=0, SAM-5 5.14). */
  cleared(nexus: Nexus, high: number, low: number): void {
    const unit = this.route(high, low);
    if (unit instanceof LogicalUnit) unit.postTo(nexus, Sense.commandsCleared);
  }

  abortTasks(nexus: Nexus, lun: number, done: () => void): void {
    this.#units.get(lun)?.background.abort(nexus);
    if (this.onAbortTasks) this.onAbortTasks(nexus, lun, done);
    else done();
  }

  settle(lun: number, nexuses: readonly Nexus[], done: () => void): void {
    if (this.onSettle) this.onSettle(lun, nexuses, done);
    else done();
  }

  ports(): readonly number[] {
    return this.alua
      .groups()
      .flatMap((each) => each.ports)
      .sort((a, b) => a - b);
  }

  accessChanged(except: Nexus | null): void {
    for (const unit of this.#units.values()) unit.post(Sense.accessStateChanged, except);
  }

  /** The logical unit of this target with the NAA designator `naa`, or null. */
  unitOf(naa: Uint8Array): LogicalUnit | null {
    for (const unit of this.#units.values()) {
      if (Buffer.compare(unit.device.identity.naa, naa) === 0) return unit;
    }
    return null;
  }

  /** Calls `done` once, when no copy that another unit was commanded to do is inside a device of this target. */
  whenUnvisited(done: () => void): void {
    afterEach([...this.#units.values()], (unit, one) => unit.visits.idle(one), done);
  }

  /** Whether `unit` is one of this target's and was not taken away. */
  offers(unit: LogicalUnit): boolean {
    return this.#units.get(unit.lun) === unit;
  }

  /** `known` if it is offered here; without it the unit with the designator `naa`. */
  ownUnit(naa: Uint8Array, known?: LogicalUnit): LogicalUnit | null {
    if (known === undefined) return this.unitOf(naa);
    return this.offers(known) ? known : null;
  }

  copyTarget(nexus: Nexus, naa: Uint8Array, known?: LogicalUnit): CopyTarget | null {
    if (this.#copyTargets !== undefined) return this.#copyTargets(nexus, naa, known);
    const unit = this.ownUnit(naa, known);
    return unit === null ? null : { unit, readOnly: nexus.readOnly };
  }

  /**
   * The first half of a reset of the unit, or of all: copies by command of other units that read or write
   * there end. `done` is called once, when no call of theirs is inside the devices of the units any more,
   * which are returned.
   */
  endCopies(
    lun: { readonly high: number; readonly low: number } | null,
    done: () => void,
  ): readonly Unit[] {
    const named = lun === null ? null : this.route(lun.high, lun.low);
    const units = [...this.#units.values()].filter((unit) => lun === null || unit === named);
    afterEach(units, (unit, one) => unit.endCopies(one), done);
    return units;
  }

  soon(next: () => void): void {
    this.#clock.soon(next);
  }

  defer(next: () => void): void {
    this.#clock.after(0, next);
  }

  lunsReported(nexus: Nexus): void {
    for (const unit of this.#units.values()) unit.drop(nexus, Sense.lunsChanged);
    this.#wellKnown.drop(nexus, Sense.lunsChanged);
  }

  #post(code: SenseCode): void {
    this.#wellKnown.post(code);
    for (const unit of this.#units.values()) unit.post(code, null);
  }
}

/** Calls `done` once, when each of `units` has called back; at once when there are none. */
function afterEach(
  units: readonly LogicalUnit[],
  begin: (unit: LogicalUnit, one: () => void) => void,
  done: () => void,
): void {
  let left = units.length;
  if (left === 0) done();
  for (const unit of units) {
    begin(unit, () => {
      left--;
      if (left === 0) done();
    });
  }
}
