/**
 * Sense data: why a command did not end well (SPC-4 4.5).
 *
 * `Sense` names every condition this package reports, with its key and additional sense code; the
 * same rows give the names for logs. `encodeSense` lays a condition out in one of the two formats,
 * which the initiator chooses through D_SENSE of the control mode page.
 *
 *   fixed (4.5.3), 18 bytes                        descriptor (4.5.2), 8 bytes + descriptors
 *    0  VALID | 70h                                 0  72h
 *    2  sense key                                   1  sense key
 *    3  INFORMATION, 4 bytes                        2  ADDITIONAL SENSE CODE
 *    7  additional length = 10                      3  … QUALIFIER
 *   12  ADDITIONAL SENSE CODE, 13 … QUALIFIER       7  additional length
 *   15  SKSV | C/D | BPV | BIT POINTER              information: 00h 0Ah 80h 00h + 8 bytes
 *   16  FIELD POINTER, 2 bytes                      key specific: 02h 06h 00h 00h + 3 bytes + 00h
 *    8  COMMAND-SPECIFIC INFORMATION, 4 bytes       command specific: 01h 0Ah 00h 00h + 8 bytes
 */
import { putU16, putU32, putU64 } from './bytes.ts';

/** Sense keys (SPC-4 table 48). */
export const SenseKey = {
  noSense: 0x0,
  recoveredError: 0x1,
  notReady: 0x2,
  mediumError: 0x3,
  hardwareError: 0x4,
  illegalRequest: 0x5,
  unitAttention: 0x6,
  dataProtect: 0x7,
  copyAborted: 0xa,
  abortedCommand: 0xb,
  miscompare: 0xe,
} as const;
export type SenseKey = (typeof SenseKey)[keyof typeof SenseKey];

export interface SenseCode {
  readonly key: SenseKey;
  /** ADDITIONAL SENSE CODE in the high byte, its qualifier in the low one. */
  readonly code: number;
  /** The text of SPC-4 annex F, for logs. */
  readonly name: string;
  /** What the INFORMATION field always holds with it. */
  readonly information?: number;
}

function row(key: SenseKey, code: number, name: string): SenseCode {
  return Object.freeze({ key, code, name });
}

const k = SenseKey;
/** Every condition this package reports (codes: SPC-4 table F.2). */
export const Sense = {
  none: row(k.noSense, 0x0000, 'NO ADDITIONAL SENSE INFORMATION'),

  mediumNotPresent: row(k.notReady, 0x3a00, 'MEDIUM NOT PRESENT'),
  stopped: row(k.notReady, 0x0402, 'LOGICAL UNIT NOT READY, INITIALIZING COMMAND REQUIRED'),

  portTransitioning: row(k.notReady, 0x040a, 'ASYMMETRIC ACCESS STATE TRANSITION'),
  portStandby: row(k.notReady, 0x040b, 'TARGET PORT IN STANDBY STATE'),
  portUnavailable: row(k.notReady, 0x040c, 'TARGET PORT IN UNAVAILABLE STATE'),
  portOffline: row(k.notReady, 0x0412, 'LOGICAL UNIT NOT READY, OFFLINE'),
  sanitizeInProgress: row(k.notReady, 0x041b, 'LOGICAL UNIT NOT READY, SANITIZE IN PROGRESS'),

  sanitizeFailed: row(k.mediumError, 0x3103, 'SANITIZE COMMAND FAILED'),
  writeError: row(k.mediumError, 0x0c00, 'WRITE ERROR'),
  unrecoveredReadError: row(k.mediumError, 0x1100, 'UNRECOVERED READ ERROR'),
  setPortGroupsFailed: row(k.hardwareError, 0x670a, 'SET TARGET PORT GROUPS COMMAND FAILED'),
  internalTargetFailure: row(k.hardwareError, 0x4400, 'INTERNAL TARGET FAILURE'),

  operationInProgress: row(k.illegalRequest, 0x0016, 'OPERATION IN PROGRESS'),
  parameterListLength: row(k.illegalRequest, 0x1a00, 'PARAMETER LIST LENGTH ERROR'),
  invalidOpcode: row(k.illegalRequest, 0x2000, 'INVALID COMMAND OPERATION CODE'),
  lbaOutOfRange: row(k.illegalRequest, 0x2100, 'LOGICAL BLOCK ADDRESS OUT OF RANGE'),
  invalidFieldInCdb: row(k.illegalRequest, 0x2400, 'INVALID FIELD IN CDB'),
  unsupportedTokenType: row(
    k.illegalRequest,
    0x2301,
    'INVALID TOKEN OPERATION, UNSUPPORTED TOKEN TYPE',
  ),
  tokenUnknown: row(k.illegalRequest, 0x2304, 'INVALID TOKEN OPERATION, TOKEN UNKNOWN'),
  tokenCorrupt: row(k.illegalRequest, 0x2305, 'INVALID TOKEN OPERATION, TOKEN CORRUPT'),
  tokenRevoked: row(k.illegalRequest, 0x2306, 'INVALID TOKEN OPERATION, TOKEN REVOKED'),
  tokenExpired: row(k.illegalRequest, 0x2307, 'INVALID TOKEN OPERATION, TOKEN EXPIRED'),
  tokenCancelled: row(k.illegalRequest, 0x2308, 'INVALID TOKEN OPERATION, TOKEN CANCELLED'),
  tokenDeleted: row(k.illegalRequest, 0x2309, 'INVALID TOKEN OPERATION, TOKEN DELETED'),
  tokenLength: row(k.illegalRequest, 0x230a, 'INVALID TOKEN OPERATION, INVALID TOKEN LENGTH'),
  invalidLun: row(k.illegalRequest, 0x2500, 'LOGICAL UNIT NOT SUPPORTED'),
  invalidFieldInParameters: row(k.illegalRequest, 0x2600, 'INVALID FIELD IN PARAMETER LIST'),
  invalidRelease: row(k.illegalRequest, 0x2604, 'INVALID RELEASE OF PERSISTENT RESERVATION'),
  tooManyCscds: row(k.illegalRequest, 0x2606, 'TOO MANY TARGET DESCRIPTORS'),
  unsupportedCscd: row(k.illegalRequest, 0x2607, 'UNSUPPORTED TARGET DESCRIPTOR TYPE CODE'),
  tooManySegments: row(k.illegalRequest, 0x2608, 'TOO MANY SEGMENT DESCRIPTORS'),
  unsupportedSegment: row(k.illegalRequest, 0x2609, 'UNSUPPORTED SEGMENT DESCRIPTOR TYPE CODE'),
  inlineDataLength: row(k.illegalRequest, 0x260b, 'INLINE DATA LENGTH EXCEEDED'),
  savingNotSupported: row(k.illegalRequest, 0x3900, 'SAVING PARAMETERS NOT SUPPORTED'),
  removalPrevented: row(k.illegalRequest, 0x5302, 'MEDIUM REMOVAL PREVENTED'),
  noRegistrationResources: row(k.illegalRequest, 0x5504, 'INSUFFICIENT REGISTRATION RESOURCES'),

  powerOn: row(k.unitAttention, 0x2900, 'POWER ON, RESET, OR BUS DEVICE RESET OCCURRED'),
  deviceReset: row(k.unitAttention, 0x2903, 'BUS DEVICE RESET FUNCTION OCCURRED'),
  nexusLoss: row(k.unitAttention, 0x2907, 'I_T NEXUS LOSS OCCURRED'),
  mediumChanged: row(k.unitAttention, 0x2800, 'NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED'),
  modeChanged: row(k.unitAttention, 0x2a01, 'MODE PARAMETERS CHANGED'),
  reservationsPreempted: row(k.unitAttention, 0x2a03, 'RESERVATIONS PREEMPTED'),
  reservationsReleased: row(k.unitAttention, 0x2a04, 'RESERVATIONS RELEASED'),
  registrationsPreempted: row(k.unitAttention, 0x2a05, 'REGISTRATIONS PREEMPTED'),
  accessStateChanged: row(k.unitAttention, 0x2a06, 'ASYMMETRIC ACCESS STATE CHANGED'),
  capacityChanged: row(k.unitAttention, 0x2a09, 'CAPACITY DATA HAS CHANGED'),
  thinThreshold: row(k.unitAttention, 0x3807, 'THIN PROVISIONING SOFT THRESHOLD REACHED'),
  commandsCleared: row(k.unitAttention, 0x2f00, 'COMMANDS CLEARED BY ANOTHER INITIATOR'),
  inquiryChanged: row(k.unitAttention, 0x3f03, 'INQUIRY DATA HAS CHANGED'),
  lunsChanged: row(k.unitAttention, 0x3f0e, 'REPORTED LUNS DATA HAS CHANGED'),

  writeProtected: row(k.dataProtect, 0x2700, 'WRITE PROTECTED'),
  softwareWriteProtected: row(k.dataProtect, 0x2702, 'LOGICAL UNIT SOFTWARE WRITE PROTECTED'),
  spaceAllocationFailed: row(k.dataProtect, 0x2707, 'SPACE ALLOCATION FAILED WRITE PROTECT'),

  copyAborted: row(k.copyAborted, 0x0000, 'NO ADDITIONAL SENSE INFORMATION'),
  unreachableCscd: row(k.copyAborted, 0x0804, 'UNREACHABLE COPY TARGET'),
  thirdPartyFailure: row(k.copyAborted, 0x0d01, 'THIRD PARTY DEVICE FAILURE'),
  cscdNotReachable: row(k.copyAborted, 0x0d02, 'COPY TARGET DEVICE NOT REACHABLE'),
  wrongCscdType: row(k.copyAborted, 0x0d03, 'INCORRECT COPY TARGET DEVICE TYPE'),
  inexactSegment: row(k.copyAborted, 0x260a, 'UNEXPECTED INEXACT SEGMENT'),

  unexpectedUnsolicitedData: row(
    k.abortedCommand,
    0x0c0c,
    'WRITE ERROR - UNEXPECTED UNSOLICITED DATA',
  ),
  notEnoughUnsolicitedData: row(
    k.abortedCommand,
    0x0c0d,
    'WRITE ERROR - NOT ENOUGH UNSOLICITED DATA',
  ),
  protocolCrc: row(k.abortedCommand, 0x4705, 'PROTOCOL SERVICE CRC ERROR'),
  dataPhase: row(k.abortedCommand, 0x4b00, 'DATA PHASE ERROR'),
  noOutcome: row(k.abortedCommand, 0x0000, 'NO ADDITIONAL SENSE INFORMATION'),

  miscompareVerify: row(k.miscompare, 0x1d00, 'MISCOMPARE DURING VERIFY OPERATION'),
} as const satisfies Record<string, SenseCode>;

/** Which byte (and bit) of the CDB or of the parameter list was refused (SPC-4 4.5.2.4.2). */
export interface FieldPointer {
  readonly inCdb: boolean;
  readonly byte: number;
  /** Most significant bit of the field within the byte, 0…7; absent: the whole byte. */
  readonly bit?: number;
}

export interface SenseDetail {
  /** What the INFORMATION field means depends on the condition; LBA or byte offset here. */
  readonly information?: number;
  readonly field?: FieldPointer;
  /** EXTENDED COPY: the segment descriptor at work, in COMMAND-SPECIFIC INFORMATION (SPC-4 6.4.6.3). */
  readonly segment?: number;
  /** Progress indication: how much is done, of 65536 (SPC-4 4.5.2.4.4); excludes `field`. */
  readonly progress?: number;
}

const fixedLength = 18;

/** New sense data for `code`. Fixed format drops an INFORMATION above 32 bits (VALID stays 0). */
export function encodeSense(
  code: SenseCode,
  descriptor: boolean,
  detail: SenseDetail = {},
): Uint8Array {
  const { information } = code;
  const whole = information === undefined ? detail : { information, ...detail };
  return descriptor ? encodeDescriptor(code, whole) : encodeFixed(code, whole);
}

function encodeFixed(code: SenseCode, detail: SenseDetail): Uint8Array {
  const out = new Uint8Array(fixedLength);
  out[0] = 0x70;
  out[2] = code.key;
  const information = detail.information;
  if (information !== undefined && information <= 0xffffffff) {
    out[0] |= 0x80;
    putU32(out, 3, information);
  }
  out[7] = fixedLength - 8;
  putU16(out, 12, code.code);
  if (detail.segment !== undefined) putU16(out, 10, detail.segment);
  if (detail.field) putField(out, 15, detail.field);
  if (detail.progress !== undefined) putProgress(out, 15, detail.progress);
  return out;
}

function encodeDescriptor(code: SenseCode, detail: SenseDetail): Uint8Array {
  const hasInformation = detail.information !== undefined;
  const hasKeySpecific = detail.field !== undefined || detail.progress !== undefined;
  const hasSegment = detail.segment !== undefined;
  const length = 8 + (hasInformation ? 12 : 0) + (hasSegment ? 12 : 0) + (hasKeySpecific ? 8 : 0);
  const out = new Uint8Array(length);
  out[0] = 0x72;
  out[1] = code.key;
  putU16(out, 2, code.code);
  out[7] = length - 8;
  let at = 8;
  if (detail.information !== undefined) {
    out[at + 1] = 0x0a;
    out[at + 2] = 0x80;
    putU64(out, at + 4, detail.information);
    at += 12;
  }
  if (detail.segment !== undefined) {
    out[at] = 0x01;
    out[at + 1] = 0x0a;
    putU16(out, at + 6, detail.segment);
    at += 12;
  }
  if (hasKeySpecific) {
    out[at] = 0x02;
    out[at + 1] = 0x06;
    if (detail.field) putField(out, at + 4, detail.field);
    if (detail.progress !== undefined) putProgress(out, at + 4, detail.progress);
  }
  return out;
}

function putField(out: Uint8Array, at: number, field: FieldPointer): void {
  out[at] =
    0x80 | (field.inCdb ? 0x40 : 0) | (field.bit === undefined ? 0 : 0x08 | (field.bit & 7));
  putU16(out, at + 1, Math.min(field.byte, 0xffff));
}

function putProgress(out: Uint8Array, at: number, progress: number): void {
  out[at] = 0x80;
  putU16(out, at + 1, progress);
}

const names = new Map<number, string>();
for (const entry of Object.values(Sense)) {
  if (!names.has(entry.code)) names.set(entry.code, entry.name);
}
const keyNames = new Map<number, string>(
  Object.entries(SenseKey).map(([name, value]) => [value, name]),
);

/** `illegalRequest 24/00 INVALID FIELD IN CDB`: sense data in words, for logs. */
export function describeSense(sense: Uint8Array): string {
  const descriptor = ((sense[0] ?? 0) & 0x7f) >= 0x72;
  const key = (sense[descriptor ? 1 : 2] ?? 0) & 0x0f;
  const asc = sense[descriptor ? 2 : 12] ?? 0;
  const ascq = sense[descriptor ? 3 : 13] ?? 0;
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  const name = names.get((asc << 8) | ascq) ?? 'unnamed';
  return `${keyNames.get(key) ?? key} ${hex(asc)}/${hex(ascq)} ${name}`;
}
