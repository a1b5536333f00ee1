/**
 * Third-party copy VPD page (SPC-4 7.8.17) and the rows of the copy commands.
 *
 *   descriptor  0 TYPE, 2   2 LENGTH, 2 (of what follows, a multiple of four)   4 …
 *
 *   0001h supported commands   4 list length; per opcode: OPCODE, count, SERVICE ACTIONS
 *   0004h parameter data       8 MAXIMUM CSCDS, 2  10 MAXIMUM SEGMENTS, 2  12 LIST LENGTH, 4  16 INLINE, 4
 *   0008h supported descriptors 4 list length; type codes
 *   000Ch supported CSCD IDs   4 list length, 2; IDs, 2 each
 *   8001h general operations   4 TOTAL CONCURRENT, 4  8 IDENTIFIED, 4  12 SEGMENT LENGTH, 4  16 granularity
 *   C001h held data            4 HELD DATA LIMIT, 4
 */
import { putU16, putU32 } from './bytes.ts';
import { Access, type Command } from './command.ts';
import { command } from './command-row.ts';
import { CopyResultsAction, copyResults, copyTypeCodes, startCopyResults } from './copy-results.ts';
import { extendedCopy, startExtendedCopy } from './extended-copy.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { Opcode } from './opcode.ts';
import { Transfer } from './task.ts';

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
  results('COPY STATUS', CopyResultsAction.status),
  results('OPERATING PARAMETERS', CopyResultsAction.parameters),
  results('FAILED SEGMENT DETAILS', CopyResultsAction.failedSegment),
];

/** The body of the page, without its header. */
export function thirdPartyCopy(unit: LogicalUnit): Uint8Array {
  const parts = [
    descriptor(0x0001, supportedCommands()),
    descriptor(0x0004, parameterData()),
    descriptor(0x0008, Uint8Array.of(copyTypeCodes.length, ...copyTypeCodes)),
    descriptor(0x000c, Uint8Array.of(0, 2, 0xff, 0xff)),
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
