/**
 * CRC-32C (Castagnoli) for header and data digests (RFC 7143 13.1, RFC 3385).
 *
 * Bulk data goes through the native module; a header is 48 bytes, where a table in JavaScript beats
 * the cost of the call. The digest on the wire is the CRC least significant byte first (RFC 7143
 * 13.1 and its appendix with examples).
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/** Below this many bytes the table is faster than crossing into native code. */
const NATIVE_FROM_BYTES = 128;

const TABLE = makeTable();

function makeTable(): Int32Array {
  const table = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    table[n] = c;
  }
  return table;
}

/**
 * CRC-32C of `bytes[from…to)`, going on from `seed` (the CRC of what came before; 0 at the start).
 * Returns an unsigned 32-bit number.
 */
export function crc32c(bytes: Uint8Array, from: number, to: number, seed = 0): number {
  if (to - from >= NATIVE_FROM_BYTES) return nativeCrc32c(bytes.subarray(from, to), seed);
  let c = ~seed;
  for (let i = from; i < to; i++) c = TABLE[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8);
  return ~c >>> 0;
}
