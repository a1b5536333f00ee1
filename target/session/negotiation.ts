/**
 * Negotiation of operational keys (RFC 7143 6.2, 13): offers in, answers out, and the parameters
 * that follow. One object per login; pure.
 *
 * A key may be offered once in a login; a second offer is a protocol error (6.3).
 */
import type { Limits } from '../limits.ts';
import type { Pair } from '../wire/text.ts';
import {
  Answer,
  defaultParameters,
  type KeyRow,
  Keys,
  type Parameters,
  parseNumber,
} from './keys.ts';

export class Negotiation {
  readonly parameters: Parameters = defaultParameters();
  readonly #limits: Limits;
  readonly #discovery: boolean;
  readonly #seen = new Set<string>();

  constructor(limits: Limits, discovery: boolean) {
    this.#limits = limits;
    this.#discovery = discovery;
  }

  /** True: this key was offered before in this login. */
  repeated(key: string): boolean {
    if (this.#seen.has(key)) return true;
    this.#seen.add(key);
    return false;
  }

  /** The answer to an offer, or null when the key is not to be answered. */
  offer(key: string, value: string): Pair | null {
    const row = Object.hasOwn(Keys, key) ? Keys[key]! : null;
    if (row === null) return [key, Answer.notUnderstood];
    const answer = this.#answer(row, value);
    if (answer === null) {
      return this.#declared(key, row, value) ? null : [key, Answer.reject];
    }
    if (answer !== Answer.reject && answer !== Answer.irrelevant) this.#settle(key, answer);
    return [key, answer];
  }

  /** After the last offer: what depends on two keys at once. */
  finish(): void {
    const p = this.parameters;
    p.firstBurstBytes = Math.min(p.firstBurstBytes, p.maxBurstBytes);
  }

  #answer(row: KeyRow, value: string): string | null {
    if (row.normalOnly === true && this.#discovery) return Answer.irrelevant;
    switch (row.kind) {
      case 'declared':
        return null;
      case 'target':
        return Answer.reject;
      case 'obsolete':
        return row.ours!;
      case 'list':
        return choose(value, row.ours ?? '');
      case 'and':
        return isBoolean(value) ? both(value === 'Yes' && row.ours === 'Yes') : Answer.reject;
      case 'or':
        return isBoolean(value) ? both(value === 'Yes' || row.ours === 'Yes') : Answer.reject;
      case 'minimum':
      case 'maximum':
        return this.#number(row, value);
    }
  }

  #number(row: KeyRow, value: string): string {
    const theirs = parseNumber(value);
    const [low, high] = row.range!;
    if (theirs === null || theirs < low || theirs > high) return Answer.reject;
    const ours = row.bound!(this.#limits);
    return String(row.kind === 'minimum' ? Math.min(theirs, ours) : Math.max(theirs, ours));
  }

  /** A declared value; false: it is illegal. */
  #declared(key: string, row: KeyRow, value: string): boolean {
    if (row.range === undefined) return true;
    const number = parseNumber(value);
    if (number === null || number < row.range[0] || number > row.range[1]) return false;
    if (key === 'MaxRecvDataSegmentLength') this.parameters.sendSegmentBytes = number;
    return true;
  }

  #settle(key: string, value: string): void {
    const p = this.parameters;
    if (key === 'HeaderDigest') p.headerDigest = value === 'CRC32C';
    else if (key === 'DataDigest') p.dataDigest = value === 'CRC32C';
    else if (key === 'InitialR2T') p.initialR2t = value === 'Yes';
    else if (key === 'ImmediateData') p.immediateData = value === 'Yes';
    else if (key === 'MaxBurstLength') p.maxBurstBytes = Number(value);
    else if (key === 'FirstBurstLength') p.firstBurstBytes = Number(value);
    else if (key === 'MaxOutstandingR2T') p.outstandingR2t = Number(value);
  }
}

function choose(offered: string, ours: string): string {
  const have = ours.split(',');
  return offered.split(',').find((value) => have.includes(value)) ?? Answer.reject;
}

function isBoolean(value: string): boolean {
  return value === 'Yes' || value === 'No';
}

function both(yes: boolean): string {
  return yes ? 'Yes' : 'No';
}
