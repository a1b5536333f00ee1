/**
 * Big-endian fields of CDBs and parameter data (SPC-4 3.5: the first byte is the most significant).
 *
 * The only place of scsi/ that puts bytes together. Reading past the end gives zeros: a CDB or a
 * parameter list that the initiator cut short is judged by its length fields, never by what lies
 * behind it in memory. Writing past the end is a bug and fails an assertion.
 */
import { strict as assert } from 'node:assert';

export function u8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export function u16(bytes: Uint8Array, at: number): number {
  return (u8(bytes, at) << 8) | u8(bytes, at + 1);
}

export function u24(bytes: Uint8Array, at: number): number {
  return (u8(bytes, at) << 16) | u16(bytes, at + 1);
}

export function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 0x10000 + u16(bytes, at + 2);
}

/** A 64-bit field; above 2^53 it loses low bits but stays above 2^53, so range checks still hold. */
export function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) * 0x1_0000_0000 + u32(bytes, at + 4);
}

/** A 64-bit field that is compared or echoed exactly (reservation keys). */
export function u64Big(bytes: Uint8Array, at: number): bigint {
  return (BigInt(u32(bytes, at)) << 32n) | BigInt(u32(bytes, at + 4));
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  assert(at + 2 <= bytes.length && value >= 0 && value <= 0xffff);
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 0xff;
}

export function putU24(bytes: Uint8Array, at: number, value: number): void {
  assert(at + 3 <= bytes.length && value >= 0 && value <= 0xffffff);
  bytes[at] = value >>> 16;
  bytes[at + 1] = (value >>> 8) & 0xff;
  bytes[at + 2] = value & 0xff;
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  assert(at + 4 <= bytes.length && value >= 0 && value <= 0xffffffff);
  bytes[at] = value >>> 24;
  bytes[at + 1] = (value >>> 16) & 0xff;
  bytes[at + 2] = (value >>> 8) & 0xff;
  bytes[at + 3] = value & 0xff;
}

/** `value` is an integer up to 2^53. */
export function putU64(bytes: Uint8Array, at: number, value: number): void {
  assert(Number.isSafeInteger(value) && value >= 0);
  putU32(bytes, at, Math.floor(value / 0x1_0000_0000));
  putU32(bytes, at + 4, value % 0x1_0000_0000);
}

export function putU64Big(bytes: Uint8Array, at: number, value: bigint): void {
  assert(value >= 0n && value <= 0xffff_ffff_ffff_ffffn);
  putU32(bytes, at, Number(value >> 32n));
  putU32(bytes, at + 4, Number(value & 0xffff_ffffn));
}

/** Left-aligned ASCII padded with spaces (SPC-4 4.3.1); anything not printable becomes a space. */
export function putAscii(bytes: Uint8Array, at: number, length: number, text: string): void {
  assert(at + length <= bytes.length);
  for (let i = 0; i < length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0x20;
    bytes[at + i] = code >= 0x20 && code <= 0x7e ? code : 0x20;
  }
}

/** Null-terminated UTF-8, padded with NULs to a multiple of four (SPC-4 4.3.2). */
export function nullPadded(text: string): Uint8Array {
  const raw = new TextEncoder().encode(text);
  const out = new Uint8Array(Math.ceil((raw.length + 1) / 4) * 4);
  out.set(raw);
  return out;
}
