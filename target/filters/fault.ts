/**
 * Makes chosen calls fail, the way a bad disk, a full pool or a lost server would.
 *
 * A call is held against the rules in the order in which they were added; each rule counts the calls
 * that match it, and the first one that is due decides. Reads that a rule may concern are taken off
 * the quick path (readNow), so that every one of them is counted.
 */
import {
  type BlockDevice,
  type Completion,
  DeviceError,
  type DeviceErrorCode,
} from '../scsi/device.ts';
import {
  CallFilter,
  completion,
  type DeviceCall,
  type DeviceCallKind,
  describe,
  type Pass,
} from './filter.ts';

export interface FaultRule {
  /** The calls it concerns; absent: all. */
  readonly kinds?: readonly DeviceCallKind[];
  /** Bytes; calls that touch none of them are not concerned. A flush touches every range. */
  readonly range?: { readonly offset: number; readonly length: number };
  /** Matching calls that are let pass first; 0 unless said. */
  readonly skip?: number;
  /** Then every n-th matching call is due, the first at once; 1 (each) unless said. */
  readonly every?: number;
  /** Faults after which the rule is used up; absent: never. */
  readonly times?: number;
  /** `miscompare` goes with compareAndWrite alone. */
  readonly code: DeviceErrorCode;
  readonly message?: string;
  /** The call is carried out below and fails all the same: an answer lost, not a request. */
  readonly carriedOut?: boolean;
}

interface Armed {
  readonly rule: FaultRule;
  matched: number;
  fired: number;
}

export class FaultFilter extends CallFilter {
  #armed: Armed[] = [];
  #faults = 0;

  /** Throws RangeError for a rule that can never work, as `add` does. */
  constructor(next: BlockDevice, rules: readonly FaultRule[] = []) {
    super(next);
    for (const rule of rules) this.add(rule);
  }

  /** Calls that were made to fail so far. */
  get faults(): number {
    return this.#faults;
  }

  /** In force from the next call on; returns the way to take the rule away. */
  add(rule: FaultRule): () => void {
    checkRule(rule);
    const armed: Armed = { rule, matched: 0, fired: 0 };
    this.#armed.push(armed);
    return () => {
      this.#armed = this.#armed.filter((other) => other !== armed);
    };
  }

  /** Takes every rule away. */
  clear(): void {
    this.#armed = [];
  }

  override readNow(offset: number, length: number, into: Uint8Array, at: number): boolean {
    if (this.#armed.length !== 0) {
      const call = describe('read', offset, length);
      if (this.#armed.some(({ rule }) => concerns(rule, call))) return false;
    }
    return super.readNow(offset, length, into, at);
  }

  protected override call(call: DeviceCall, done: Completion, pass: Pass): void {
    const rule = this.#due(call);
    if (rule === null) {
      pass(done);
      return;
    }
    this.#faults++;
    const error = new DeviceError(rule.code, rule.message ?? `${call.kind}: a fault was asked for`);
    if (rule.carriedOut === true) pass(completion((real) => done.complete(real ?? error)));
    else done.complete(error);
  }

  /** Counts the call with every rule that it matches, up to the one that is due. */
  #due(call: DeviceCall): FaultRule | null {
    for (const armed of this.#armed) {
      const { rule } = armed;
      if (!concerns(rule, call)) continue;
      const past = armed.matched - (rule.skip ?? 0);
      armed.matched++;
      if (past < 0 || past % (rule.every ?? 1) !== 0) continue;
      armed.fired++;
      if (armed.fired === rule.times) {
        this.#armed = this.#armed.filter((other) => other !== armed);
      }
      return rule;
    }
    return null;
  }
}

function concerns(rule: FaultRule, call: DeviceCall): boolean {
  if (rule.kinds !== undefined && !rule.kinds.includes(call.kind)) return false;
  const { range } = rule;
  if (range === undefined || call.kind === 'flush') return true;
  return call.offset < range.offset + range.length && range.offset < call.offset + call.length;
}

function checkRule(rule: FaultRule): void {
  const counts = [rule.skip ?? 0, (rule.every ?? 1) - 1, (rule.times ?? 1) - 1];
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0)) {
    throw new RangeError('skip is a whole number from 0; every and times are from 1');
  }
  if (rule.range !== undefined && !(rule.range.offset >= 0 && rule.range.length > 0)) {
    throw new RangeError('a range has an offset from 0 and a length above 0');
  }
  const compares = rule.kinds?.every((kind) => kind === 'compareAndWrite') ?? false;
  if (rule.code === 'miscompare' && !compares) {
    throw new RangeError('miscompare can only be the answer to compareAndWrite');
  }
}
