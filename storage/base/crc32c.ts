/**
 * CRC-32C (Castagnoli; RFC 3720 appendix B.4): native for bulk, a table for a few words, where the
 * call into native code would cost more than the sum itself.
 *
 * Both continue from an earlier sum: crc(a ∥ b) = crc(b, crc(a)).
 */
import { crc32c as native } from '@node-rs/crc32';

/** The polynomial 0x1EDC6F41, bits reversed. */
const polynomial = 0x82f63b78;

const table = new Uint32Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  let sum = byte;
  for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ polynomial : sum >>> 1;
  table[byte] = sum >>> 0;
}

/** Sum of `data`, going on from `earlier`. */
export function crc32c(data: Uint8Array, earlier = 0): number {
  return native(data, earlier);
}

/** Go on from `earlier` with one 32-bit word, as if its four bytes came little-endian. */
export function crc32cWord(word: number, earlier: number): number {
  let sum = (earlier ^ -1 ^ word) | 0;
  sum = table[sum & 0xff]! ^ (sum >>> 8);
  sum = table[sum & 0xff]! ^ (sum >>> 8);
  sum = table[sum & 0xff]! ^ (sum >>> 8);
  sum = table[sum & 0xff]! ^ (sum >>> 8);
  return (sum ^ -1) >>> 0;
}
