/**
 * Parameter lists for the fuzzer: what the data out of a command is, right for the commands that look
 * into it, so that what is bent afterwards gets far.
 */
import { SeededRandom } from '../kit/random.ts';
import { Mark, naaOf } from './world.ts';

/** Random bytes, taken in slices: no six equal ones in a row, so no mark by chance. */
export const POOL = new SeededRandom(20_261_121).fill(Buffer.alloc(64 * 1024));

export function randomBytes(random: SeededRandom, length: number): Buffer {
  const from = random.below(POOL.length - length);
  return Buffer.from(POOL.subarray(from, from + length));
}

/** The data out of a command: a right list for some, else bytes of about the right length. */
export function parameterList(random: SeededRandom, opcode: number, cdb: Buffer): Buffer {
  if (opcode === 0x42) {
    const list = Buffer.alloc(8 + 16 * random.between(1, 3));
    list.writeUInt16BE(list.length - 2, 0);
    list.writeUInt16BE(list.length - 8, 2);
    for (let at = 8; at < list.length; at += 16) {
      list.writeUInt32BE(random.below(200), at + 4);
      list.writeUInt32BE(random.below(40), at + 8);
    }
    cdb.writeUInt16BE(list.length, 7);
    return list;
  }
  if (opcode === 0x5f) {
    const list = Buffer.alloc(24);
    list[7] = random.below(3);
    list[15] = random.below(3);
    if (random.chance(0.2)) list[20] = random.below(16);
    cdb[2] = random.below(9);
    cdb.writeUInt32BE(24, 5);
    return list;
  }
  const action = cdb[1]! & 0x1f;
  if (opcode === 0x83 && (action === 0x10 || action === 0x11)) {
    const list = rodList(random, action);
    cdb.fill(0, 2);
    cdb[9] = random.below(2);
    cdb.writeUInt32BE(list.length, 10);
    return list;
  }
  if (opcode === 0x83) {
    const list = copyList(random);
    cdb.fill(0, 1);
    cdb.writeUInt32BE(list.length, 10);
    return list;
  }
  if (opcode === 0x15 || opcode === 0x55) {
    const list = Buffer.concat([Buffer.alloc(opcode === 0x15 ? 4 : 8), randomBytes(random, 20)]);
    list.set(
      random.pick([
        [0x08, 0x12],
        [0x0a, 0x0a],
        [0x1c, 0x0a],
      ]),
      list.length - 20,
    );
    cdb[opcode === 0x15 ? 4 : 8] = list.length;
    return list;
  }
  if (opcode === 0x89) return randomBytes(random, 1024);
  const blocks = cdb[0] === 0x0a || opcode === 0x0a ? cdb[4]! : cdb[opcode < 0x80 ? 8 : 13]!;
  return randomBytes(random, random.chance(0.8) ? Math.min(blocks, 128) * 512 : random.below(4096));
}

/**
 * EXTENDED COPY (LID1) parameter list (SPC-4 6.4): two identification descriptors and a block to
 * block segment. It copies within LUN 0, or tries to reach what is hidden from this initiator.
 */
function copyList(random: SeededRandom): Buffer {
  const list = Buffer.alloc(16 + 2 * 32 + 28);
  list.writeUInt16BE(64, 2);
  list.writeUInt32BE(28, 8);
  const hidden = random.below(3);
  [0, 1].forEach((index) => {
    const at = 16 + 32 * index;
    list.set([0xe4, 0, 0, 0, 1, 3, 0, 16], at);
    list.set(naaOf(hidden === index ? Mark.secret : Mark.first), at + 8);
    list.writeUIntBE(512, at + 29, 3);
  });
  const segment = 16 + 64;
  list.set([0x02, 0, 0, 0x18, 0, 0, 0, 1], segment);
  list.writeUInt16BE(random.between(1, 16), segment + 10);
  list.writeUInt32BE(random.below(100), segment + 16);
  list.writeUInt32BE(random.between(120, 200), segment + 24);
  return list;
}

/**
 * POPULATE TOKEN and WRITE USING TOKEN parameter lists (SBC-3 5.7, 5.45). The token is the zero token or
 * none at all: a real one would bring the data of one LUN to another, where the judge takes it for a leak.
 */
function rodList(random: SeededRandom, action: number): Buffer {
  const ranges = random.between(1, 4);
  const head = action === 0x10 ? 16 : 536;
  const list = Buffer.alloc(head + 16 * ranges);
  list.writeUInt16BE(list.length - 2, 0);
  list[2] = random.chance(0.7) ? 0 : random.below(4);
  list.writeUInt16BE(16 * ranges, head - 2);
  if (action === 0x10) {
    list.writeUInt32BE(random.pick([0, 1, 600]), 4);
    list.writeUInt32BE(0x0080_0001, 8);
  } else {
    if (random.chance(0.3)) randomBytes(random, 512).copy(list, 16);
    list.writeUInt32BE(random.chance(0.8) ? 0xffff_0001 : 0x0080_0001, 16);
    list.writeUInt16BE(0x01f8, 22);
  }
  for (let i = 0; i < ranges; i++) {
    list.writeUInt32BE(i * 60 + random.below(40), head + 16 * i + 4);
    list.writeUInt32BE(random.below(20), head + 16 * i + 8);
  }
  return list;
}
