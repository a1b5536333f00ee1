/**
 * The TransportID of an iSCSI initiator port as it arrives in a parameter list (SPC-4 7.6.4.6).
 *
 *   0  FORMAT (7:6) = 01b | PROTOCOL (3:0) = 5
 *   2  ADDITIONAL LENGTH, 2: at least 20, a multiple of 4
 *   4  `name,i,0xISID`, NUL-terminated, padded with NULs
 */
import { u8, u16 } from './bytes.ts';

const pattern = /^((?:iqn|eui|naa)\.[a-z0-9.:-]{1,219}),i,0x([0-9a-f]{12})$/;

/** The port's text in the form of nexus.ts, or null when it is not such a TransportID. */
export function parseTransportId(bytes: Uint8Array): string | null {
  if (u8(bytes, 0) !== 0x45) return null;
  const length = u16(bytes, 2);
  if (length < 20 || length % 4 !== 0 || bytes.length !== 4 + length) return null;
  const end = bytes.indexOf(0, 4);
  if (end < 0) return null;
  const text = new TextDecoder('latin1').decode(bytes.subarray(4, end)).toLowerCase();
  return pattern.test(text) ? text : null;
}
