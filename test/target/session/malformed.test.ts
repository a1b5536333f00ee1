/**
 * Malformed PDUs in full-feature phase get the named answer, and the session serves on (or the
 * connection ends, where the bytes that follow cannot be believed).
 */
import test from 'ava';
import { type Fields, Host, pdu, rw10, senseOf, text, world } from './kit.ts';

const NO_TAG = 0xffffffff;

interface Case {
  op: number;
  fields: Fields;
  /** Reason of the Reject, or sense of the SCSI Response. */
  answer: string;
  ends?: boolean;
  /** Takes a CmdSN. */
  counts?: boolean;
}

const cases: Record<string, Case> = {
  'unknown opcode 1Fh': { op: 0x1f, fields: { tag: 9 }, answer: 'reject 5' },
  'vendor opcode 1Ch': { op: 0x1c, fields: { tag: 9 }, answer: 'reject 5' },
  "a target's opcode": { op: 0x21, fields: { tag: 9 }, answer: 'reject 5' },
  SNACK: { op: 0x10, fields: { tag: NO_TAG }, answer: 'reject 3' },
  'a second login': { op: 0x43, fields: { tag: 9, data: text({ A: 'b' }) }, answer: 'reject 4' },
  'Data-Out for nothing': { op: 0x05, fields: { tag: 9, w20: 77 }, answer: 'reject 9' },
  'unsolicited Data-Out for nothing': {
    op: 0x05,
    fields: { tag: 9, w20: NO_TAG, data: Buffer.alloc(512) },
    answer: 'reject 9',
  },
  'a command with the reserved tag': {
    op: 0x01,
    fields: { tag: NO_TAG },
    answer: 'reject 9',
    counts: true,
  },
  'NOP-Out with a transfer tag that was never given': {
    op: 0x40,
    fields: { tag: NO_TAG, w20: 4711 },
    answer: 'reject 9',
  },
  'NOP-Out with an AHS': {
    op: 0x40,
    fields: { tag: 9, ahs: Buffer.from('0005010000000000', 'hex') },
    answer: 'reject 9',
  },
  'logout for an unknown reason': { op: 0x46, fields: { flags: 0x85 }, answer: 'reject 9' },
  'text without an equals sign': {
    op: 0x44,
    fields: { tag: 9, w20: NO_TAG, data: Buffer.from('SendTargets\0') },
    answer: 'reject 4',
  },
  'text with a transfer tag that was never given': {
    op: 0x44,
    fields: { tag: 9, w20: 1234 },
    answer: 'reject 4',
  },
  'a data segment longer than declared': {
    op: 0x01,
    fields: { tag: 9, flags: 0xa1, dataLength: 0xffffff, cdb: rw10(0x2a, 0, 1) },
    answer: 'reject 9',
    ends: true,
  },
  'an AHS that leaves its segment': {
    op: 0x01,
    fields: { tag: 9, ahs: Buffer.from('ffff010000000000', 'hex') },
    answer: 'reject 9',
    ends: true,
  },
  'an AHS of length zero': {
    op: 0x01,
    fields: { tag: 9, ahs: Buffer.from('00000100', 'hex') },
    answer: 'reject 9',
    ends: true,
  },
  'an AHS of an unknown type': {
    op: 0x01,
    fields: { tag: 9, ahs: Buffer.from('00053f0000000000', 'hex') },
    answer: '5/0e03',
    counts: true,
  },
  'a bidirectional command': {
    op: 0x01,
    fields: { tag: 9, flags: 0xe1, cdb: rw10(0x28, 0, 1) },
    answer: '5/0e03',
    counts: true,
  },
  'immediate data for a read': {
    op: 0x01,
    fields: { tag: 9, flags: 0xc1, w20: 512, cdb: rw10(0x28, 0, 1), data: Buffer.alloc(512) },
    answer: 'b/0c0c',
    counts: true,
  },
  'more immediate data than expected': {
    op: 0x01,
    fields: { tag: 9, flags: 0xa1, w20: 512, cdb: rw10(0x2a, 0, 1), data: Buffer.alloc(1024) },
    answer: 'b/0c0c',
    counts: true,
  },
  'a write flagged as a read': {
    op: 0x01,
    fields: { tag: 9, flags: 0xc1, w20: 512, cdb: rw10(0x2a, 0, 1) },
    answer: '5/0e03',
    counts: true,
  },
  'a write of half a sector': {
    op: 0x01,
    fields: { tag: 9, flags: 0xa1, w20: 200, cdb: rw10(0x2a, 0, 1), data: Buffer.alloc(200) },
    answer: '5/0e03',
    counts: true,
  },
};

for (const [name, { op, fields, answer, ends, counts }] of Object.entries(cases)) {
  test(name, async (t) => {
    const { server, device } = world();
    const host = new Host(server);
    await host.enter();
    const bytes = pdu(op, { w24: host.cmdSn, ...fields });
    if (counts === true) host.cmdSn++;
    host.send(bytes);
    const [reply] = await host.receive();
    t.truthy(reply);
    if (answer.startsWith('reject')) {
      t.is(reply!.op, 0x3f);
      t.is(`reject ${reply!.byte2.toString(16)}`, answer);
      t.deepEqual(reply!.data, bytes.subarray(0, 48), 'the bad header is echoed');
    } else {
      t.is(reply!.op, 0x21);
      t.is(reply!.byte3, 2);
      t.is(senseOf(reply!), answer);
    }
    t.deepEqual(device.log, [], 'nothing reached the device');
    if (ends === true) {
      t.is(host.stream.ended, 'end');
      return;
    }
    host.command(rw10(0x28, 0, 1), { read: true, length: 512 });
    const [served] = await host.receive();
    t.is(served?.op, 0x25, 'the session serves on');
    t.is(served?.data.length, 512);
  });
}
