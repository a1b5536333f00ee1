/**
 * iSCSI PDUs for the test initiator: bytes to fields and back, written from RFC 7143 section 11 and
 * sharing nothing with target/, so that a misreading there is not repeated here.
 *
 * Every PDU (RFC 7143 11.2):
 *
 *   byte 0        .I opcode     bit 6 = immediate, bits 5…0 = opcode
 *   byte 1…3      opcode-specific; byte 1 bit 7 is F (final) or T (transit)
 *   byte 4        TotalAHSLength, 4-byte words
 *   byte 5…7      DataSegmentLength, bytes, padding not counted
 *   byte 8…15     LUN or opcode-specific (login: ISID 6 bytes, TSIH 2)
 *   byte 16…19    Initiator Task Tag
 *   byte 20…47    opcode-specific
 *   AHS           TotalAHSLength × 4 bytes
 *   [header digest, 4 bytes CRC-32C]
 *   data          DataSegmentLength bytes, padded with zeros to a multiple of 4
 *   [data digest, 4 bytes CRC-32C]
 */

export const Op = {
  nopOut: 0x00,
  scsiCommand: 0x01,
  taskManagement: 0x02,
  login: 0x03,
  text: 0x04,
  dataOut: 0x05,
  logout: 0x06,
  snack: 0x10,
  nopIn: 0x20,
  scsiResponse: 0x21,
  taskManagementResponse: 0x22,
  loginResponse: 0x23,
  textResponse: 0x24,
  dataIn: 0x25,
  logoutResponse: 0x26,
  r2t: 0x31,
  asyncMessage: 0x32,
  reject: 0x3f,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

export const HEADER_BYTES = 48;
export const NO_TAG = 0xffffffff;
export const FINAL = 0x80;

export interface Pdu {
  readonly opcode: number;
  readonly immediate: boolean;
  /** Byte 1: flags. */
  readonly flags: number;
  /** The 48 bytes as they came. */
  readonly header: Buffer;
  readonly ahs: Buffer;
  /** Without padding. */
  readonly data: Buffer;
}

/** Everything a PDU can carry; what is left out is zero. `bytes` sets 32-bit words by offset. */
export interface PduFields {
  readonly opcode: number;
  readonly immediate?: boolean;
  readonly flags?: number;
  readonly byte2?: number;
  readonly byte3?: number;
  /** Bytes 8…15 as a LUN in flat-space form, or as raw bytes. */
  readonly lun?: number | Uint8Array;
  readonly tag?: number;
  /** 32-bit words, by their byte offset in the header. */
  readonly words?: Readonly<Record<number, number>>;
  /** Bytes 32…47. */
  readonly cdb?: Uint8Array;
  /** Length a multiple of 4. */
  readonly ahs?: Uint8Array;
  readonly data?: Uint8Array;
  /** Lies for hostile PDUs: what the header says, whatever follows. */
  readonly claimedDataLength?: number;
  readonly claimedAhsWords?: number;
}

/** Single-level LUN structure (SAM-5 4.7.4): below 256 peripheral addressing, else flat space. */
export function encodeLun(lun: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16BE(lun < 256 ? lun : 0x4000 | lun, 0);
  return bytes;
}

export function buildHeader(fields: PduFields): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = (fields.opcode & 0x3f) | (fields.immediate === true ? 0x40 : 0);
  header[1] = fields.flags ?? 0;
  header[2] = fields.byte2 ?? 0;
  header[3] = fields.byte3 ?? 0;
  header[4] = fields.claimedAhsWords ?? (fields.ahs?.length ?? 0) / 4;
  header.writeUIntBE(fields.claimedDataLength ?? fields.data?.length ?? 0, 5, 3);
  const lun = fields.lun ?? 0;
  header.set(typeof lun === 'number' ? encodeLun(lun) : lun, 8);
  header.writeUInt32BE(fields.tag ?? 0, 16);
  for (const [offset, word] of Object.entries(fields.words ?? {})) {
    header.writeUInt32BE(word >>> 0, Number(offset));
  }
  if (fields.cdb !== undefined) header.set(fields.cdb.subarray(0, 16), 32);
  return header;
}

export interface Digests {
  readonly header: boolean;
  readonly data: boolean;
}
export const NO_DIGESTS: Digests = { header: false, data: false };

/** The whole PDU, padded, with the digests asked for. */
export function buildPdu(fields: PduFields, digests: Digests = NO_DIGESTS): Buffer {
  const head = [buildHeader(fields), Buffer.from(fields.ahs ?? [])];
  if (digests.header) head.push(digest(head));
  const data = fields.data ?? new Uint8Array(0);
  if (data.length === 0) return Buffer.concat(head);
  const body = [Buffer.from(data.buffer, data.byteOffset, data.length), padding(data.length)];
  if (digests.data) body.push(digest(body));
  return Buffer.concat([...head, ...body]);
}

function padding(length: number): Buffer {
  return Buffer.alloc(-length & 3);
}

/** Collects bytes and gives whole PDUs. A digest that does not match throws. */
export class PduReader {
  digests: Digests = NO_DIGESTS;
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  next(): Pdu | null {
    if (this.#length < HEADER_BYTES) return null;
    const first = this.#peek(HEADER_BYTES);
    const ahsLength = (first[4] ?? 0) * 4;
    const dataLength = first.readUIntBE(5, 3);
    const headDigest = this.digests.header ? 4 : 0;
    const dataDigest = this.digests.data && dataLength > 0 ? 4 : 0;
    const bodyAt = HEADER_BYTES + ahsLength + headDigest;
    const padded = dataLength + (-dataLength & 3);
    const total = bodyAt + padded + dataDigest;
    if (this.#length < total) return null;
    const bytes = this.#take(total);
    const header = bytes.subarray(0, HEADER_BYTES);
    if (headDigest > 0) check('header', bytes.subarray(0, bodyAt - 4), bytes, bodyAt - 4);
    if (dataDigest > 0) check('data', bytes.subarray(bodyAt, total - 4), bytes, total - 4);
    return {
      opcode: (header[0] ?? 0) & 0x3f,
      immediate: ((header[0] ?? 0) & 0x40) !== 0,
      flags: header[1] ?? 0,
      header,
      ahs: bytes.subarray(HEADER_BYTES, HEADER_BYTES + ahsLength),
      data: bytes.subarray(bodyAt, bodyAt + dataLength),
    };
  }

  #peek(length: number): Buffer {
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= length) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }

  #take(length: number): Buffer {
    const first = this.#peek(length);
    const rest = first.subarray(length);
    if (rest.length === 0) this.#chunks.shift();
    else this.#chunks[0] = rest;
    this.#length -= length;
    return first.subarray(0, length);
  }
}

function check(what: string, covered: Buffer, bytes: Buffer, at: number): void {
  if (crc32c([covered]) !== bytes.readUInt32LE(at)) throw new Error(`${what} digest is wrong`);
}

/** CRC-32C (RFC 7143 13.1), sent least significant byte first. */
function digest(parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc32c(parts));
  return bytes;
}

/** Castagnoli's polynomial, bits reversed: 0x82f63b78. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

export function crc32c(parts: readonly Uint8Array[]): number {
  let crc = 0xffffffff;
  for (const part of parts) {
    for (const byte of part) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** Text keys: `key=value` and a NUL each (RFC 7143 6.1). */
export function encodeKeys(keys: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(
    Object.entries(keys)
      .map(([key, value]) => `${key}=${value}\0`)
      .join(''),
    'utf8',
  );
}

/** A key that comes twice (TargetName in SendTargets) keeps every value, in order. */
export function decodeKeys(data: Uint8Array): Array<readonly [string, string]> {
  return Buffer.from(data)
    .toString('utf8')
    .split('\0')
    .filter((pair) => pair.length > 0)
    .map((pair) => {
      const at = pair.indexOf('=');
      if (at < 0) throw new Error(`a key without "=": ${JSON.stringify(pair)}`);
      return [pair.slice(0, at), pair.slice(at + 1)] as const;
    });
}

/** For messages: what the PDU is, short. */
export function describePdu(pdu: Pdu): string {
  const name = Object.entries(Op).find(([, code]) => code === pdu.opcode)?.[0] ?? 'unknown opcode';
  const extra =
    pdu.opcode === Op.reject
      ? ` reason ${hex(pdu.header[2])}`
      : pdu.opcode === Op.loginResponse
        ? ` status ${hex(pdu.header[36])}/${hex(pdu.header[37])}`
        : '';
  return `${name}${extra}, ${pdu.data.length} bytes of data`;
}

export function hex(byte: number | undefined): string {
  return (byte ?? 0).toString(16).padStart(2, '0');
}
