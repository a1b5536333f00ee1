/**
 * The ROD tokens of a server: who holds them, what they stand for, and why they ended (SPC-4 5.17.6.5.2,
 * 5.17.6.7). One store may serve many targets, so that a token made at one is good at another.
 *
 *   living ─┬─ not used for its inactivity timeout ─▶ EXPIRED
 *           ├─ a byte it stands for is about to change,
 *           │  or room is needed, or the unit shrinks ─▶ CANCELLED
 *           ├─ its unit is taken away ────────────────▶ REVOKED
 *           └─ DEL_TKN ───────────────────────────────▶ DELETED
 *
 * A token belongs to the initiator that made it; anybody else is told what they would be told of bytes
 * that were never a token. Time is looked at when something happens, so an idle store has no timer.
 */
import { strict as assert } from 'node:assert';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type Clock, realClock } from '../clock.ts';
import { u16, u32 } from './bytes.ts';
import type { BlockDevice } from './device.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import {
  type Extent,
  encodeRodToken,
  RodToken,
  RodType,
  rodRandomLength,
  rodTokenLength,
  rodTokenRest,
} from './rod-token.ts';
import { type ChangeWatcher, WatchedDevice } from './rod-watch.ts';
import { Sense, type SenseCode } from './sense.ts';

export interface RodTokensOptions {
  readonly clock?: Clock;
  /** So many bytes that nobody can guess. */
  readonly random?: (bytes: number) => Uint8Array;
}

export interface RodRequest {
  readonly initiator: string;
  readonly unit: LogicalUnit;
  readonly extents: readonly Extent[];
  readonly timeoutMs: number;
}

export class RodTokens {
  readonly #clock: Clock;
  readonly #random: (bytes: number) => Uint8Array;
  /** By identifier; the one that was not used for longest comes first. */
  readonly #living = new Map<string, RodToken>();
  readonly #ended = new Map<string, RodToken>();
  /** By NAA designator: units that show the same medium are watched as one. */
  readonly #watches = new Map<string, Watch>();
  readonly #watchOf = new Map<LogicalUnit, Watch>();

  constructor(options: RodTokensOptions = {}) {
    this.#clock = options.clock ?? realClock;
    this.#random = options.random ?? randomBytes;
  }

  /** Tokens that live. */
  get size(): number {
    return this.#living.size;
  }

  /** By the store's clock. */
  nowMs(): number {
    return this.#clock.now();
  }

  /** `unit` serves from now on; to be called with its own device in place. Returns the way to leave. */
  join(unit: LogicalUnit): () => void {
    const naa = unit.device.identity.naa.slice();
    const key = hex(naa);
    const watch = this.#watches.get(key) ?? new Watch(this, naa);
    this.#watches.set(key, watch);
    this.#watchOf.set(unit, watch);
    watch.join(unit);
    return () => {
      watch.leave(unit);
      this.#watchOf.delete(unit);
      if (watch.units.size > 0) return;
      // Nobody watches the medium any more.
      for (const token of [...watch.tokens]) this.end(token, Sense.tokenRevoked);
      this.#watches.delete(key);
    };
  }

  /**
   * A token that lives from now on: whatever is begun later and changes its data ends it. Null: the unit
   * was taken away while the command was on its way.
   */
  make(request: RodRequest): RodToken | null {
    const { initiator, unit, extents, timeoutMs } = request;
    const watch = this.#watchOf.get(unit);
    if (watch === undefined) return null;
    this.#expire();
    this.#makeRoom(initiator);
    const size = extents.reduce((sum, each) => sum + each.bytes, 0);
    let bytes: Uint8Array;
    do bytes = encodeRodToken(unit, size, this.#random(8 + rodRandomLength));
    while (this.#living.has(keyOf(bytes)) || this.#ended.has(keyOf(bytes)));
    const token = new RodToken(bytes, initiator, watch.naa, extents, timeoutMs);
    token.expiresMs = this.nowMs() + timeoutMs;
    this.#living.set(keyOf(bytes), token);
    watch.add(token);
    return token;
  }

  /** Waits until no write is under way that was begun before this call, on whatever path. */
  settle(token: RodToken, done: () => void): void {
    const units = [...(this.#watches.get(hex(token.naa))?.units ?? [])];
    let left = units.length;
    if (left === 0) done();
    for (const unit of units) {
      unit.visits.idle(() => {
        unit.target.settle(unit.lun, unit.nexuses(), () => {
          left--;
          if (left === 0) done();
        });
      });
    }
  }

  /** The token that `bytes` are, for `initiator`; or why they are none. */
  find(bytes: Uint8Array, initiator: string): RodToken | SenseCode {
    assert(bytes.length === rodTokenLength);
    if (u16(bytes, 6) !== rodTokenRest) return Sense.tokenLength;
    if (u32(bytes, 0) !== RodType.changeVulnerable) return Sense.unsupportedTokenType;
    this.#expire();
    const token = this.#living.get(keyOf(bytes)) ?? this.#ended.get(keyOf(bytes));
    if (token === undefined || token.initiator !== initiator) return Sense.tokenUnknown;
    if (!timingSafeEqual(token.bytes, bytes)) return Sense.tokenCorrupt;
    return token.ended ?? token;
  }

  /** A command begins to work with it: until `release` its time does not run. */
  use(token: RodToken): void {
    token.uses++;
    this.#freshen(token);
  }

  release(token: RodToken): void {
    assert(token.uses > 0);
    token.uses--;
    token.expiresMs = this.nowMs() + token.timeoutMs;
    this.#freshen(token);
  }

  /** Ends `token` if its time is over at `now`. */
  expire(token: RodToken, now: number): void {
    if (token.uses === 0 && now >= token.expiresMs) this.end(token, Sense.tokenExpired);
  }

  end(token: RodToken, why: SenseCode): void {
    if (token.ended !== null) return;
    token.ended = why;
    const key = keyOf(token.bytes);
    this.#living.delete(key);
    this.#ended.set(key, token);
    if (this.#ended.size > scsiLimits.rodEnded) {
      for (const oldest of this.#ended.keys()) {
        this.#ended.delete(oldest);
        break;
      }
    }
    this.#watches.get(hex(token.naa))?.drop(token);
  }

  /** The size of `unit` has changed: what is no longer there has no token. */
  resized(unit: LogicalUnit): void {
    const { sectors, sectorBytes } = unit.device;
    for (const token of [...(this.#watchOf.get(unit)?.tokens ?? [])]) {
      if (token.end > sectors * sectorBytes) this.end(token, Sense.tokenCancelled);
    }
  }

  #freshen(token: RodToken): void {
    const key = keyOf(token.bytes);
    if (this.#living.delete(key)) this.#living.set(key, token);
  }

  #expire(): void {
    const now = this.nowMs();
    for (const token of [...this.#living.values()]) this.expire(token, now);
  }

  /** Room for one more of `initiator`: first among its own, then among all. */
  #makeRoom(initiator: string): void {
    const own = [...this.#living.values()].filter((each) => each.initiator === initiator);
    const { rodTokens, rodTokensPerInitiator } = scsiLimits;
    for (const oldest of own.slice(0, Math.max(0, own.length + 1 - rodTokensPerInitiator))) {
      this.end(oldest, Sense.tokenCancelled);
    }
    for (const oldest of this.#living.values()) {
      if (this.#living.size < rodTokens) break;
      this.end(oldest, Sense.tokenCancelled);
    }
  }
}

/** The tokens of one medium and the units that show it. */
class Watch implements ChangeWatcher {
  readonly units = new Set<LogicalUnit>();
  readonly tokens = new Set<RodToken>();
  /** Units over one device share what watches it, so that it stays one device to those who compare. */
  readonly #watched = new Map<BlockDevice, WatchedDevice>();
  /** As it was when the first of the units came. */
  readonly naa: Uint8Array;
  readonly #store: RodTokens;

  constructor(store: RodTokens, naa: Uint8Array) {
    this.#store = store;
    this.naa = naa;
  }

  join(unit: LogicalUnit): void {
    this.units.add(unit);
    if (this.tokens.size > 0) this.#cover(unit);
  }

  leave(unit: LogicalUnit): void {
    this.units.delete(unit);
  }

  add(token: RodToken): void {
    this.tokens.add(token);
    if (this.tokens.size === 1) for (const unit of this.units) this.#cover(unit);
  }

  drop(token: RodToken): void {
    this.tokens.delete(token);
    if (this.tokens.size > 0) return;
    for (const unit of this.units) {
      if (unit.device instanceof WatchedDevice) unit.device = unit.device.watched;
    }
    this.#watched.clear();
  }

  changing(offset: number, length: number): void {
    const now = this.#store.nowMs();
    for (const token of this.tokens) {
      if (token.covers(offset, length)) this.#store.end(token, Sense.tokenCancelled);
      else this.#store.expire(token, now);
    }
  }

  #cover(unit: LogicalUnit): void {
    const { device } = unit;
    const watched = this.#watched.get(device) ?? new WatchedDevice(device, this);
    this.#watched.set(device, watched);
    unit.device = watched;
  }
}

/** COPY MANAGER ROD TOKEN IDENTIFIER. */
function keyOf(bytes: Uint8Array): string {
  return hex(bytes.subarray(8, 16));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
