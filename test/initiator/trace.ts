/**
 * Reads a trace of system calls (`strace -f -xx -yy`) and tells whether any status of a write left for
 * the initiator before its data was durable.
 *
 * - A write to a file is durable when a call on a descriptor opened with O_DSYNC or O_SYNC has
 *   returned, or when an fsync or fdatasync has that began after the write had returned.
 * - A status leaves when the call begins that hands its first byte to the socket.
 * - Which write is which: every SCSI write of the test carries a mark of its own, repeated through all
 *   of its data; the whole of it has to be found in one call on the file.
 *
 * strace writes a line when a call begins or ends in the order in which threads stop for it. A thread
 * that acts on another's result does so after that one's return was written, so the order of lines is
 * enough and no clock is needed.
 */
import { Op, PduReader } from '../kit/pdu.ts';

/** For `strace -e trace=`: whatever can open, write or sync a file or send on a socket. */
export const TRACED_CALLS = [
  ...['openat', 'close', 'write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'],
  ...['fsync', 'fdatasync', 'sync_file_range', 'sendto', 'sendmsg', 'sendfile', 'splice'],
  ...['io_uring_setup', 'io_uring_enter', 'msync'],
];

/** A test's write: the tag of its command and the mark in its data. */
export interface MarkedWrite {
  readonly tag: number;
  readonly mark: string;
}

export const MARK_BYTES = 64;

/** 64 bytes of text that occur nowhere else. */
export function makeMark(sequence: number): string {
  return `status-after-sync mark ${String(sequence).padStart(8, '0')} `.padEnd(MARK_BYTES, '.');
}

export function markedData(mark: string, bytes: number): Buffer {
  return Buffer.alloc(bytes, mark, 'latin1');
}

export interface Call {
  readonly name: string;
  readonly args: string;
  /** Line numbers of beginning and end. */
  readonly begun: number;
  readonly ended: number;
  /** The number returned; negative for an error. */
  readonly result: number;
}

/** Calls in the order of their ends. Lines that are no calls (signals, exits) are left out. */
export function parseCalls(trace: string): Call[] {
  const calls: Call[] = [];
  const open = new Map<string, { name: string; args: string; begun: number }>();
  trace.split('\n').forEach((line, number) => {
    const unfinished = /^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$/.exec(line);
    if (unfinished !== null) {
      const [, thread = '', name = '', args = ''] = unfinished;
      open.set(thread, { name, args, begun: number });
      return;
    }
    const resumed = /^(\d+) +<\.\.\. \w+ resumed>(.*)\) += (-?\d+|\?)/.exec(line);
    if (resumed !== null) {
      const [, thread = '', rest = '', result = ''] = resumed;
      const begun = open.get(thread);
      open.delete(thread);
      if (begun === undefined) throw new Error(`line ${number + 1} resumes nothing`);
      calls.push({ ...begun, args: begun.args + rest, ended: number, result: toNumber(result) });
      return;
    }
    const whole = /^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)/.exec(line);
    if (whole === null) return;
    const [, , name = '', args = '', result = ''] = whole;
    calls.push({ name, args, begun: number, ended: number, result: toNumber(result) });
  });
  return calls;
}

function toNumber(result: string): number {
  return result === '?' ? -1 : Number(result);
}

const FILE_WRITES = ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'];
const SOCKET_SENDS = ['write', 'writev', 'sendto', 'sendmsg'];
/** Ways past what this parser follows: seeing one on the store means that it proves nothing. */
const UNSEEN = ['sendfile', 'splice', 'io_uring_enter', 'msync', 'sync_file_range'];
const SCSI_GOOD = 0;

export interface Verdict {
  /** Statuses of marked writes that were seen to leave. */
  readonly statuses: number;
  readonly violations: readonly string[];
}

/** Throws when the trace cannot decide: a string was cut, or a call is not understood. */
export function judge(trace: string, writes: readonly MarkedWrite[]): Verdict {
  const calls = parseCalls(trace);
  const durableAt = findDurable(calls, new Set(writes.map(({ mark }) => mark)));
  const leftAt = findStatuses(calls);
  const violations: string[] = [];
  let statuses = 0;
  for (const { tag, mark } of writes) {
    const left = leftAt.get(tag);
    if (left === undefined) continue;
    statuses++;
    const durable = durableAt.get(mark) ?? Number.POSITIVE_INFINITY;
    if (durable < left) continue;
    const when = durable === Number.POSITIVE_INFINITY ? 'never' : `at line ${durable + 1}`;
    violations.push(`status of tag ${tag} left at line ${left + 1}, its data is durable ${when}`);
  }
  return { statuses, violations };
}

/** mark → line at whose end all of its data was durable. */
function findDurable(calls: readonly Call[], marks: ReadonlySet<string>): Map<string, number> {
  const synchronous = new Map<number, boolean>();
  const durableAt = new Map<string, number>();
  const unsynced = new Map<number, Array<{ mark: string; ended: number }>>();
  const settle = (mark: string, line: number) => {
    if (!durableAt.has(mark)) durableAt.set(mark, line);
  };
  for (const call of calls) {
    if (UNSEEN.includes(call.name)) throw new Error(`${call.name}: not followed here`);
    if (call.name === 'openat') {
      if (call.result >= 0) synchronous.set(call.result, /\bO_D?SYNC\b/.test(call.args));
      continue;
    }
    const descriptor = Number(/^\d+/.exec(call.args)?.[0] ?? -1);
    if (call.name === 'fsync' || call.name === 'fdatasync') {
      if (call.result !== 0) continue;
      const waiting = unsynced.get(descriptor) ?? [];
      for (const { mark, ended } of waiting) if (ended < call.begun) settle(mark, call.ended);
      const left = waiting.filter(({ ended }) => ended >= call.begun);
      unsynced.set(descriptor, left);
      continue;
    }
    if (!FILE_WRITES.includes(call.name) || isSocket(call) || call.result <= 0) continue;
    const durable = synchronous.get(descriptor) === true || call.args.includes('RWF_DSYNC');
    for (const mark of wholeMarks(sentBytes(call), marks)) {
      if (durable) settle(mark, call.ended);
      else {
        const waiting = unsynced.get(descriptor) ?? [];
        waiting.push({ mark, ended: call.ended });
        unsynced.set(descriptor, waiting);
      }
    }
  }
  return durableAt;
}

/** How often a mark stands in the data of one write of the test. */
export const MARKS_PER_WRITE = 64;

function wholeMarks(data: Buffer, marks: ReadonlySet<string>): string[] {
  const text = data.toString('latin1');
  const counts = new Map<string, number>();
  const first = makeMark(0).slice(0, 'status-after-sync mark '.length);
  for (let at = text.indexOf(first); at >= 0; at = text.indexOf(first, at + first.length)) {
    const mark = text.slice(at, at + MARK_BYTES);
    if (marks.has(mark)) counts.set(mark, (counts.get(mark) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count >= MARKS_PER_WRITE).map(([mark]) => mark);
}

/** Tag → line at which the call began that sent the first byte of its GOOD status. */
function findStatuses(calls: readonly Call[]): Map<number, number> {
  const streams = new Map<number, Stream>();
  const left = new Map<number, number>();
  for (const call of calls) {
    const descriptor = Number(/^\d+/.exec(call.args)?.[0] ?? -1);
    if (call.name === 'close') streams.delete(descriptor);
    if (!SOCKET_SENDS.includes(call.name) || !isSocket(call) || call.result <= 0) continue;
    let stream = streams.get(descriptor);
    if (stream === undefined) {
      stream = new Stream();
      streams.set(descriptor, stream);
    }
    for (const { tag, begun } of stream.push(sentBytes(call), call.begun)) left.set(tag, begun);
  }
  return left;
}

/** One connection's bytes towards the initiator. */
class Stream {
  readonly #reader = new PduReader();
  /** Stream offsets at which calls began, to tell which call sent a PDU's first byte. */
  #calls: Array<{ at: number; begun: number }> = [];
  #sent = 0;
  #parsed = 0;

  push(bytes: Buffer, begun: number): Array<{ tag: number; begun: number }> {
    this.#calls.push({ at: this.#sent, begun });
    this.#sent += bytes.length;
    this.#reader.push(bytes);
    const statuses: Array<{ tag: number; begun: number }> = [];
    for (let pdu = this.#reader.next(); pdu !== null; pdu = this.#reader.next()) {
      const at = this.#parsed;
      this.#parsed += 48 + pdu.ahs.length + pdu.data.length + (-pdu.data.length & 3);
      if (pdu.opcode !== Op.scsiResponse || pdu.header[3] !== SCSI_GOOD) continue;
      const call = this.#calls.findLast((each) => each.at <= at);
      if (call === undefined) throw new Error('a PDU that no call sent');
      statuses.push({ tag: pdu.header.readUInt32BE(16), begun: call.begun });
    }
    this.#calls = this.#calls.filter(
      ({ at }, index) => at > this.#parsed || index >= this.#calls.length - 2,
    );
    return statuses;
  }
}

function isSocket(call: Call): boolean {
  return /^\d+<(TCP|TCPv6|UNIX|socket)/.test(call.args);
}

/** The bytes that a call took over: its strings one behind the other, cut to what it returned. */
function sentBytes(call: Call): Buffer {
  if (call.args.includes('"...')) throw new Error('strace cut a string; raise its limit');
  const strings = call.args.match(/"(?:\\x[0-9a-f]{2})*"/g) ?? [];
  const hex = strings.map((text) => text.slice(1, -1).replaceAll('\\x', '')).join('');
  return Buffer.from(hex, 'hex').subarray(0, call.result);
}
