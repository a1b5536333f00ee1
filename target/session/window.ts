/**
 * Serial numbers (RFC 1982 with 32 bits) and the command window of a session (RFC 7143 4.2.2.1).
 *
 * Invariants: ExpCmdSN and MaxCmdSN never go back; MaxCmdSN - ExpCmdSN + 1 is what the session can
 * still take beside the commands that it holds.
 */

/** True when serial number `a` comes before `b`. */
export function serialBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export const Admission = {
  /** In turn: ExpCmdSN has advanced. */
  take: 0,
  /** Outside of the window: to be ignored silently. */
  drop: 1,
  /** Inside the window but not next: something before it is missing. */
  gap: 2,
} as const;
export type Admission = (typeof Admission)[keyof typeof Admission];

export class CommandWindow {
  /** Next CmdSN in turn, as an unsigned 32-bit number. */
  expCmdSn: number;
  /** Non-immediate commands taken and not yet answered. */
  outstanding = 0;
  #size: number;
  #maxCmdSn: number;

  constructor(cmdSn: number, size: number) {
    this.expCmdSn = cmdSn >>> 0;
    this.#size = size;
    this.#maxCmdSn = (cmdSn + size - 1) >>> 0;
  }

  /** The MaxCmdSN to announce now. */
  get maxCmdSn(): number {
    const now = (this.expCmdSn + this.#size - this.outstanding - 1) >>> 0;
    if (serialBefore(this.#maxCmdSn, now)) this.#maxCmdSn = now;
    return this.#maxCmdSn;
  }

  /** True: the initiator may send nothing but immediate commands. */
  get closed(): boolean {
    return this.maxCmdSn === (this.expCmdSn - 1) >>> 0;
  }

  /** Judges a non-immediate command and, when it is in turn, counts it. */
  admit(cmdSn: number): Admission {
    if (cmdSn === this.expCmdSn && !serialBefore(this.#maxCmdSn, cmdSn)) {
      this.expCmdSn = (this.expCmdSn + 1) >>> 0;
      return Admission.take;
    }
    if (serialBefore(cmdSn, this.expCmdSn) || serialBefore(this.maxCmdSn, cmdSn)) {
      return Admission.drop;
    }
    return Admission.gap;
  }

  /** A command that never came is taken as received (ABORT TASK: RFC 7143 11.6.1). */
  skip(cmdSn: number): boolean {
    if (cmdSn !== this.expCmdSn) return false;
    this.expCmdSn = (this.expCmdSn + 1) >>> 0;
    return true;
  }

  /** Memory is short (or not any more): commands beyond `size` wait at the initiator. */
  resize(size: number): void {
    this.#size = size;
  }
}
