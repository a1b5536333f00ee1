/**
 * The bytes of each PDU from the target, field by field as RFC 7143 section 11 lays them out. The
 * connection fills in StatSN, ExpCmdSN and MaxCmdSN at 24…35 afterwards.
 */
import test from 'ava';
import { putScsiResponse, putSense, readLongCdb } from '../../../target/wire/command.ts';
import {
  putAsyncMessage,
  putLogoutResponse,
  putNopIn,
  putReject,
} from '../../../target/wire/control.ts';
import { putDataIn, putReadyToTransfer } from '../../../target/wire/data.ts';
import { putLoginResponse, readLoginRequest } from '../../../target/wire/login.ts';
import { putTaskResponse, readTaskRequest } from '../../../target/wire/task.ts';
import { putTextResponse, readTextRequest } from '../../../target/wire/text.ts';

type Put = (b: Uint8Array, at: number) => void;

const cases: Record<string, [Put, string]> = {
  'SCSI Response': [
    (b, at) => putScsiResponse(b, at, 0, 0x02, 20, 0x11223344, 0x02, 512, 3),
    '21 82 00 02 00 000014 0000000000000000 11223344 00000000 00000000 00000000 00000000 00000003 00000000 00000200',
  ],
  'Data-In with status': [
    (b, at) => putDataIn(b, at, 0x83, 0, 4096, 0xa0b0c0d0, 7, 0x2000, 9),
    '25 83 00 00 00 001000 0000000000000000 a0b0c0d0 ffffffff 00000000 00000000 00000000 00000007 00002000 00000009',
  ],
  R2T: [
    (b, at) => putReadyToTransfer(b, at, 0x00010000, 0, 1, 2, 3, 0x10000, 0x40000),
    '31 80 00 00 00 000000 0001000000000000 00000001 00000002 00000000 00000000 00000000 00000003 00010000 00040000',
  ],
  'Task Management Response': [
    (b, at) => putTaskResponse(b, at, 5, 255),
    '22 80 ff 00 00 000000 0000000000000000 00000005 00000000 00000000 00000000 00000000 00000000 00000000 00000000',
  ],
  'Login Response': [
    (b, at) =>
      putLoginResponse(b, at, {
        transit: true,
        continues: false,
        currentStage: 1,
        nextStage: 3,
        isid: '80123456789a',
        tsih: 0x1234,
        tag: 6,
        status: 0x0203,
        dataLength: 3,
      }),
    '23 87 00 00 00 000003 80123456789a1234 00000006 00000000 00000000 00000000 00000000 02030000 00000000 00000000',
  ],
  'Text Response': [
    (b, at) => putTextResponse(b, at, 7, 0x99, true, 10),
    '24 40 00 00 00 00000a 0000000000000000 00000007 00000099 00000000 00000000 00000000 00000000 00000000 00000000',
  ],
  'NOP-In': [
    (b, at) => putNopIn(b, at, 0xffffffff, 8, 0),
    '20 80 00 00 00 000000 0000000000000000 ffffffff 00000008 00000000 00000000 00000000 00000000 00000000 00000000',
  ],
  'Logout Response': [
    (b, at) => putLogoutResponse(b, at, 9, 2),
    '26 80 02 00 00 000000 0000000000000000 00000009 00000000 00000000 00000000 00000000 00000000 00000000 00000000',
  ],
  'Async Message': [
    (b, at) => putAsyncMessage(b, at, 1, 2, 3, 4),
    '32 80 00 00 00 000000 0000000000000000 ffffffff 00000000 00000000 00000000 00000000 01000002 00030004 00000000',
  ],
  Reject: [
    (b, at) => putReject(b, at, 9, Buffer.alloc(48, 0x5a), 0, 48),
    `3f 80 09 00 00 000030 0000000000000000 ffffffff 00000000 00000000 00000000 00000000 00000000 00000000 00000000 ${'5a'.repeat(48)}`,
  ],
};

for (const [name, [put, golden]] of Object.entries(cases)) {
  test(name, (t) => {
    const want = golden.replaceAll(' ', '');
    const bytes = Buffer.alloc(120, 0xee);
    put(bytes, 8);
    t.is(bytes.subarray(8, 8 + want.length / 2).toString('hex'), want);
    t.is(bytes.subarray(0, 8).toString('hex'), 'ee'.repeat(8), 'nothing before it is touched');
    t.true(
      bytes.subarray(8 + want.length / 2).every((byte) => byte === 0xee),
      'nor behind it',
    );
  });
}

test('requests are read field by field', (t) => {
  const b = Buffer.alloc(60);
  b[1] = 0x81;
  b.write('00aa000000000000', 8, 'hex');
  b.writeUInt32BE(0xf0000001, 16);
  b.writeUInt32BE(0xf0000002, 20);
  b.writeUInt32BE(0xf0000003, 24);
  b.writeUInt32BE(0xf0000004, 28);
  b.writeUInt32BE(0xf0000005, 32);
  t.deepEqual(readTaskRequest(b, 0), {
    function: 1,
    lunHigh: 0xaa0000,
    lunLow: 0,
    tag: 0xf0000001,
    referencedTag: 0xf0000002,
    refCmdSn: 0xf0000005,
  });
  t.deepEqual(readTextRequest(b, 0), {
    final: true,
    continues: false,
    tag: 0xf0000001,
    transferTag: 0xf0000002,
  });
  b[1] = 0xc7;
  b.write('80123456789a4321', 8, 'hex');
  t.deepEqual(readLoginRequest(b, 0), {
    transit: true,
    continues: true,
    currentStage: 1,
    nextStage: 3,
    versionMin: 0,
    isid: '80123456789a',
    tsih: 0x4321,
    tag: 0xf0000001,
    cid: 0xf000,
    cmdSn: 0xf0000003,
    expStatSn: 0xf0000004,
    hasAhs: false,
  });
});

test('an extended CDB is the 16 bytes of the header and those of its AHS', (t) => {
  const b = Buffer.alloc(48 + 20);
  for (let i = 0; i < 16; i++) b[32 + i] = i;
  b.write('00110100', 48, 'hex');
  for (let i = 0; i < 16; i++) b[52 + i] = 16 + i;
  t.deepEqual(
    [...readLongCdb(b, 0, 20)!],
    Array.from({ length: 32 }, (_, i) => i),
  );
  b[50] = 2;
  t.is(readLongCdb(b, 0, 20), null, 'a bidirectional length is none');
});

test('sense goes behind its length', (t) => {
  const b = Buffer.alloc(6);
  putSense(b, 1, Uint8Array.of(0x70, 0, 5));
  t.is(b.toString('hex'), '000003700005');
});
