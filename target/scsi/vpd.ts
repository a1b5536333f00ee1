/**
 * Vital product data pages (SPC-4 7.8, SBC-3 6.6). Each is made on request from the device, the
 * target and limits.ts; what they announce is what the commands enforce.
 *
 *   every page: 0 type, 1 PAGE CODE, 2 PAGE LENGTH (2), 4 …
 */
import { groupOf } from './alua.ts';
import { nullPadded, putAscii, putU16, putU32, putU64 } from './bytes.ts';
import { atomicBlocks, compareBlocks, maximumBlocks } from './geometry.ts';
import { scsiLimits } from './limits.ts';
import type { LogicalUnit } from './logical-unit.ts';
import type { Nexus } from './nexus.ts';
import { thirdPartyCopy } from './third-party.ts';
import { thresholdExponent } from './thresholds.ts';

const makers = new Map<number, (unit: LogicalUnit, nexus: Nexus) => Uint8Array>([
  [0x00, supportedPages],
  [0x80, (unit) => page(0x80, new TextEncoder().encode(unit.device.identity.serial))],
  [0x83, (unit, nexus) => page(0x83, designators(unit, nexus))],
  [0x86, extendedInquiry],
  [0x8f, (unit) => page(0x8f, thirdPartyCopy(unit))],
  [0xb0, blockLimits],
  [0xb1, characteristics],
  [0xb2, provisioning],
  [0xb3, () => page(0xb3, new Uint8Array(12))], // see referrals.ts
]);

/** A page with its header as `nexus` sees it, or null when there is none with that code. */
export function vpdPage(unit: LogicalUnit, nexus: Nexus, code: number): Uint8Array | null {
  return makers.get(code)?.(unit, nexus) ?? null;
}

function page(code: number, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(4 + body.length);
  out[1] = code;
  putU16(out, 2, body.length);
  out.set(body, 4);
  return out;
}

function supportedPages(): Uint8Array {
  return page(0x00, Uint8Array.from(makers.keys()));
}

/**
 * A designation descriptor (SPC-4 7.8.6.1).
 *   0 PROTOCOL (7:4) | CODE SET (3:0)   1 PIV (7) ASSOCIATION (5:4) TYPE (3:0)   3 LENGTH   4 …
 */
function designator(
  codeSet: number,
  association: number,
  type: number,
  body: Uint8Array,
): Uint8Array {
  const out = new Uint8Array(4 + body.length);
  // PIV with protocol 5 (iSCSI) only where the designator is of a target port or device.
  out[0] = (association === Association.unit ? 0 : 0x50) | codeSet;
  out[1] = (association === Association.unit ? 0 : 0x80) | (association << 4) | type;
  out[3] = body.length;
  out.set(body, 4);
  return out;
}

const Association = { unit: 0, port: 1, target: 2 } as const;
const CodeSet = { binary: 1, ascii: 2, utf8: 3 } as const;
const DesignatorType = { vendor: 1, naa: 3, relativePort: 4, portGroup: 5, name: 8 } as const;

/** The port is the one the question came through, and the group is the one that port is in. */
function designators(unit: LogicalUnit, nexus: Nexus): Uint8Array {
  const { identity } = unit.device;
  const { name } = unit.target;
  const { relativePort, portalGroup } = nexus;
  const group = groupOf(unit.target.alua, nexus)?.id ?? portalGroup;
  const vendor = new Uint8Array(8 + identity.serial.length);
  putAscii(vendor, 0, 8, identity.vendor);
  putAscii(vendor, 8, identity.serial.length, identity.serial);
  const tag = portalGroup.toString(16).padStart(4, '0');
  const { binary, ascii, utf8 } = CodeSet;
  const { unit: lu, port, target } = Association;
  const parts = [
    designator(binary, lu, DesignatorType.naa, identity.naa),
    designator(ascii, lu, DesignatorType.vendor, vendor),
    designator(
      binary,
      port,
      DesignatorType.relativePort,
      Uint8Array.of(0, 0, relativePort >> 8, relativePort & 0xff),
    ),
    designator(
      binary,
      port,
      DesignatorType.portGroup,
      Uint8Array.of(0, 0, group >> 8, group & 0xff),
    ),
    designator(utf8, port, DesignatorType.name, nullPadded(`${name},t,0x${tag}`)),
    designator(utf8, target, DesignatorType.name, nullPadded(name)),
  ];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Extended INQUIRY data (SPC-4 7.8.7): no protection, simple task attribute, unit attentions per nexus. */
function extendedInquiry(unit: LogicalUnit): Uint8Array {
  const out = new Uint8Array(64);
  out[1] = 0x86;
  putU16(out, 2, 60);
  out[5] = 0x01; // SIMPSUP
  out[6] = unit.device.capabilities.writeBack ? 0x01 : 0; // V_SUP
  out[7] = 0x01; // LUICLR
  out[8] = 0x10; // R_SUP
  return out;
}

/** Block limits (SBC-3 6.6.3). */
function blockLimits(unit: LogicalUnit): Uint8Array {
  const { device } = unit;
  const { sectorBytes, capabilities } = device;
  const out = new Uint8Array(64);
  out[1] = 0xb0;
  putU16(out, 2, 60);
  out[4] = capabilities.writeSameToEnd === true ? 0 : 0x01; // WSNZ
  out[5] = compareBlocks(device);
  putU16(out, 6, device.physicalSectorBytes / sectorBytes);
  putU32(out, 8, maximumBlocks(device));
  putU32(out, 12, scsiLimits.optimalTransferBytes / sectorBytes);
  if (capabilities.thin) {
    putU32(out, 20, scsiLimits.unmapBlocks);
    putU32(out, 24, scsiLimits.unmapDescriptors);
    putU32(out, 28, Math.max(1, Math.floor(capabilities.unmapGranularity / sectorBytes)));
    putU32(out, 32, 0x8000_0000); // UGAVALID, alignment 0
  }
  putU64(out, 36, scsiLimits.writeSameBytes / sectorBytes);
  const atomic = atomicBlocks(device);
  if (atomic > 0) {
    // Atomic within one aligned range: a start at a multiple of it and any length up to it.
    putU32(out, 44, atomic);
    putU32(out, 48, atomic);
    putU32(out, 52, 1);
  }
  return out;
}

/** Block device characteristics (SBC-3 6.6.2): rotation rate 1 = non-rotating, 0 = not reported. */
function characteristics(unit: LogicalUnit): Uint8Array {
  const out = new Uint8Array(64);
  out[1] = 0xb1;
  putU16(out, 2, 60);
  putU16(out, 4, unit.device.capabilities.solidState ? 1 : 0);
  const { sanitize, cryptographicErase } = unit.device.capabilities;
  // WABEREQ and WACEREQ 01b: after an erase reads are good without a write before.
  if (sanitize === true) out[7] = cryptographicErase === true ? 0x50 : 0x40;
  return out;
}

/** Logical block provisioning (SBC-3 6.6.4): THRESHOLD EXPONENT, LBPU, LBPWS, LBPWS10, LBPRZ; type 2 = thin. */
function provisioning(unit: LogicalUnit): Uint8Array {
  const out = new Uint8Array(8);
  out[1] = 0xb2;
  putU16(out, 2, 4);
  if (unit.device.capabilities.thin) {
    if (unit.mode.thresholds.offered) out[4] = thresholdExponent(unit.device);
    out[5] = 0x80 | 0x40 | 0x20 | 0x04;
    out[6] = 2;
  }
  return out;
}
