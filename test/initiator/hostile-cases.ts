/**
 * The table of malformed input: what is sent, and which outcomes are right. Each pattern is matched
 * against the whole line of `hostile.ts`. Sources: RFC 7143 sections 6.10, 7, 11.17.1 (Reject reasons),
 * 11.13.5 (login status); where the RFC leaves a choice, the pattern does.
 */

import * as cdbs from '../kit/cdb.ts';
import { loginRequest } from '../kit/login.ts';
import { encodeKeys, FINAL, NO_TAG, Op } from '../kit/pdu.ts';
import { SeededRandom } from '../kit/random.ts';
import { Guest, Stranger, type TargetAddress } from './hostile.ts';

export interface HostileCase {
  readonly name: string;
  readonly right: RegExp;
  attempt(address: TargetAddress): Promise<string>;
}

const READ_BIT = 0x40;
const WRITE_BIT = 0x20;
const SIMPLE = 1;
const BIGGEST_SEGMENT = 2 ** 24 - 1;
/** RFC 7143 13.12: what a login may carry in one PDU. */
const LOGIN_SEGMENT = 8192;
const TAG = 0x1000;

const NAMES = { InitiatorName: 'iqn.2026-11.internal.petal:hostile', SessionType: 'Normal' };

function names(address: TargetAddress, more: Readonly<Record<string, string>> = {}): Buffer {
  return encodeKeys({ ...NAMES, TargetName: address.target, AuthMethod: 'None', ...more });
}

/** A case before login: one request, one outcome. */
function stranger(
  name: string,
  right: RegExp,
  request: (address: TargetAddress) => Parameters<Stranger['ask']>[0],
): HostileCase {
  return {
    name,
    right,
    async attempt(address) {
      const from = await Stranger.connect(address);
      await from.ask(request(address));
      return from.outcome();
    },
  };
}

/** Text sent as a chain of login PDUs with the C bit, each after the answer to the one before. */
function longLogin(name: string, right: RegExp, text: (address: TargetAddress) => Buffer) {
  return {
    name,
    right,
    async attempt(address: TargetAddress) {
      const from = await Stranger.connect(address);
      const data = text(address);
      const isid = Buffer.from([0x80, 1, 2, 3, 4, 5]);
      for (let at = 0; at < data.length; at += LOGIN_SEGMENT) {
        const last = at + LOGIN_SEGMENT >= data.length;
        const stage = { from: 0, to: 1, transit: last, continued: !last };
        const part = data.subarray(at, at + LOGIN_SEGMENT);
        const pdu = await from.ask(loginRequest(stage, { isid, data: part }));
        if (pdu === null || pdu.header[36] !== 0) break;
      }
      return from.outcome();
    },
  };
}

/** A case in full feature phase. `answers`: how many PDUs are due beside the ping's echo. */
function guest(
  name: string,
  right: RegExp,
  answers: number,
  act: (from: Guest) => void | Promise<void>,
  keys: Readonly<Record<string, string>> = {},
): HostileCase {
  return {
    name,
    right,
    async attempt(address) {
      const from = await Guest.login(address, keys);
      await act(from);
      return from.outcome(answers);
    },
  };
}

const REFUSED = /^login 02\/.., closed$/;
const REFUSED_OR_CLOSED = /^(login 02\/.., )?closed$/;
const LOGIN = { from: 0, to: 1 };

export const BEFORE_LOGIN: readonly HostileCase[] = [
  stranger('SCSI command before login', /^(login 02\/0b, )?closed$/, () => ({
    opcode: Op.scsiCommand,
    flags: FINAL | SIMPLE,
    tag: TAG,
    cdb: cdbs.testUnitReady(),
  })),
  stranger('Text before login', /^(login 02\/0b, )?closed$/, () => ({
    opcode: Op.text,
    flags: FINAL,
    tag: TAG,
    words: { 20: NO_TAG },
    data: encodeKeys({ SendTargets: 'All' }),
  })),
  stranger('login, DataSegmentLength 16 MiB-1: refused at the header', REFUSED_OR_CLOSED, () => ({
    ...loginRequest(LOGIN, {}),
    claimedDataLength: BIGGEST_SEGMENT,
  })),
  stranger('login, TotalAHSLength 255', REFUSED, (address) => ({
    ...loginRequest(LOGIN, { data: names(address) }),
    ahs: Buffer.alloc(255 * 4),
  })),
  stranger('login, key without "="', /^login 02\/0[07], closed$/, (address) =>
    loginRequest(LOGIN, { data: Buffer.concat([names(address), Buffer.from('NoEqualsSign\0')]) }),
  ),
  stranger('login, last key not NUL-terminated', /^login 02\/0[07], closed$/, (address) =>
    loginRequest(LOGIN, { data: names(address).subarray(0, -1) }),
  ),
  stranger('login, CSG = NSG = reserved', /^login 02\/0b, closed$/, (address) =>
    loginRequest({ from: 2, to: 2 }, { data: names(address) }),
  ),
  stranger('login, next stage not after the current one', /^login 02\/0[0b], closed$/, (address) =>
    loginRequest({ from: 1, to: 0 }, { data: names(address) }),
  ),
  stranger('login, T and C both set', /^login 02\/0[0b], closed$/, (address) =>
    loginRequest({ ...LOGIN, continued: true }, { data: names(address) }),
  ),
  stranger('login, no version in common', /^login 02\/05, closed$/, (address) => ({
    ...loginRequest(LOGIN, { data: names(address) }),
    byte2: 0xff,
    byte3: 0xff,
  })),
  stranger('login into a session that does not exist', /^login 02\/0a, closed$/, (address) =>
    loginRequest(LOGIN, { tsih: 0xbeef, data: names(address) }),
  ),
  stranger('login without InitiatorName', /^login 02\/07, closed$/, (address) =>
    loginRequest(LOGIN, { data: encodeKeys({ TargetName: address.target }) }),
  ),
  stranger('login without TargetName', /^login 02\/07, closed$/, () =>
    loginRequest(LOGIN, { data: encodeKeys(NAMES) }),
  ),
  stranger('login, unknown TargetName', /^login 02\/03, closed$/, () =>
    loginRequest(LOGIN, { data: encodeKeys({ ...NAMES, TargetName: 'iqn.2026-11.no:such' }) }),
  ),
  stranger('login, only an unknown AuthMethod', /^login 02\/0[01], closed$/, (address) =>
    loginRequest(LOGIN, { data: names(address, { AuthMethod: 'Handshake' }) }),
  ),
  longLogin('login, one key of 64 KiB', /^(login 00\/00, )*login 02\/00, closed$/, (address) =>
    names(address, { 'X-long': 'x'.repeat(65_536) }),
  ),
  longLogin('login, 10 000 keys', /^(login 00\/00, )*login 02\/00, closed$/, (address) =>
    names(address, Object.fromEntries(Array.from({ length: 10_000 }, (_, k) => [`X-${k}`, '1']))),
  ),
  // With the AHS that it claims: without, waiting for the rest is right, and the login timer ends it.
  stranger('header and AHS of ones', REFUSED_OR_CLOSED, () => Buffer.alloc(48 + 255 * 4, 0xff)),
  stranger('64 KiB of noise', REFUSED_OR_CLOSED, () =>
    new SeededRandom(7143).fill(Buffer.alloc(65_536)),
  ),
  {
    name: 'half a login header, then FIN',
    right: /^closed$/,
    async attempt(address) {
      const from = await Stranger.connect(address);
      from.wire.sendBytes(Buffer.alloc(24, 0x43));
      from.wire.socket.end();
      await from.wire.ended;
      return 'closed';
    },
  },
];

const KEPT = (reasons: string) => new RegExp(`^reject 0[${reasons}], alive$`);
const SOLICITED = { ImmediateData: 'No', InitialR2T: 'Yes' };
const SPAN = 65_536;

/** A WRITE(10) of SPAN bytes whose R2T has come; returns its transfer tag. */
async function openWrite(from: Guest): Promise<number> {
  from.send({
    opcode: Op.scsiCommand,
    flags: FINAL | WRITE_BIT | SIMPLE,
    tag: TAG,
    words: { 20: SPAN },
    cdb: cdbs.write10(4096, SPAN / 512),
  });
  const pdu = await from.take();
  if (pdu?.opcode !== Op.r2t) throw new Error(`no R2T but ${from.told.join(', ')}`);
  return pdu.header.readUInt32BE(20);
}

function dataOut(transfer: number, dataSn: number, offset: number, data: Uint8Array) {
  const words = { 20: transfer, 36: dataSn, 40: offset };
  return { opcode: Op.dataOut, flags: FINAL, tag: TAG, words, data };
}

function command(cdb: Uint8Array, flags: number, expected: number) {
  return {
    opcode: Op.scsiCommand,
    flags: FINAL | SIMPLE | flags,
    tag: TAG,
    words: { 20: expected },
    cdb,
  };
}

export const IN_SESSION: readonly HostileCase[] = [
  guest('unknown opcode 1Fh', KEPT('459'), 1, (from) =>
    from.send({ opcode: 0x1f, flags: FINAL, tag: TAG, immediate: true }),
  ),
  guest("a target's opcode", KEPT('459'), 1, (from) =>
    from.send({ opcode: Op.scsiResponse, flags: FINAL, tag: TAG, immediate: true }),
  ),
  guest('SNACK at ErrorRecoveryLevel 0', KEPT('3459'), 1, (from) =>
    from.send({ opcode: Op.snack, flags: FINAL, tag: TAG, immediate: true }),
  ),
  guest('a second Login', KEPT('459'), 1, (from) =>
    from.send({ ...loginRequest(LOGIN, { data: names(from.address) }), tag: TAG }),
  ),
  guest('Data-Out with an unknown transfer tag', KEPT('49'), 1, (from) =>
    from.send(dataOut(0x12345678, 0, 0, Buffer.alloc(512))),
  ),
  guest('Data-Out for no task, unsolicited', /^(reject 0[49], )?alive$/, 0, (from) =>
    from.send(dataOut(NO_TAG, 0, 0, Buffer.alloc(512))),
  ),
  guest('extended CDB with AHSLength 65535', /^reject 09, (alive|closed)$/, 1, (from) =>
    from.send({
      ...command(cdbs.testUnitReady(), 0, 0),
      ahs: Buffer.from([0xff, 0xff, 0x01, 0, 0, 0, 0, 0]),
    }),
  ),
  guest('AHS of an unknown type', /^(reject 0[459]|good|check .*), alive$/, 1, (from) =>
    from.send({
      ...command(cdbs.testUnitReady(), 0, 0),
      ahs: Buffer.from([0x00, 0x05, 0x3f, 0, 0, 0, 0, 0]),
    }),
  ),
  guest('immediate data, DataSegmentLength 16 MiB-1', /^(reject 0., )?closed$/, 1, (from) =>
    from.send({
      ...command(cdbs.write10(0, 8), WRITE_BIT, 4096),
      claimedDataLength: BIGGEST_SEGMENT,
    }),
  ),
  guest('NOP-Out longer than MaxRecvDataSegmentLength', /^(reject 0., )?closed$/, 1, (from) =>
    from.send({
      opcode: Op.nopOut,
      immediate: true,
      flags: FINAL,
      tag: TAG,
      words: { 20: NO_TAG },
      claimedDataLength: from.negotiated.peerMaxDataSegment + 4,
    }),
  ),
  guest(
    'WRITE(10) of 8 sectors, EDTL 4 GiB-1: R2T bounded by the CDB',
    /^r2t 0\+4096, alive$/,
    1,
    (from) => from.send(command(cdbs.write10(0, 8), WRITE_BIT, 2 ** 32 - 1)),
    SOLICITED,
  ),
  guest(
    'WRITE(10) of 65535 sectors, EDTL 4 GiB-1: one burst, or longer than VPD B0h allows',
    // At most the burst that was negotiated: 262144 bytes.
    /^(r2t 0\+(\d{1,5}|1\d{5}|2[0-5]\d{4}|26[01]\d{3}|262[01]\d\d)|check 05\/24\/00), alive$/,
    1,
    (from) => from.send(command(cdbs.write10(0, 65_535), WRITE_BIT, 2 ** 32 - 1)),
    SOLICITED,
  ),
  guest(
    'immediate data longer than EDTL',
    /^(reject 0[49]|check .*|closed)(, alive)?$/,
    1,
    (from) =>
      from.send({ ...command(cdbs.write10(4096, 1), WRITE_BIT, 512), data: Buffer.alloc(4096) }),
  ),
  guest(
    'Data-Out beyond the expected length',
    /^r2t 0\+65536, (reject 0[49]|check .*|closed)(, .*)?$/,
    2,
    async (from) => {
      const transfer = await openWrite(from);
      from.send(dataOut(transfer, 0, 0x7fff_fe00, Buffer.alloc(512, 0xee)));
    },
    SOLICITED,
  ),
  guest(
    'Data-Out longer than its R2T',
    /^r2t 0\+65536, (reject 0[49]|check .*|closed)(, .*)?$/,
    2,
    async (from) => {
      const transfer = await openWrite(from);
      from.send(dataOut(transfer, 0, SPAN - 512, Buffer.alloc(1024, 0xee)));
    },
    SOLICITED,
  ),
  guest(
    'Data-Out with a DataSN that is not due',
    /^r2t 0\+65536, (reject 0[49]|check .*|closed)(, .*)?$/,
    2,
    async (from) => {
      const transfer = await openWrite(from);
      from.send(dataOut(transfer, 5, 0, Buffer.alloc(512, 0xee)));
    },
    SOLICITED,
  ),
  guest(
    'a tag that is in use',
    /^r2t 0\+65536, (reject 0[479]|check .*|closed)(, .*)?$/,
    2,
    async (from) => {
      await openWrite(from);
      from.send(command(cdbs.testUnitReady(), 0, 0));
    },
    SOLICITED,
  ),
  guest('CmdSN far outside the window is ignored', /^alive$/, 0, (from) => {
    from.wire.send({
      ...command(cdbs.testUnitReady(), 0, 0),
      lun: from.address.lun,
      words: { 20: 0, 24: (from.cmdSn + 0x4000_0000) >>> 0 },
    });
  }),
  guest('task management function 0', /^(tmf 05|reject 0[459]), alive$/, 1, (from) =>
    from.send({ opcode: Op.taskManagement, immediate: true, flags: FINAL, tag: TAG }),
  ),
  guest('task management function 127', /^(tmf 05|reject 0[459]), alive$/, 1, (from) =>
    from.send({ opcode: Op.taskManagement, immediate: true, flags: 0xff, tag: TAG }),
  ),
  guest(
    'Text that is no text',
    /^(reject 0[49], alive|text, alive|(reject 0., )?closed)$/,
    1,
    (from) =>
      from.send({
        opcode: Op.text,
        immediate: true,
        flags: FINAL,
        tag: TAG,
        words: { 20: NO_TAG },
        data: new SeededRandom(1).fill(Buffer.alloc(4096)),
      }),
  ),
  guest('Logout for a reserved reason', /^(reject 0[49]|logout 0.)(, alive|, closed)$/, 1, (from) =>
    from.send({ opcode: Op.logout, immediate: true, flags: 0xff, tag: TAG }),
  ),
  guest('a logical unit that is not there', /^check 05\/25\/00, alive$/, 1, (from) =>
    from.send({ ...command(cdbs.testUnitReady(), 0, 0), lun: 77 }),
  ),
  guest('a CDB of ones', /^check 05\/20\/00, alive$/, 1, (from) =>
    from.send(command(Buffer.alloc(16, 0xff), 0, 0)),
  ),
  guest('READ(16) beyond the end', /^check 05\/21\/00, alive$/, 1, (from) =>
    from.send(command(cdbs.read16(2 ** 52, 1), READ_BIT, 512)),
  ),
  guest('64 KiB of noise in full feature phase', /closed$/, 1, (from) =>
    from.wire.sendBytes(new SeededRandom(3720).fill(Buffer.alloc(65_536))),
  ),
];
