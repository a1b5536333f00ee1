/**
 * What a fuzzing initiator sends: a valid PDU for where its session stands, then bent. Everything
 * comes from one seeded generator, so a round can be told by its number.
 *
 * A PDU is bent before its digests are added, so that it gets past them; some are bent after.
 */
import { commands } from '../../target/scsi/dispatch.ts';
import { Transfer } from '../../target/scsi/task.ts';
import {
  buildHeader,
  crc32c,
  type Digests,
  encodeKeys,
  encodeLun,
  NO_TAG,
  Op,
} from '../kit/pdu.ts';
import type { SeededRandom } from '../kit/random.ts';
import { bendText, loginKeys, proofKeys } from './keys.ts';
import { POOL, parameterList, randomBytes } from './parameters.ts';

const EDGES = [
  0, 1, 2, 3, 4, 7, 8, 0x7f, 0x80, 0xff, 0x100, 0x1ff, 0x200, 0xfff, 0x1000, 0x7fff, 0x8000, 0xffff,
  0x10000, 0x20000, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
] as const;

export interface R2t {
  readonly tag: number;
  readonly transferTag: number;
  readonly offset: number;
  readonly length: number;
}

/** What the generator knows of the session; the link keeps it up to date. */
export interface Standing {
  cmdSn: number;
  expStatSn: number;
  digests: Digests;
  readonly r2ts: R2t[];
  readonly tags: number[];
}

/** One message, and whether the receiver can still find where the next one starts. */
export interface Message {
  readonly bytes: Buffer;
  readonly inStep: boolean;
  /** The header as it was sent. */
  readonly header: Buffer;
}

interface Parts {
  header: Buffer;
  ahs: Buffer;
  data: Buffer;
}

export class Generator {
  readonly random: SeededRandom;
  #tag = 1;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  /** Something for a session in full-feature phase. */
  next(standing: Standing): Message {
    const { random } = this;
    const parts = this.#valid(standing);
    if (random.chance(0.5)) {
      for (let left = random.between(1, 3); left > 0; left--) this.#bend(parts);
    }
    return this.#assemble(parts, standing.digests, true);
  }

  /** A login request that means to succeed (`bent` false) or that is bent. */
  login(target: string, isid: number, bent: boolean): Message {
    const { random } = this;
    const pairs = loginKeys(random, target, bent);
    let data = encodeKeys(pairs);
    if (bent && random.chance(0.7)) data = bendText(random, data, POOL);
    const where = Buffer.alloc(8);
    where.writeUInt32BE(0x80000000 + isid, 0);
    if (bent && random.chance(0.2)) where.writeUInt16BE(random.pick(EDGES) & 0xffff, 6);
    const parts: Parts = {
      header: buildHeader({
        opcode: Op.login,
        immediate: true,
        flags: bent && random.chance(0.5) ? random.below(256) : 0x87,
        lun: where,
        tag: this.#tag++,
        words: { 24: 1 },
        data,
      }),
      ahs: Buffer.alloc(0),
      data,
    };
    if (bent && random.chance(0.4)) this.#bend(parts);
    return this.#assemble(parts, { header: false, data: false }, bent);
  }

  /** Step 0, 1, 2… of a login to a target that asks for CHAP; some steps are bent. */
  proof(step: number, isid: number): Message {
    const { random } = this;
    const keys = encodeKeys(proofKeys(random, random.chance(0.95) ? step : random.below(3)));
    const data = random.chance(0.2) ? bendText(random, keys, POOL) : keys;
    const where = Buffer.alloc(8);
    where.writeUInt32BE(0x80000000 + isid, 0);
    // Stages: security, and with the last step on to the operational or the full-feature one.
    const flags = step < 2 ? 0 : random.pick([0x81, 0x83, 0x00]);
    const fields = { opcode: Op.login, immediate: true, flags, lun: where, tag: this.#tag++ };
    const parts = whole({ ...fields, words: { 24: 1 } }, data);
    if (random.chance(0.1)) this.#bend(parts);
    return this.#assemble(parts, { header: false, data: false }, true);
  }

  #valid(standing: Standing): Parts {
    const { random } = this;
    const kind = random.below(100);
    const r2t = standing.r2ts.length === 0 ? undefined : random.pick(standing.r2ts);
    if (r2t !== undefined && kind < 45) return this.#dataOut(r2t, standing);
    if (kind < 75) return this.#command(standing);
    const tag = standing.tags.length === 0 ? 1 : random.pick(standing.tags);
    const common = {
      tag: this.#tag++,
      words: { 20: NO_TAG, 24: standing.cmdSn, 28: standing.expStatSn },
    };
    const immediate = random.chance(0.7);
    if (kind < 80) {
      const data = this.data(random.below(600));
      return whole({ ...common, opcode: Op.nopOut, immediate, flags: 0x80 }, data);
    }
    if (kind < 87) {
      const words = { ...common.words, 20: tag, 32: (standing.cmdSn - random.below(4)) >>> 0 };
      const flags = 0x80 | random.between(1, 8);
      const lun = random.below(3);
      return whole({ ...common, opcode: Op.taskManagement, immediate, flags, words, lun });
    }
    if (kind < 92) {
      const keys = encodeKeys({ SendTargets: random.pick(['All', '', 'iqn.2026-11.test:hidden']) });
      const data = random.chance(0.5) ? keys : bendText(random, keys, POOL);
      return whole(
        { ...common, opcode: Op.text, immediate, flags: random.pick([0x80, 0x40, 0]) },
        data,
      );
    }
    if (kind < 93) {
      return whole({ ...common, opcode: Op.logout, immediate, flags: 0x80 | random.below(3) });
    }
    if (kind < 95) return whole({ ...common, opcode: Op.snack, flags: 0x80 | random.below(4) });
    if (kind < 96) {
      const data = encodeKeys(loginKeys(random, 'iqn.2026-11.test:open', true));
      return whole({ ...common, opcode: Op.login, immediate: true, flags: 0x87 }, data);
    }
    const any = { tag, transferTag: random.word(), offset: random.pick(EDGES), length: 512 };
    return this.#dataOut(any, standing);
  }

  #dataOut(r2t: R2t, standing: Standing): Parts {
    const { random } = this;
    const length = Math.min(r2t.length, random.pick([512, 1024, 8192, 65_536]));
    const words = {
      20: r2t.transferTag,
      28: standing.expStatSn,
      36: random.chance(0.9) ? 0 : random.pick(EDGES),
      40: r2t.offset,
    };
    const flags = length === r2t.length || random.chance(0.2) ? 0x80 : 0;
    return whole({ opcode: Op.dataOut, flags, tag: r2t.tag, words }, this.data(length));
  }

  #command(standing: Standing): Parts {
    const { random } = this;
    const row = random.pick(commands);
    const cdb = this.#cdb(row.opcode, row.action, row.usage);
    const out = row.transfer === Transfer.out || row.transfer === Transfer.write;
    const data = out ? parameterList(random, row.opcode, cdb) : Buffer.alloc(0);
    const immediate = Math.min(data.length, random.pick([data.length, data.length, 512, 0]));
    const expected = random.chance(0.9)
      ? out
        ? data.length
        : random.pick([0, 8, 252, 512, 4096, 65_536])
      : random.pick(EDGES);
    const direction = out ? 0x20 : row.transfer === Transfer.none ? 0 : 0x40;
    const tag = this.#tag++;
    standing.tags.push(tag);
    if (standing.tags.length > 8) standing.tags.shift();
    const isImmediate = random.chance(0.05);
    const words = { 20: expected, 24: standing.cmdSn, 28: standing.expStatSn };
    if (!isImmediate) standing.cmdSn = (standing.cmdSn + 1) >>> 0;
    const final = random.chance(0.95) ? 0x80 : 0;
    return whole(
      {
        opcode: Op.scsiCommand,
        immediate: isImmediate,
        flags: final | direction | random.pick([1, 1, 1, 0, 2, 3, 4]),
        lun: this.#lun(),
        tag,
        words,
        cdb,
      },
      data.subarray(0, immediate),
    );
  }

  #lun(): Uint8Array {
    const { random } = this;
    if (random.chance(0.9)) return encodeLun(random.below(2));
    if (random.chance(0.5)) return Buffer.from('c101000000000000', 'hex');
    return this.data(8);
  }

  /** By the row: small fields, wild ones within the row, or anything. */
  #cdb(opcode: number, action: number | null, usage: Uint8Array): Buffer {
    const { random } = this;
    const cdb = Buffer.alloc(16);
    const how = random.below(10);
    if (how === 0) this.data(16).copy(cdb);
    else if (how < 4) cdb.set(this.data(16).map((byte, i) => byte & (usage[i] ?? 0)));
    else this.#small(cdb, usage);
    cdb[0] = opcode;
    if (action !== null) cdb[1] = (cdb[1]! & 0xe0) | action;
    return cdb;
  }

  /** LBA and length where the forms of this size have them, within the disk. */
  #small(cdb: Buffer, usage: Uint8Array): void {
    const { random } = this;
    const lba = random.below(250);
    const count = random.pick([0, 1, 1, 2, 8, 24, 96, 252]);
    if (random.chance(0.3)) cdb[1] = random.below(256) & usage[1]!;
    if (usage.length === 6) cdb.set([cdb[1]!, 0, random.chance(0.5) ? lba : 0, count & 0xff], 1);
    else if (usage.length === 16) {
      cdb[9] = lba;
      if (cdb[0] === 0x89) cdb[13] = 1;
      else cdb.writeUInt32BE(count, 10);
    } else {
      cdb[5] = random.chance(0.8) ? lba & usage[5]! : 0;
      cdb[2] = random.chance(0.3) ? random.below(256) & usage[2]! : 0;
      cdb[usage.length === 10 ? 8 : 9] = count;
    }
  }

  /** TEST UNIT READY for `lun`, as it should be. */
  ready(standing: Standing, lun: number): Message {
    const words = { 24: standing.cmdSn, 28: standing.expStatSn };
    standing.cmdSn = (standing.cmdSn + 1) >>> 0;
    const tag = this.#tag++;
    const header = buildHeader({ opcode: Op.scsiCommand, flags: 0x81, lun, tag, words });
    return this.seal(header, standing.digests);
  }

  /** A header without data, as it is. */
  seal(header: Buffer, digests: Digests): Message {
    return this.#assemble({ header, ahs: Buffer.alloc(0), data: Buffer.alloc(0) }, digests, false);
  }

  data(length: number): Buffer {
    return randomBytes(this.random, length);
  }

  #bend(parts: Parts): void {
    const { random } = this;
    const { header, data } = parts;
    switch (random.below(12)) {
      case 0:
      case 1: {
        const at = random.below(48);
        header[at] = header[at]! ^ (1 << random.below(8));
        break;
      }
      case 2:
        header[random.below(48)] = random.below(256);
        break;
      case 3:
      case 4:
        header.writeUInt32BE(random.pick(EDGES), 16 + 4 * random.below(8));
        break;
      case 5:
        header[32 + random.below(16)] = random.pick(EDGES) & 0xff;
        break;
      case 6:
        header.writeUIntBE(random.pick(EDGES) & 0xffffff, 5, 3);
        break;
      case 7:
        parts.ahs = this.#ahs();
        header[4] = random.chance(0.9) ? parts.ahs.length / 4 : random.below(256);
        break;
      case 8:
        parts.data = random.chance(0.5)
          ? data.subarray(0, random.below(data.length + 1))
          : this.data(random.below(9000));
        if (random.chance(0.8)) header.writeUIntBE(parts.data.length, 5, 3);
        break;
      case 9:
        if (data.length > 0) data[random.below(data.length)] = random.below(256);
        break;
      case 10:
        if (data.length >= 4) data.writeUInt32BE(random.pick(EDGES), random.below(data.length - 3));
        break;
      default:
        header[0] = (header[0]! & 0x40) | random.below(64);
    }
  }

  /** RFC 7143 11.2.2: length, type, then what it says. */
  #ahs(): Buffer {
    const { random } = this;
    const ahs = this.data(4 * random.between(1, 12));
    if (random.chance(0.8)) {
      ahs.writeUInt16BE(random.chance(0.7) ? ahs.length - 3 : random.pick(EDGES) & 0xffff, 0);
      ahs[2] = random.pick([1, 2, 2, 0, 63]);
    }
    return ahs;
  }

  #assemble(parts: Parts, digests: Digests, bent: boolean): Message {
    const { random } = this;
    const { header, ahs, data } = parts;
    const list = [header, ahs];
    if (digests.header) list.push(digest([header, ahs]));
    if (data.length > 0) {
      const body = [data, Buffer.alloc(-data.length & 3)];
      list.push(...body);
      if (digests.data) list.push(digest(body));
    }
    const bytes = Buffer.concat(list);
    const honest = header[4] === ahs.length / 4 && header.readUIntBE(5, 3) === data.length;
    if (!bent || !random.chance(0.04)) return { bytes, inStep: honest, header };
    switch (random.below(4)) {
      case 0:
        return { bytes: bytes.subarray(0, random.below(bytes.length)), inStep: false, header };
      case 1:
        return { bytes: Buffer.concat([bytes, bytes]), inStep: honest, header };
      case 2:
        return {
          bytes: Buffer.concat([this.data(random.below(64)), bytes]),
          inStep: false,
          header,
        };
      default: {
        const at = random.below(bytes.length);
        bytes[at] = bytes[at]! ^ (1 << random.below(8));
        return { bytes, inStep: false, header };
      }
    }
  }
}

function whole(fields: Parameters<typeof buildHeader>[0], data: Buffer = Buffer.alloc(0)): Parts {
  return { header: buildHeader({ ...fields, data }), ahs: Buffer.alloc(0), data };
}

function digest(parts: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc32c(parts));
  return bytes;
}
