/**
 * A logical unit over a block device (SAM-5 4.6.18): the gate every command goes through, and the
 * state that commands share: unit attentions per nexus, reservations, mode parameters, medium.
 *
 * The order of checks is the standard's precedence: reservation conflict (SAM-5 5.3.3), unit
 * attention (5.14), opcode and CDB, medium, write protection, then what the command itself asks.
 */
import { strict as assert } from 'node:assert';
import { aluaRefusal } from './alua.ts';
import { AttentionQueue } from './attention.ts';
import { BackgroundWork } from './background.ts';
import { u8 } from './bytes.ts';
import { Access, type Command } from './command.ts';
import type { CopyRecord } from './copy-results.ts';
import type { BlockDevice, DeviceChange, DeviceError, DeviceListener } from './device.ts';
import { failTask } from './device-failure.ts';
import { commandOf, commands, hasActions } from './dispatch.ts';
import { ModeParameters } from './mode-parameters.ts';
import { initiatorPort, type Nexus } from './nexus.ts';
import { fieldInCdb, setCheck } from './outcome.ts';
import type { ReservationStore } from './reservation-store.ts';
import { Reservations } from './reservations.ts';
import type { RodRecord } from './rod-results.ts';
import { SanitizeState, SanitizeStatus } from './sanitize.ts';
import { ScratchPool } from './scratch.ts';
import { Sense, type SenseCode, type SenseDetail } from './sense.ts';
import { ScsiStatus } from './status.ts';
import type { TargetView } from './target-view.ts';
import { type Task, Transfer } from './task.ts';
import type { Unit } from './unit.ts';
import { Visits } from './visits.ts';

export interface LogicalUnitOptions {
  readonly lun: number;
  readonly device: BlockDevice;
  readonly target: TargetView;
  readonly reservations: ReservationStore;
}

/** What a unit keeps of one attached nexus. */
export interface NexusState {
  readonly nexus: Nexus;
  readonly attentions: AttentionQueue;
  /** PREVENT ALLOW MEDIUM REMOVAL: this nexus prevents it. */
  preventing: boolean;
  /** EXTENDED COPY commands of this nexus by list identifier (SPC-4 6.4.3.2). */
  readonly copies: Map<number, CopyRecord>;
  /** POPULATE TOKEN and WRITE USING TOKEN of this nexus by list identifier. */
  readonly rods: Map<number, RodRecord>;
}

export class LogicalUnit implements Unit, DeviceListener {
  readonly lun: number;
  /** To be asked for at each call: while a ROD token of it lives, one that notices changes stands here. */
  device: BlockDevice;
  readonly target: TargetView;
  readonly mode: ModeParameters;
  readonly reservations: Reservations;
  readonly scratch: ScratchPool;
  readonly sanitize = new SanitizeStatus();
  readonly visits = new Visits();
  readonly background = new BackgroundWork();
  /** Resets and sanitize operations: copies that began before one of them end. */
  breaks = 0;
  /** The medium of a removable unit was ejected. */
  ejected = false;
  /** Who holds the SPC-2 RESERVE, or null. */
  legacyHolder: Nexus | null = null;
  /** Aborted tasks inside the device that nobody waits for any more. */
  #held = 0;
  readonly #states = new Map<Nexus, NexusState>();
  readonly #stopListening: () => void;
  readonly #leaveRods: () => void;

  constructor(options: LogicalUnitOptions) {
    const { device } = options;
    assert(device.sectorBytes === 512 || device.sectorBytes === 4096, 'sector size');
    assert(device.sectors >= 1, 'a device has at least one sector');
    assert(device.identity.naa.length === 16 && (device.identity.naa[0] ?? 0) >> 4 === 6, 'NAA-6');
    this.lun = options.lun;
    this.device = device;
    this.mode = new ModeParameters(device);
    this.target = options.target;
    this.scratch = new ScratchPool((next) => this.target.soon(next));
    this.reservations = new Reservations(this, options.reservations);
    this.#stopListening = device.listen(this);
    this.#leaveRods = this.target.rodTokens.join(this);
  }

  /** D_SENSE of the control mode page: which format sense data has. */
  get descriptorSense(): boolean {
    return this.mode.descriptorSense;
  }

  /** TAS of the control mode page. */
  get tellsAborts(): boolean {
    return this.mode.taskAbortedStatus;
  }

  close(): void {
    this.#stopListening();
    this.background.close();
    this.#leaveRods();
  }

  // --- nexuses and unit attentions ---

  attach(nexus: Nexus): void {
    assert(!this.#states.has(nexus));
    const state = {
      nexus,
      attentions: new AttentionQueue(),
      preventing: false,
      copies: new Map(),
      rods: new Map(),
    };
    state.attentions.post(Sense.powerOn);
    this.#states.set(nexus, state);
  }

  detach(nexus: Nexus): void {
    this.#states.delete(nexus);
    this.background.abort(nexus);
    if (this.legacyHolder === nexus) this.legacyHolder = null;
  }

  state(nexus: Nexus): NexusState {
    const state = this.#states.get(nexus);
    assert(state, 'the nexus is not attached to this unit');
    return state;
  }

  /** Whether any nexus prevents medium removal. */
  get removalPrevented(): boolean {
    for (const state of this.#states.values()) if (state.preventing) return true;
    return false;
  }

  /** A unit attention for every nexus but `except`. */
  post(code: SenseCode, except: Nexus | null): void {
    for (const state of this.#states.values()) {
      if (state.nexus !== except) state.attentions.post(code);
    }
  }

  postTo(nexus: Nexus, code: SenseCode): void {
    this.#states.get(nexus)?.attentions.post(code);
  }

  drop(nexus: Nexus, code: SenseCode): void {
    this.#states.get(nexus)?.attentions.drop(code);
  }

  /** The attached nexuses of an initiator port through a relative target port. */
  nexusesOf(port: string, relativePort: number): Nexus[] {
    const found: Nexus[] = [];
    for (const { nexus } of this.#states.values()) {
      if (nexus.relativePort === relativePort && initiatorPort(nexus) === port) found.push(nexus);
    }
    return found;
  }

  /**
   * A reset aborts every command in the unit (SAM-5 5.6, 6.3.3). Those with which a copy manager reads and
   * writes here are among them, and to it their end is the failure of this CSCD (SPC-4 6.4.3.2): a copy
   * through another unit ends. Who uses a reset as a fence relies on nothing old landing behind it. A
   * function that names tasks or task sets reaches only the tasks of this unit and leaves such copies alone.
   */
  endCopies(done: () => void): void {
    this.breaks++;
    this.background.abort(null);
    this.visits.idle(done);
  }

  /** LOGICAL UNIT RESET (SAM-5 6.3.3); persistent reservations stay. */
  reset(code: SenseCode): void {
    this.legacyHolder = null;
    this.mode.reset();
    this.background.abort(null);
    for (const state of this.#states.values()) {
      state.preventing = false;
      state.rods.clear();
    }
    this.post(code, null);
  }

  changed(change: DeviceChange): void {
    if (change === 'capacity') {
      this.target.rodTokens.resized(this);
      this.post(Sense.capacityChanged, null);
    } else if (change === 'provisioning') this.lookAtThresholds();
    else if (change === 'identity') this.post(Sense.inquiryChanged, null);
    else {
      this.post(Sense.modeChanged, null);
      this.post(Sense.inquiryChanged, null);
    }
  }

  /** After what a thin device takes or leaves has changed, or a mark has. */
  lookAtThresholds(): void {
    for (const code of this.mode.thresholds.look()) this.post(code, null);
  }

  // --- commands ---

  /** Whether writes of `nexus` are refused, and by what. */
  protection(nexus: { readonly readOnly: boolean }): SenseCode | null {
    if (nexus.readOnly || this.device.capabilities.readOnly) return Sense.writeProtected;
    return this.mode.softwareWriteProtect ? Sense.softwareWriteProtected : null;
  }

  start(task: Task): boolean {
    task.status = ScsiStatus.good;
    task.sense = null;
    task.dataIn = null;
    task.transfer = Transfer.none;
    task.offset = 0;
    task.length = 0;
    task.fua = false;
    const command = commandOf(task.cdb);
    if (command !== null && this.#conflicts(command, task)) {
      task.status = ScsiStatus.reservationConflict;
      return false;
    }
    const state = this.state(task.nexus);
    if (state.attentions.pending && !command?.attentionExempt) {
      const code = state.attentions.take();
      assert(code);
      this.check(task, code);
      return false;
    }
    if (this.#sanitizing(command, task)) return false;
    if (command === null) return this.#unknown(task);
    if (command.supported !== null && !command.supported(this)) return this.#unknown(task);
    if (!this.target.aluaFixed) {
      const code = aluaRefusal(this.target.alua, task.nexus, command);
      if (code !== null) {
        this.check(task, code);
        return false;
      }
    }
    return this.#admit(command, task);
  }

  #admit(command: Command, task: Task): boolean {
    const { refused } = command;
    for (let i = 1; i < refused.length; i++) {
      const wrong = u8(task.cdb, i) & (refused[i] ?? 0);
      if (wrong !== 0) return this.badField(task, i, 31 - Math.clz32(wrong));
    }
    if (command.medium && this.ejected) {
      this.check(task, Sense.mediumNotPresent);
      return false;
    }
    const code = this.#refusal(command, task.nexus);
    if (code !== null) {
      this.check(task, code);
      return false;
    }
    if (command.writes && this.background.lingering > 0) {
      task.status = ScsiStatus.busy;
      return false;
    }
    if (this.#held !== 0 && command.touches) {
      task.status = ScsiStatus.busy;
      return false;
    }
    task.transfer = command.transfer;
    return command.start === null || command.start(this, task);
  }

  #refusal(command: Command, nexus: Nexus): SenseCode | null {
    if (command.alters && nexus.readOnly) return Sense.writeProtected;
    return command.writes ? this.protection(nexus) : null;
  }

  #unknown(task: Task): false {
    // SPC-4 4.3.4.2: a service action that is not supported is an invalid field, not an opcode.
    const opcode = u8(task.cdb, 0);
    const known = (each: Command) => each.supported === null || each.supported(this);
    if (hasActions(opcode) && commands.some((each) => each.opcode === opcode && known(each))) {
      return this.badField(task, 1, 4);
    }
    this.check(task, Sense.invalidOpcode);
    return false;
  }

  /** Whether a sanitize operation under way, or one that failed, keeps `command` out; sets the sense. */
  #sanitizing(command: Command | null, task: Task): boolean {
    const { state, progress } = this.sanitize;
    if (state === SanitizeState.none || command?.whileSanitizing) return false;
    if (state === SanitizeState.running) {
      this.check(task, Sense.sanitizeInProgress, { progress });
      return true;
    }
    if (command?.sanitizes) return false;
    this.check(task, Sense.sanitizeFailed);
    return true;
  }

  /** By a reservation made, or a sanitize operation begun, since `start`. Long work asks again and again. */
  excluded(task: Task): boolean {
    if (this.sanitize.state !== SanitizeState.none) {
      if (this.#sanitizing(commandOf(task.cdb), task)) return true;
    }
    if (this.legacyHolder === null && !this.reservations.held) return false;
    const command = commandOf(task.cdb);
    if (command === null || !this.#conflicts(command, task)) return false;
    task.status = ScsiStatus.reservationConflict;
    return true;
  }

  /**
   * BUSY and not NOT READY: it is over soon, hosts send the command again by themselves (SAM-5 5.3.1),
   * and no recovery of theirs begins. What says who and how the unit is (INQUIRY, REPORT LUNS, REQUEST
   * SENSE, which SPC-4 6.6.1, 6.33 and 6.39 want answered always; mode, log, capacity) and what
   * persistent reservations ask goes on: they do not touch the medium, and fencing must work just
   * then. TEST UNIT READY is GOOD, as no command would end in CHECK CONDITION (SPC-4 6.47); path
   * checkers that send it take BUSY for a dead path.
   */
  #busy(task: Task): boolean {
    if (commandOf(task.cdb)?.touches !== true) return false;
    task.status = ScsiStatus.busy;
    return true;
  }

  keptOut(task: Task): boolean {
    return this.excluded(task) || (this.#held !== 0 && this.#busy(task));
  }

  get held(): boolean {
    return this.#held !== 0;
  }

  hold(): void {
    this.#held++;
  }

  lift(): void {
    assert(this.#held > 0);
    this.#held--;
  }

  nexuses(): Nexus[] {
    return [...this.#states.keys()];
  }

  /** The attached nexuses that no reservation keeps from writing. */
  writers(): Nexus[] {
    const found: Nexus[] = [];
    for (const { nexus } of this.#states.values()) {
      if (!this.bars(Access.write, nexus)) found.push(nexus);
    }
    return found;
  }

  /**
   * Whether a reservation of another keeps `nexus` from what needs `access`: for the units a copy reads and
   * writes, which may be others than the one that has the command.
   *
   * Reservations are of I_T nexuses (SPC-4 5.13.1). A nexus of another target has none here, and a copy of it
   * comes through no port of this one. What stands for it is its initiator port: name and ISID, as a
   * TransportID has them, through whichever port that is registered or reserving. A session of the same host
   * with another ISID is another initiator port, and is kept out as it would be if it came itself.
   */
  bars(access: Access, nexus: Nexus): boolean {
    const { legacyHolder: holder } = this;
    if (nexus.target === this.target.name) {
      if (holder !== null && holder !== nexus) return true;
      return this.reservations.conflicts(access, nexus);
    }
    const port = initiatorPort(nexus);
    if (holder !== null && initiatorPort(holder) !== port) return true;
    return this.reservations.conflictsPort(access, port);
  }

  #conflicts(command: Command, task: Task): boolean {
    if (this.legacyHolder !== null) {
      if (this.legacyHolder !== task.nexus && !command.whileReserved) return true;
    }
    if (!this.reservations.held) return false;
    const access = command.accessOf === null ? command.access : command.accessOf(task.cdb);
    return access !== Access.always && this.reservations.conflicts(access, task.nexus);
  }

  execute(task: Task, dataOut: Uint8Array | null): void {
    const command = commandOf(task.cdb);
    assert(command, 'execute without start');
    if (this.keptOut(task)) task.finish();
    else command.execute(this, task, dataOut);
  }

  fail(task: Task, error: DeviceError): void {
    failTask(this, task, error);
  }

  check(task: Task, code: SenseCode, detail?: SenseDetail): void {
    setCheck(task, code, this.descriptorSense, detail);
  }

  /** INVALID FIELD IN CDB; always false. */
  badField(task: Task, byte: number, bit?: number): false {
    return fieldInCdb(task, this.descriptorSense, byte, bit);
  }
}
