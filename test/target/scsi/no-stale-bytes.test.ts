/**
 * Whatever allocation length is asked for, an answer is the first bytes of one and the same data: no
 * byte behind it, none of another command. Seen twice: at the unit, and on the wire, where buffers
 * are used again, with their padding.
 */
import test from 'ava';
import { Host, rw10, world } from '../session/kit.ts';
import { World } from './kit.ts';

/** Boundaries of the fields and of the answers, and a spread between. */
const lengths = new Set([0xff, 0x100, 0x101, 0x7fff, 0x8000, 0xfffe, 0xffff]);
for (let length = 0; length <= 132; length++) lengths.add(length);
for (let length = 133; length < 0xffff; length += 4099) lengths.add(length);

interface Ask {
  readonly name: string;
  /** Where the allocation length is, and how long. */
  readonly at: number;
  readonly bytes: 1 | 2 | 4;
  readonly cdb: readonly number[];
}

const vpdPages = Array.from({ length: 256 }, (_, page) => page);
const asks: readonly Ask[] = [
  { name: 'INQUIRY', at: 3, bytes: 2, cdb: [0x12] },
  ...vpdPages.map((page): Ask => {
    return { name: `VPD ${page.toString(16)}`, at: 3, bytes: 2, cdb: [0x12, 1, page] };
  }),
  { name: 'REQUEST SENSE', at: 4, bytes: 1, cdb: [0x03] },
  { name: 'REQUEST SENSE with descriptors', at: 4, bytes: 1, cdb: [0x03, 1] },
  ...[0, 1, 2, 3].flatMap((control) =>
    [0x01, 0x08, 0x0a, 0x1a, 0x1c, 0x3f].flatMap((page): Ask[] => {
      const byte2 = (control << 6) | page;
      return [
        { name: `MODE SENSE(6) ${byte2.toString(16)}`, at: 4, bytes: 1, cdb: [0x1a, 0, byte2] },
        { name: `MODE SENSE(6) ${byte2.toString(16)} DBD`, at: 4, bytes: 1, cdb: [0x1a, 8, byte2] },
        { name: `MODE SENSE(10) ${byte2.toString(16)}`, at: 7, bytes: 2, cdb: [0x5a, 0, byte2] },
        {
          name: `MODE SENSE(10) ${byte2.toString(16)} ff`,
          at: 7,
          bytes: 2,
          cdb: [0x5a, 0x10, byte2, 0xff],
        },
      ];
    }),
  ),
  ...[0x00, 0x0c, 0x0d, 0x15, 0x2f, 0x3f].map((page): Ask => {
    return { name: `LOG SENSE ${page.toString(16)}`, at: 7, bytes: 2, cdb: [0x4d, 0, 0x40 | page] };
  }),
  { name: 'LOG SENSE subpages', at: 7, bytes: 2, cdb: [0x4d, 0, 0x40, 0xff] },
  { name: 'REPORT LUNS', at: 6, bytes: 4, cdb: [0xa0, 0, 2] },
  { name: 'READ CAPACITY(16)', at: 10, bytes: 4, cdb: [0x9e, 0x10] },
  { name: 'GET LBA STATUS', at: 10, bytes: 4, cdb: [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0x10] },
  { name: 'REPORT SUPPORTED OPERATION CODES', at: 6, bytes: 4, cdb: [0xa3, 0x0c, 0] },
  { name: 'the same with timeouts', at: 6, bytes: 4, cdb: [0xa3, 0x0c, 0x80] },
  ...[0x00, 0x12, 0x28, 0x5e, 0x9e, 0xa3, 0xff].flatMap((opcode) =>
    [1, 2, 3, 0x81, 0x83].map((options): Ask => {
      const name = `one operation code ${opcode.toString(16)} ${options.toString(16)}`;
      return { name, at: 6, bytes: 4, cdb: [0xa3, 0x0c, options, opcode, 0xff, 0xff] };
    }),
  ),
  ...[0x00, 0x10, 0x12, 0x1f, 0x7fff].map((action): Ask => {
    const name = `a service action ${action.toString(16)}`;
    return { name, at: 6, bytes: 4, cdb: [0xa3, 0x0c, 3, 0x9e, action >> 8, action & 0xff] };
  }),
  { name: 'REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS', at: 6, bytes: 4, cdb: [0xa3, 0x0d] },
  { name: 'REPORT TARGET PORT GROUPS', at: 6, bytes: 4, cdb: [0xa3, 0x0a] },
  ...[0, 1, 2, 3].map((action): Ask => {
    return { name: `PERSISTENT RESERVE IN ${action}`, at: 7, bytes: 2, cdb: [0x5e, action] };
  }),
  ...[0x03, 0x05, 0x07].map((action): Ask => {
    return { name: `RECEIVE COPY RESULTS ${action}`, at: 10, bytes: 4, cdb: [0x84, action] };
  }),
];

function cdbOf(ask: Ask, length: number): Uint8Array {
  const out = Buffer.alloc(16);
  out.set(ask.cdb);
  out.writeUIntBE(length, ask.at, ask.bytes);
  return out;
}

test('every answer is a beginning of the whole answer, at every allocation length', async (t) => {
  const unit = new World();
  await unit.attach(unit.a);
  let answered = 0;
  for (const ask of asks) {
    const most = ask.bytes === 1 ? 0xff : 0xffff;
    const whole = await unit.run(cdbOf(ask, most));
    if (whole.status === 0 && whole.data.length !== 0) answered++;
    for (const length of lengths) {
      if (length > most) continue;
      const { status, data } = await unit.run(cdbOf(ask, length));
      // An allocation length that a command must refuse (REPORT LUNS below 16) is an answer too.
      if (status !== 0) {
        t.is(data.length, 0, `${ask.name} ${length}`);
        continue;
      }
      const due = whole.data.subarray(0, length);
      if (!Buffer.from(data).equals(due)) t.fail(`${ask.name} ${length}`);
    }
  }
  // The property would hold of a unit that refused everything.
  t.true(answered > 50, `${answered} kinds of answer`);
});

test('on the wire neither padding nor what is not there shows an older answer', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter({ MaxRecvDataSegmentLength: '65536' });
  // Every byte of every buffer that is used again is EEh.
  device.write(0, Buffer.alloc(1024 * 1024, 0xee), false, { complete: () => {} });
  const dirty = async () => {
    host.command(rw10(0x28, 0, 512), { read: true, length: 262_144 });
    const replies = await host.receive();
    t.true(replies.every((reply) => reply.data.every((byte) => byte === 0xee)));
  };
  for (const ask of asks) {
    const most = ask.bytes === 1 ? 0xff : 0xffff;
    await dirty();
    const whole = await answerOf(host, cdbOf(ask, most), most);
    for (const length of [0, 1, 2, 3, 5, 7, 17, 18, 33, 35, 97, 253, 255, 256, 1021, most]) {
      if (length > most) continue;
      for (const expected of [length, length + 1, Math.max(0, length - 1), 65_536]) {
        const { data, padding, status } = await answerOf(host, cdbOf(ask, length), expected);
        t.true(
          padding.every((byte) => byte === 0),
          `${ask.name} ${length}: padding`,
        );
        if (status !== 0) continue;
        const due = whole.data.subarray(0, Math.min(length, expected));
        if (!data.equals(due)) t.fail(`${ask.name} ${length} of ${expected}`);
      }
    }
  }
  t.false(asks.some((ask) => ask.cdb.length === 0));
});

/** One command in its raw bytes, as the kit's receiver would drop the padding. */
async function answerOf(host: Host, cdb: Uint8Array, expected: number) {
  const flags = { read: expected !== 0, length: expected };
  host.command(Buffer.from(cdb), flags);
  await new Promise((resolve) => setImmediate(resolve));
  const bytes = host.stream.drain();
  const data: Buffer[] = [];
  const padding: Buffer[] = [];
  let status = -1;
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUIntBE(at + 5, 3);
    const op = bytes[at]! & 0x3f;
    const end = at + 48 + length;
    const next = end + (-length & 3);
    if (op === 0x25) data.push(bytes.subarray(at + 48, end));
    if (op === 0x21 || (bytes[at + 1]! & 1) !== 0) status = bytes[at + 3]!;
    padding.push(bytes.subarray(end, next));
    at = next;
  }
  if (status < 0) throw new Error('no status');
  return { data: Buffer.concat(data), padding: Buffer.concat(padding), status };
}

test('what was never written, and what was unmapped, reads as zeros after older data in every buffer', async (t) => {
  const { server, device } = world();
  const host = new Host(server);
  await host.enter();
  const write = Buffer.alloc(65_536, 0xdd);
  host.command(rw10(0x2a, 0, 128), { write: true, length: 65_536, data: write });
  await host.receive();
  device.unmap(0, 4096, { complete: () => {} });
  host.command(rw10(0x28, 0, 8), { read: true, length: 4096 });
  host.command(rw10(0x28, 4096, 512), { read: true, length: 262_144 });
  const bytes = Buffer.concat((await host.receive()).map((reply) => reply.data));
  t.is(bytes.length, 4096 + 262_144);
  t.true(bytes.every((byte) => byte === 0));
});
