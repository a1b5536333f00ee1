/**
 * Third-party copy VPD page (SPC-4 7.8.17) and the rows of the copy commands.
 *
 *   descriptor  0 TYPE, 2   2 LENGTH, 2 (of what follows, a multiple of four)   4 …
 *
 *   0000h block ROD limits     4 vendor, 6  10 MAXIMUM RANGES, 2  12 MAXIMUM INACTIVITY TIMEOUT, 4
 *                              16 DEFAULT, 4  20 MAXIMUM TOKEN TRANSFER SIZE, 8  28 OPTIMAL COUNT, 8 (blocks)
 *   0001h supported commands   4 list length; per opcode: OPCODE, count, SERVICE ACTIONS
 *   0004h parameter data       8 MAXIMUM CSCDS, 2  10 MAXIMUM SEGMENTS, 2  12 LIST LENGTH, 4  16 INLINE, 4
 *   0008h supported descriptors 4 list length; type codes
 *   000Ch supported CSCD IDs   4 list length, 2; IDs, 2 each
 *   0106h ROD token features   4 REMOTE TOKENS  16 MINIMUM LIFETIME, 4  20 MAXIMUM, 4  24 MAXIMUM
 *                              INACTIVITY TIMEOUT, 4  46 length, 2  48 of block devices: 2 LENGTH = 44, 2
 *                              6 GRANULARITY, 2  8 MAXIMUM BYTES, 8  16 OPTIMAL, 8  24 to, 8  32 from token, 8
 *   0108h ROD types            6 length, 2; 64 each: 0 ROD TYPE, 4  4 TOKEN_IN (1) TOKEN_OUT (0)
 *   8001h general operations   4 TOTAL CONCURRENT, 4  8 IDENTIFIED, 4  12 SEGMENT LENGTH, 4  16 granularity
 *   C001h held data            4 HELD DATA LIMIT, 4
 */
import { putU16, putU32, putU64 } from './bytes.ts';
import { Access, type Command } from './command.ts';
import { command } from './command-row.ts';
import { CopyResultsAction, copyResults, copyTypeCodes, startCopyResults } from './copy-results.ts';
import { extendedCopy, startExtendedCopy } from './extended-copy.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { ExtendedCopyAction, Opcode, ReceiveCopyAction } from './opcode.ts';
import { populateToken, startPopulateToken } from './populate-token.ts';
import { rodInformation, startRodInformation } from './rod-results.ts';
import { RodType } from './rod-token.ts';
import { Transfer } from './task.ts';
import { startWriteUsingToken, writeUsingToken } from './write-using-token.ts';

function results(name: string, action: number): Command {
  return command({
    name: `RECEIVE COPY RESULTS, ${name}`,
    usage: '84 00 ff 00 00 00 00 00 00 00 ff ff ff ff 00 00',
    action,
    transfer: Transfer.in,
    access: Access.always,
    source: 'SPC-4 6.22 (LID1)',
    start: startCopyResults,
    execute: copyResults,
  });
}

export const copyCommands: readonly Command[] = [
  command({
    name: 'EXTENDED COPY(LID1)',
    usage: '83 00 00 00 00 00 00 00 00 00 ff ff ff ff 00 00',
    action: 0x00,
    transfer: Transfer.out,
    access: Access.write,
    flags: ['medium'],
    source: 'SPC-4 6.4',
    start: startExtendedCopy,
    execute: extendedCopy,
  }),
  command({
    name: 'POPULATE TOKEN',
    usage: '83 00 00 00 00 00 ffffffff ffffffff 1f 00',
    action: ExtendedCopyAction.populateToken,
    transfer: Transfer.out,
    access: Access.read,
    flags: ['medium'],
    source: 'SBC-3 5.7',
    start: startPopulateToken,
    execute: populateToken,
  }),
  command({
    name: 'WRITE USING TOKEN',
    usage: '83 00 00 00 00 00 ffffffff ffffffff 1f 00',
    action: ExtendedCopyAction.writeUsingToken,
    transfer: Transfer.out,
    access: Access.write,
    flags: ['writes', 'medium'],
    source: 'SBC-3 5.45',
    start: startWriteUsingToken,
    execute: writeUsingToken,
  }),
  results('COPY STATUS', CopyResultsAction.status),
  results('OPERATING PARAMETERS', CopyResultsAction.parameters),
  results('FAILED SEGMENT DETAILS', CopyResultsAction.failedSegment),
  command({
    name: 'RECEIVE ROD TOKEN INFORMATION',
    usage: '84 00 ffffffff 00000000 ffffffff 00 00',
    action: ReceiveCopyAction.rodTokenInformation,
    transfer: Transfer.in,
    access: Access.always,
    source: 'SPC-4 6.26',
    start: startRodInformation,
    execute: rodInformation,
  }),
];

/** The body of the page, without its header. */
export function thirdPartyCopy(unit: LogicalUnit): Uint8Array {
  const parts = [
    descriptor(0x0000, rodLimits(unit)),
    descriptor(0x0001, supportedCommands()),
    descriptor(0x0004, parameterData()),
    descriptor(0x0008, Uint8Array.of(copyTypeCodes.length, ...copyTypeCodes)),
    descriptor(0x000c, Uint8Array.of(0, 2, 0xff, 0xff)),
    descriptor(0x0106, rodFeatures()),
    descriptor(0x0108, rodTypes()),
    descriptor(0x8001, generalOperations(unit)),
    descriptor(0xc001, new Uint8Array(28)),
  ];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function descriptor(type: number, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(4 + Math.ceil(body.length / 4) * 4);
  putU16(out, 0, type);
  putU16(out, 2, out.length - 4);
  out.set(body, 4);
  return out;
}

function rodLimits(unit: LogicalUnit): Uint8Array {
  const { sectorBytes } = unit.device;
  const out = new Uint8Array(32);
  putU16(out, 6, scsiLimits.rodRanges);
  putU32(out, 8, scsiLimits.rodTimeoutMostSeconds);
  putU32(out, 12, scsiLimits.rodTimeoutSeconds);
  putU64(out, 16, scsiLimits.rodBytes / sectorBytes);
  putU64(out, 24, scsiLimits.rodOptimalBytes / sectorBytes);
  return out;
}

/** REMOTE TOKENS 0: those of other devices than this server's are not promised to work. */
function rodFeatures(): Uint8Array {
  const block = 44;
  const out = new Uint8Array(block + 48);
  putU32(out, 16, scsiLimits.rodTimeoutMostSeconds);
  putU32(out, 20, scsiLimits.rodTimeoutMostSeconds);
  putU16(out, 42, 48);
  putU16(out, block + 2, 44);
  putU64(out, block + 8, scsiLimits.rodBytes);
  putU64(out, block + 16, scsiLimits.rodOptimalBytes);
  putU64(out, block + 24, scsiLimits.rodOptimalBytes);
  putU64(out, block + 32, scsiLimits.rodOptimalBytes);
  return out;
}

function rodTypes(): Uint8Array {
  const size = 64;
  const types = [
    [RodType.changeVulnerable, 0x03],
    [RodType.zero, 0x02],
  ] as const;
  const out = new Uint8Array(4 + types.length * size);
  putU16(out, 2, types.length * size);
  types.forEach(([type, flags], i) => {
    putU32(out, 4 + i * size, type);
    out[8 + i * size] = flags;
  });
  return out;
}

/** From the rows above: what is announced is what is served. */
function supportedCommands(): Uint8Array {
  const list: number[] = [];
  for (const opcode of [Opcode.extendedCopy, Opcode.receiveCopyResults]) {
    const actions = copyCommands.filter((each) => each.opcode === opcode);
    list.push(opcode, actions.length, ...actions.map((each) => each.action ?? 0));
  }
  return Uint8Array.of(list.length, ...list);
}

function parameterData(): Uint8Array {
  const out = new Uint8Array(28);
  putU16(out, 4, scsiLimits.copyCscds);
  putU16(out, 6, scsiLimits.copySegments);
  putU32(out, 8, scsiLimits.copyDescriptorBytes);
  return out;
}

function generalOperations(unit: LogicalUnit): Uint8Array {
  const out = new Uint8Array(32);
  putU32(out, 0, scsiLimits.scratchBuffers);
  putU32(out, 4, scsiLimits.scratchBuffers);
  putU32(out, 8, scsiLimits.copySegmentBytes);
  out[12] = Math.log2(unit.device.sectorBytes);
  return out;
}
