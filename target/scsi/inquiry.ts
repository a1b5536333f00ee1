/**
 * INQUIRY (SPC-4 6.6): what a unit is. Vital product data pages are in vpd.ts.
 *
 *   CDB: 12h, EVPD (bit 0), PAGE CODE, ALLOCATION LENGTH (2), CONTROL
 *
 *   standard data, 96 bytes (SPC-4 6.6.2)
 *    0  PERIPHERAL QUALIFIER (3) | DEVICE TYPE (5)    8  T10 VENDOR IDENTIFICATION, 8
 *    1  RMB (bit 7)                                  16  PRODUCT IDENTIFICATION, 16
 *    2  VERSION = 06h (SPC-4)                        32  PRODUCT REVISION LEVEL, 4
 *    3  HISUP (bit 4) | RESPONSE DATA FORMAT = 2     58  VERSION DESCRIPTORS, 2 bytes each
 *    4  ADDITIONAL LENGTH = 91
 *    5  TPGS (bits 5:4) 3PC (bit 3)   7  CMDQUE (bit 1)
 */
import { tpgs } from './alua.ts';
import { putAscii, putU16, u8, u16 } from './bytes.ts';
import type { LogicalUnit } from './logical-unit.ts';
import { answer, fieldInCdb } from './outcome.ts';
import type { Task } from './task.ts';
import { vpdPage } from './vpd.ts';

const standardLength = 96;

/** Version descriptors (SPC-4 table 142): codes without a claimed revision. */
const versions = [0x00a0 /* SAM-5 */, 0x0460 /* SPC-4 */, 0x04c0 /* SBC-3 */, 0x0960 /* iSCSI */];

const wellKnownType = 0x1e;
const absentQualifierAndType = 0x7f;

export function startInquiry(unit: LogicalUnit, task: Task): boolean {
  const evpd = (u8(task.cdb, 1) & 1) !== 0;
  const page = u8(task.cdb, 2);
  if (!evpd && page !== 0) return fieldInCdb(task, unit.descriptorSense, 2, 7);
  if (evpd && vpdPage(unit, task.nexus, page) === null) {
    return fieldInCdb(task, unit.descriptorSense, 2, 7);
  }
  return true;
}

export function inquiry(unit: LogicalUnit, task: Task): void {
  const evpd = (u8(task.cdb, 1) & 1) !== 0;
  const page = evpd ? vpdPage(unit, task.nexus, u8(task.cdb, 2)) : null;
  answer(task, page ?? standardInquiry(unit), u16(task.cdb, 3));
  task.finish();
}

function standardInquiry(unit: LogicalUnit): Uint8Array {
  const { identity, capabilities } = unit.device;
  const out = common(identity.vendor, identity.product, identity.revision);
  out[1] = capabilities.removable ? 0x80 : 0;
  out[5] = tpgs(unit.target.alua);
  out[5] |= 0x08; // 3PC: third-party copy
  out[7] = 0x02; // CMDQUE
  return out;
}

function common(vendor: string, product: string, revision: string): Uint8Array {
  const out = new Uint8Array(standardLength);
  out[2] = 0x06;
  out[3] = 0x12;
  out[4] = standardLength - 5;
  putAscii(out, 8, 8, vendor);
  putAscii(out, 16, 16, product);
  putAscii(out, 32, 4, revision);
  versions.forEach((code, i) => {
    putU16(out, 58 + i * 2, code);
  });
  return out;
}

/** For a LUN that is not there: qualifier 3, type 1Fh; no identity is given away. */
export function absentInquiry(): Uint8Array {
  const out = common('', '', '');
  out[0] = absentQualifierAndType;
  return out;
}

/** For the REPORT LUNS well-known logical unit; of the vital product data only the list of pages. */
export function wellKnownInquiry(task: Task): void {
  const evpd = (u8(task.cdb, 1) & 1) !== 0;
  const out = evpd ? Uint8Array.of(wellKnownType, 0, 0, 1, 0) : common('', 'REPORT LUNS', '');
  out[0] = wellKnownType;
  if (!evpd) out[7] = 0x02;
  answer(task, out, u16(task.cdb, 3));
}
