/**
 * Every key of RFC 7143 section 13 (and iSCSIProtocolLevel of RFC 7144): how its value is formed,
 * who declares it, when it may come and how the target answers. The only place that knows a key.
 *
 * Rules of the answers (RFC 7143 6.2): a negotiable key is always answered, with a value, `Reject`
 * (the value is illegal), `Irrelevant` (it has no meaning here) or `NotUnderstood`; a declarative
 * key never is. Defaults hold for keys that were not sent.
 */
import type { Limits } from '../limits.ts';

export const KeyKind = {
  /** Said by one side, not answered. */
  declared: 'declared',
  /** A list in order of preference; the answer is the first that the target has. */
  list: 'list',
  /** Yes only if both say Yes. */
  and: 'and',
  /** Yes if either says Yes. */
  or: 'or',
  /** The smaller number. */
  minimum: 'minimum',
  /** The larger number. */
  maximum: 'maximum',
  /** Of the target: an initiator that sends it is told `Reject`. */
  target: 'target',
  /** Markers, gone since RFC 7143 13.25: a fixed answer. */
  obsolete: 'obsolete',
} as const;
export type KeyKind = (typeof KeyKind)[keyof typeof KeyKind];

export interface KeyRow {
  readonly kind: KeyKind;
  /** For numbers: what the RFC allows. */
  readonly range?: readonly [number, number];
  /** For lists: what the target has. For booleans: the target's side. For obsolete: the answer. */
  readonly ours?: string;
  /** For numbers: the target's side. */
  readonly bound?: (limits: Limits) => number;
  /** No meaning in a discovery session. */
  readonly normalOnly?: boolean;
  /** Allowed in the security stage only ('security') or in full-feature phase as well ('any'). */
  readonly when?: 'security' | 'any';
}

const DATA_SEGMENT = [512, 0xff_ffff] as const;

export const Keys: Readonly<Record<string, KeyRow>> = {
  // 13.1 … 13.22 in the order of the RFC
  HeaderDigest: { kind: 'list', ours: 'CRC32C,None' },
  DataDigest: { kind: 'list', ours: 'CRC32C,None' },
  MaxConnections: { kind: 'minimum', range: [1, 65535], bound: () => 1, normalOnly: true },
  SendTargets: { kind: 'declared', when: 'any' },
  TargetName: { kind: 'declared' },
  InitiatorName: { kind: 'declared' },
  TargetAlias: { kind: 'target' },
  InitiatorAlias: { kind: 'declared', when: 'any' },
  TargetAddress: { kind: 'target' },
  TargetPortalGroupTag: { kind: 'target' },
  InitialR2T: { kind: 'or', ours: 'No', normalOnly: true },
  ImmediateData: { kind: 'and', ours: 'Yes', normalOnly: true },
  MaxRecvDataSegmentLength: { kind: 'declared', range: DATA_SEGMENT, when: 'any' },
  MaxBurstLength: {
    kind: 'minimum',
    range: DATA_SEGMENT,
    bound: (limits) => limits.maxBurstBytes,
    normalOnly: true,
  },
  FirstBurstLength: {
    kind: 'minimum',
    range: DATA_SEGMENT,
    bound: (limits) => limits.firstBurstBytes,
    normalOnly: true,
  },
  // Nothing outlives a connection at ErrorRecoveryLevel 0: no need to wait, nothing to retain.
  DefaultTime2Wait: { kind: 'maximum', range: [0, 3600], bound: () => 0 },
  DefaultTime2Retain: { kind: 'minimum', range: [0, 3600], bound: () => 0 },
  MaxOutstandingR2T: {
    kind: 'minimum',
    range: [1, 65535],
    bound: (limits) => limits.outstandingR2t,
    normalOnly: true,
  },
  DataPDUInOrder: { kind: 'or', ours: 'Yes', normalOnly: true },
  DataSequenceInOrder: { kind: 'or', ours: 'Yes', normalOnly: true },
  ErrorRecoveryLevel: { kind: 'minimum', range: [0, 2], bound: () => 0 },
  SessionType: { kind: 'declared' },
  TaskReporting: { kind: 'list', ours: 'RFC3720', normalOnly: true },
  'X#NodeArchitecture': { kind: 'declared', when: 'any' },
  iSCSIProtocolLevel: { kind: 'minimum', range: [0, 31], bound: () => 1 },
  AuthMethod: { kind: 'list', when: 'security' },
  // 13.25: never NotUnderstood
  IFMarker: { kind: 'obsolete', ours: 'No' },
  OFMarker: { kind: 'obsolete', ours: 'No' },
  IFMarkInt: { kind: 'obsolete', ours: 'Irrelevant' },
  OFMarkInt: { kind: 'obsolete', ours: 'Irrelevant' },
};

/** Values with a meaning of their own in answers (RFC 7143 6.2). */
export const Answer = {
  reject: 'Reject',
  irrelevant: 'Irrelevant',
  notUnderstood: 'NotUnderstood',
} as const;

/** The operational parameters of a session, with the defaults of RFC 7143 13. Lengths in bytes. */
export interface Parameters {
  headerDigest: boolean;
  dataDigest: boolean;
  initialR2t: boolean;
  immediateData: boolean;
  /** What the initiator takes in one data segment. */
  sendSegmentBytes: number;
  maxBurstBytes: number;
  firstBurstBytes: number;
  outstandingR2t: number;
}

export function defaultParameters(): Parameters {
  return {
    headerDigest: false,
    dataDigest: false,
    initialR2t: true,
    immediateData: true,
    sendSegmentBytes: 8192,
    maxBurstBytes: 262144,
    firstBurstBytes: 65536,
    outstandingR2t: 1,
  };
}

/** A decimal or hexadecimal constant (RFC 7143 6.1), or null. */
export function parseNumber(value: string): number | null {
  if (!/^(0|[1-9][0-9]{0,9}|0[xX][0-9a-fA-F]{1,8})$/.test(value)) return null;
  return Number(value);
}
