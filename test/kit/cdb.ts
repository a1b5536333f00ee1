/** Command descriptor blocks for tests (SPC-4, SBC-3): 16 bytes each, unused ones zero. */

function cdb(...bytes: number[]): Buffer {
  const block = Buffer.alloc(16);
  block.set(bytes);
  return block;
}

export const testUnitReady = (): Buffer => cdb(0x00);
export const requestSense = (length = 252): Buffer => cdb(0x03, 0, 0, 0, length);
export const readCapacity10 = (): Buffer => cdb(0x25);

export function inquiry(length = 252, page?: number): Buffer {
  return cdb(0x12, page === undefined ? 0 : 1, page ?? 0, length >> 8, length & 0xff);
}

export function readCapacity16(length = 32): Buffer {
  const block = cdb(0x9e, 0x10);
  block.writeUInt32BE(length, 10);
  return block;
}

export function reportLuns(length = 256): Buffer {
  const block = cdb(0xa0);
  block.writeUInt32BE(length, 6);
  return block;
}

export function read10(lba: number, sectors: number): Buffer {
  return block10(0x28, 0, lba, sectors);
}

export function write10(lba: number, sectors: number, fua = false): Buffer {
  return block10(0x2a, fua ? 0x08 : 0, lba, sectors);
}

export function read16(lba: number, sectors: number): Buffer {
  return block16(0x88, 0, lba, sectors);
}

export function write16(lba: number, sectors: number, fua = false): Buffer {
  return block16(0x8a, fua ? 0x08 : 0, lba, sectors);
}

export function synchronizeCache10(lba = 0, sectors = 0): Buffer {
  return block10(0x35, 0, lba, sectors);
}

export function writeSame16(lba: number, sectors: number, unmap: boolean): Buffer {
  return block16(0x93, unmap ? 0x08 : 0, lba, sectors);
}

/** The parameter list of `ranges` goes as data out: see `unmapList`. */
export function unmap(listBytes: number): Buffer {
  const block = cdb(0x42);
  block.writeUInt16BE(listBytes, 7);
  return block;
}

/** SBC-3 5.28.2: 8 bytes of header, then 16 for each range. */
export function unmapList(ranges: ReadonlyArray<readonly [lba: number, sectors: number]>): Buffer {
  const list = Buffer.alloc(8 + 16 * ranges.length);
  list.writeUInt16BE(list.length - 2, 0);
  list.writeUInt16BE(16 * ranges.length, 2);
  ranges.forEach(([lba, sectors], index) => {
    list.writeBigUInt64BE(BigInt(lba), 8 + 16 * index);
    list.writeUInt32BE(sectors, 16 + 16 * index);
  });
  return list;
}

function block10(opcode: number, flags: number, lba: number, sectors: number): Buffer {
  const block = cdb(opcode, flags);
  block.writeUInt32BE(lba, 2);
  block.writeUInt16BE(sectors, 7);
  return block;
}

function block16(opcode: number, flags: number, lba: number, sectors: number): Buffer {
  const block = cdb(opcode, flags);
  block.writeBigUInt64BE(BigInt(lba), 2);
  block.writeUInt32BE(sectors, 10);
  return block;
}
