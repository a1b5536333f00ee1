/**
 * Login of the test initiator (RFC 7143 6.3, 11.12, 11.13): security stage with AuthMethod=None,
 * operational stage with the keys of the caller, then full feature phase.
 *
 *   byte 1        T C .. CSG NSG       bits 7, 6, 3…2, 1…0
 *   byte 2, 3     Version-max, Version-min (response: -active)
 *   byte 8…13     ISID      14…15 TSIH
 *   byte 20…21    CID
 *   byte 24…27    CmdSN (request), StatSN (response)
 *   byte 28…31    ExpStatSN (request), ExpCmdSN (response)   32…35 MaxCmdSN (response)
 *   byte 36, 37   Status-Class, Status-Detail (response)
 */
import { decodeKeys, describePdu, encodeKeys, FINAL, hex, Op, type Pdu } from './pdu.ts';
import type { Wire } from './wire.ts';

export interface LoginOptions {
  readonly port: number;
  readonly host?: string;
  /** The address to come from; any of 127.0.0.0/8 on loopback. */
  readonly localAddress?: string;
  readonly initiator?: string;
  /** The target's name; left out, this is a discovery session. */
  readonly target?: string;
  readonly lun?: number;
  /** Offered in the operational stage beside or instead of the defaults. */
  readonly keys?: Readonly<Record<string, string>>;
  /** Six bytes. */
  readonly isid?: Uint8Array;
  readonly tsih?: number;
  readonly timeoutMs?: number;
}

/** What holds in full feature phase. */
export interface Negotiated {
  readonly lun: number;
  /** Every key the target sent. */
  readonly keys: ReadonlyMap<string, string>;
  readonly ourMaxDataSegment: number;
  readonly peerMaxDataSegment: number;
  readonly maxBurst: number;
  readonly firstBurst: number;
  readonly immediateData: boolean;
  readonly initialR2t: boolean;
  readonly tsih: number;
  readonly cmdSn: number;
  readonly maxCmdSn: number;
  /** The StatSN that is due next. */
  readonly statSn: number;
}

export class LoginRefused extends Error {
  readonly statusClass: number;
  readonly statusDetail: number;

  constructor(statusClass: number, statusDetail: number) {
    super(`login refused: ${hex(statusClass)}/${hex(statusDetail)}`);
    this.name = 'LoginRefused';
    this.statusClass = statusClass;
    this.statusDetail = statusDetail;
  }
}

/** The target broke a rule of RFC 7143. */
export class ProtocolViolation extends Error {
  constructor(message: string, pdu: Pdu) {
    super(`${message} (${describePdu(pdu)}; header ${pdu.header.toString('hex')})`);
    this.name = 'ProtocolViolation';
  }
}

export const DEFAULT_INITIATOR = 'iqn.2026-11.internal.petal:test';
const STAGE = { security: 0, operational: 1, full: 3 } as const;
/** A login that takes more rounds than this is a loop. */
const MAX_ROUNDS = 16;

const DEFAULT_KEYS: Readonly<Record<string, string>> = {
  HeaderDigest: 'None',
  DataDigest: 'None',
  MaxRecvDataSegmentLength: '262144',
  MaxBurstLength: '262144',
  FirstBurstLength: '65536',
  InitialR2T: 'No',
  ImmediateData: 'Yes',
  MaxOutstandingR2T: '1',
  MaxConnections: '1',
  ErrorRecoveryLevel: '0',
  DefaultTime2Wait: '2',
  DefaultTime2Retain: '0',
  DataPDUInOrder: 'Yes',
  DataSequenceInOrder: 'Yes',
};
/** Keys that a discovery session may not carry (RFC 7143 section 13, "Irrelevant when"). */
const DISCOVERY_KEYS = ['HeaderDigest', 'DataDigest', 'MaxRecvDataSegmentLength'];

/** A login request by fields; also the raw material of the malformed ones. */
export function loginRequest(
  stage: { from: number; to: number; transit?: boolean; continued?: boolean },
  options: {
    tag?: number;
    isid?: Uint8Array;
    tsih?: number;
    cmdSn?: number;
    expStatSn?: number;
    data?: Uint8Array;
  },
) {
  const where = Buffer.alloc(8);
  where.set(options.isid ?? randomIsid(), 0);
  where.writeUInt16BE(options.tsih ?? 0, 6);
  const transit = stage.transit ?? true;
  return {
    opcode: Op.login,
    immediate: true,
    flags:
      (transit ? FINAL : 0) |
      (stage.continued === true ? 0x40 : 0) |
      (stage.from << 2) |
      (transit ? stage.to : 0),
    lun: where,
    tag: options.tag ?? 0,
    words: { 24: options.cmdSn ?? 1, 28: options.expStatSn ?? 0 },
    data: options.data ?? new Uint8Array(0),
  };
}

/** Type 10b "random" of RFC 7143 11.12.5, so that two tests never reinstate each other's session. */
export function randomIsid(): Uint8Array {
  const isid = Buffer.alloc(6);
  isid.writeUIntBE(Math.floor(Math.random() * 2 ** 40), 1, 5);
  isid[0] = 0x80;
  return isid;
}

export async function logIn(wire: Wire, options: LoginOptions): Promise<Negotiated> {
  const discovery = options.target === undefined;
  const names: Record<string, string> = {
    InitiatorName: options.initiator ?? DEFAULT_INITIATOR,
    SessionType: discovery ? 'Discovery' : 'Normal',
    ...(options.target === undefined ? {} : { TargetName: options.target }),
    AuthMethod: 'None',
  };
  const offered: Record<string, string> = { ...DEFAULT_KEYS, ...options.keys };
  if (discovery) {
    for (const key of Object.keys(DEFAULT_KEYS)) {
      if (!DISCOVERY_KEYS.includes(key) && options.keys?.[key] === undefined) delete offered[key];
    }
  }
  const isid = options.isid ?? randomIsid();
  const answered = new Map<string, string>();
  let stage: number = STAGE.security;
  let data = encodeKeys(names);
  let statSn = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const next = stage === STAGE.security ? STAGE.operational : STAGE.full;
    const request = { isid, tsih: options.tsih ?? 0, cmdSn: 1, expStatSn: statSn, data };
    wire.send(loginRequest({ from: stage, to: next }, request));
    const pdu = await wire.receive(options.timeoutMs ?? 10_000);
    checkResponse(pdu);
    for (const [key, value] of decodeKeys(pdu.data)) answered.set(key, value);
    statSn = (pdu.header.readUInt32BE(24) + 1) >>> 0;
    data = Buffer.alloc(0);
    if ((pdu.flags & FINAL) === 0) continue;
    stage = pdu.flags & 3;
    if (stage === STAGE.full) {
      applyDigests(wire, answered);
      return settle(pdu, options, offered, answered, statSn);
    }
    data = encodeKeys(offered);
  }
  throw new Error(`login did not end within ${MAX_ROUNDS} rounds`);
}

function checkResponse(pdu: Pdu): void {
  if (pdu.opcode !== Op.loginResponse) throw new ProtocolViolation('no Login Response', pdu);
  const [statusClass, statusDetail] = [pdu.header[36] ?? 0, pdu.header[37] ?? 0];
  if (statusClass !== 0) throw new LoginRefused(statusClass, statusDetail);
}

function applyDigests(wire: Wire, answered: ReadonlyMap<string, string>): void {
  wire.digests = {
    header: answered.get('HeaderDigest') === 'CRC32C',
    data: answered.get('DataDigest') === 'CRC32C',
  };
}

/** Result functions of RFC 7143 section 13: minimum for lengths, OR for R2T, AND for immediate. */
function settle(
  pdu: Pdu,
  options: LoginOptions,
  offered: Readonly<Record<string, string>>,
  answered: ReadonlyMap<string, string>,
  statSn: number,
): Negotiated {
  const least = (key: string, ifUnsaid: number): number =>
    Math.min(
      Number(offered[key] ?? ifUnsaid),
      Number(answered.get(key) ?? offered[key] ?? ifUnsaid),
    );
  return {
    lun: options.lun ?? 0,
    keys: answered,
    ourMaxDataSegment: Number(offered.MaxRecvDataSegmentLength ?? 8192),
    peerMaxDataSegment: Number(answered.get('MaxRecvDataSegmentLength') ?? 8192),
    maxBurst: least('MaxBurstLength', 262144),
    firstBurst: least('FirstBurstLength', 65536),
    immediateData: offered.ImmediateData !== 'No' && answered.get('ImmediateData') !== 'No',
    initialR2t: offered.InitialR2T !== 'No' || answered.get('InitialR2T') === 'Yes',
    tsih: pdu.header.readUInt16BE(14),
    cmdSn: pdu.header.readUInt32BE(28),
    maxCmdSn: pdu.header.readUInt32BE(32),
    statSn,
  };
}
