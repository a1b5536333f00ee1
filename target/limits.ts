/**
 * Every bound of the iSCSI transport, each with its reason. A server may lower or raise them with
 * `new IscsiServer({ limits })`; `checkLimits` asserts the relations that the code leans on, for the
 * defaults at import and for each server at its start.
 */
import { strict as assert } from 'node:assert';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Protocol constants (RFC 7143): not a choice of ours. */
export const Rfc7143 = {
  /** Basic Header Segment (11.2.1). */
  bhsBytes: 48,
  /** TotalAHSLength counts four-byte words in one byte (11.2.1.5). */
  ahsBytesMax: 255 * 4,
  digestBytes: 4,
  /** Data segment before the full-feature phase (13.12: the default of the key). */
  loginSegmentBytes: 8192,
  /** A key is at most 63 bytes, a value at most 255 unless its key says otherwise (6.1). */
  keyBytes: 63,
  valueBytes: 255,
  /** CHAP_C and CHAP_R: up to 1024 bytes (12.1.3) as `0x` and hex digits, the longer of the two forms. */
  chapValueBytes: 2 + 2 * 1024,
  /** iSCSI names are at most 223 bytes (4.2.7.1). */
  nameBytes: 223,
} as const;

export interface Limits {
  /** Target's MaxRecvDataSegmentLength: one PDU's payload is assembled in memory when it comes in pieces. */
  readonly receiveSegmentBytes: number;
  /** Upper end of FirstBurstLength: data that comes unasked, so room for it is part of the window. */
  readonly firstBurstBytes: number;
  /** Upper end of MaxBurstLength: one R2T asks for at most so much. */
  readonly maxBurstBytes: number;
  /** R2Ts in flight for one task: two hide the round trip, more only hold memory. */
  readonly outstandingR2t: number;
  /** Commands of one session at a time: enough for the queue depth of any initiator we know. */
  readonly window: number;
  /** The same while write buffers of the whole server run short. */
  readonly windowTight: number;
  /** Immediate commands (they stand outside the window) of one session at a time. */
  readonly immediateCommands: number;
  /** Longest data-out of one command: what VPD page B0h announces (4 MiB), with room for WRITE SAME. */
  readonly transferBytes: number;
  /** Write buffers of one session: 8 commands of the longest kind, or a full window of 256 KiB. */
  readonly sessionWriteBytes: number;
  /** Write buffers of all sessions together. */
  readonly totalWriteBytes: number;
  /**
   * Output held for one connection: above it no new read is started until the peer has read some. Where
   * the device reads later, as much again lies idle in the pool of read buffers that it came through:
   * with the arena being filled a peer that reads nothing costs less than 8 MiB.
   */
  readonly heldBytes: number;
  /** Above it nothing more is even taken from the socket: a peer that pings and never reads. */
  readonly heldBytesStop: number;
  /** One read of the device for a command whose data is not at hand. */
  readonly readPieceBytes: number;
  /** One output arena: what one write to the socket carries at most. */
  readonly arenaBytes: number;
  /** Text of one login or text negotiation, all its PDUs together. */
  readonly textBytes: number;
  /** From accept to full-feature phase. */
  readonly loginTimeoutMs: number;
  /** PDUs of one login: a peer that negotiates for ever. */
  readonly loginPdus: number;
  /** Connections that have not logged in, from one address and together: 7 KiB each that says nothing. */
  readonly pendingPerSource: number;
  readonly pendingTotal: number;
  readonly sessions: number;
  /** Sessions on one target. */
  readonly sessionsPerTarget: number;
  /**
   * Discovery sessions, from one address and together. A host has one for a moment; without CHAP any
   * stranger can have them, and what strangers hold must leave room for the hosts.
   */
  readonly discoveryPerSource: number;
  readonly discoverySessions: number;
  /** Quiet time after which the target pings with a NOP-In. */
  readonly pingIdleMs: number;
  /** Time for any sign of life after a ping; then the connection is dropped. */
  readonly pingTimeoutMs: number;
  /** Time for the data of one R2T (or of an unsolicited burst) to move at all. */
  readonly dataOutTimeoutMs: number;
  /** How long a task management function waits for calls inside the device. */
  readonly taskManagementTimeoutMs: number;
  /** How long `close`, `removeTarget` and a logout wait for calls inside the device. */
  readonly settleTimeoutMs: number;
  /** Time that hosts get to log out after an Async Message asked them to. */
  readonly logoutRequestMs: number;
  /** Times that one initiator is redirected from one target within the window; then it is served here. */
  readonly redirects: number;
  readonly redirectWindowMs: number;
  /** Initiators whose redirections are counted: names cost an attacker nothing. */
  readonly redirectsTracked: number;
  /** Tasks that ended while data for them was still to come, remembered so that it is dropped quietly. */
  readonly discards: number;
}

export const defaultLimits: Limits = {
  receiveSegmentBytes: 256 * KIB,
  firstBurstBytes: 256 * KIB,
  maxBurstBytes: 1 * MIB,
  outstandingR2t: 2,
  window: 128,
  windowTight: 8,
  immediateCommands: 32,
  transferBytes: 4 * MIB,
  sessionWriteBytes: 32 * MIB,
  totalWriteBytes: 512 * MIB,
  heldBytes: 3.5 * MIB,
  heldBytesStop: 8 * MIB,
  readPieceBytes: 256 * KIB,
  arenaBytes: 256 * KIB + 4 * KIB,
  textBytes: 64 * KIB,
  loginTimeoutMs: 15_000,
  loginPdus: 64,
  pendingPerSource: 64,
  pendingTotal: 1024,
  sessions: 4096,
  sessionsPerTarget: 256,
  discoveryPerSource: 64,
  discoverySessions: 512,
  pingIdleMs: 15_000,
  pingTimeoutMs: 20_000,
  dataOutTimeoutMs: 60_000,
  taskManagementTimeoutMs: 2_000,
  settleTimeoutMs: 5_000,
  logoutRequestMs: 3_000,
  redirects: 4,
  redirectWindowMs: 60_000,
  redirectsTracked: 1024,
  discards: 256,
};

/** Asserts the relations between limits; throws AssertionError with the broken one. */
export function checkLimits(limits: Limits): void {
  for (const [name, value] of Object.entries(limits)) {
    assert(Number.isSafeInteger(value) && value > 0, `limit ${name} must be a positive integer`);
  }
  assert(limits.receiveSegmentBytes >= Rfc7143.loginSegmentBytes, 'segments shrink after login');
  assert(limits.receiveSegmentBytes <= 0xff_ffff, 'DataSegmentLength has 24 bits');
  assert(limits.firstBurstBytes <= limits.maxBurstBytes, 'RFC 7143 13.14');
  assert(limits.maxBurstBytes <= 0xff_ffff, 'RFC 7143 13.13');
  assert(
    limits.window * limits.firstBurstBytes <= limits.sessionWriteBytes,
    'window promises room',
  );
  assert(limits.windowTight <= limits.window);
  assert(limits.firstBurstBytes >= 65_536, 'an initiator that offers nothing has this default');
  assert(limits.maxBurstBytes >= 262_144, 'as above');
  assert(limits.transferBytes <= limits.sessionWriteBytes, 'one command must fit');
  assert(limits.sessionWriteBytes <= limits.totalWriteBytes);
  assert(limits.heldBytes + limits.arenaBytes <= limits.heldBytesStop);
  assert(limits.arenaBytes >= Rfc7143.bhsBytes + limits.readPieceBytes, 'a piece fits an arena');
  assert(limits.readPieceBytes % 4096 === 0, 'pieces end on sector boundaries');
  assert(limits.pendingPerSource <= limits.pendingTotal);
}

checkLimits(defaultLimits);
