/** The judge of traces tells durable from not: small traces with known verdicts. */
import test from 'ava';
import { judge, MARKS_PER_WRITE, makeMark, markedData } from './trace.ts';

const MARK = makeMark(7);
const DATA = quoted(markedData(MARK, MARK.length * MARKS_PER_WRITE));
const WRITES = [{ tag: 9, mark: MARK }];

function quoted(bytes: Uint8Array): string {
  return `"${Buffer.from(bytes).toString('hex').replace(/../g, '\\x$&')}"`;
}

/** SCSI Response, GOOD, tag 9. */
function status(code = 0): string {
  const pdu = Buffer.alloc(48);
  pdu.set([0x21, 0x80, 0, code]);
  pdu.writeUInt32BE(9, 16);
  return quoted(pdu);
}

const OPEN = '1 openat(AT_FDCWD, "\\x73", O_RDWR|O_CLOEXEC) = 20<\\x73>';
const OPEN_DSYNC = '1 openat(AT_FDCWD, "\\x73", O_RDWR|O_DSYNC|O_CLOEXEC) = 20<\\x73>';
const WRITE = `2 pwritev(20<\\x73>, [{iov_base=${DATA}, iov_len=4096}], 1, 0) = 4096`;
const WRITE_BEGUN = `2 pwritev(20<\\x73>, [{iov_base=${DATA}, iov_len=4096}], 1, 0 <unfinished ...>`;
const WRITE_ENDED = '2 <... pwritev resumed>) = 4096';
const SYNC = '2 fdatasync(20<\\x73>) = 0';
const SYNC_BEGUN = '3 fdatasync(20<\\x73> <unfinished ...>';
const SYNC_ENDED = '3 <... fdatasync resumed>) = 0';
const SOCKET = '25<TCP:[127.0.0.1:3260->127.0.0.1:5000]>';
const SEND = `1 write(${SOCKET}, ${status()}, 48) = 48`;

const verdicts: ReadonlyArray<{ name: string; trace: string[]; statuses: number; bad: number }> = [
  { name: 'O_DSYNC write, then status', trace: [OPEN_DSYNC, WRITE, SEND], statuses: 1, bad: 0 },
  { name: 'write, sync, status', trace: [OPEN, WRITE, SYNC, SEND], statuses: 1, bad: 0 },
  { name: 'write, status: no sync', trace: [OPEN, WRITE, SEND], statuses: 1, bad: 1 },
  { name: 'write, status, sync', trace: [OPEN, WRITE, SEND, SYNC], statuses: 1, bad: 1 },
  { name: 'sync before the write', trace: [OPEN, SYNC, WRITE, SEND], statuses: 1, bad: 1 },
  {
    name: 'a sync that began before the write had returned',
    trace: [OPEN, WRITE_BEGUN, SYNC_BEGUN, WRITE_ENDED, SYNC_ENDED, SEND],
    statuses: 1,
    bad: 1,
  },
  {
    name: 'a status while the sync goes on',
    trace: [OPEN, WRITE, SYNC_BEGUN, SEND, SYNC_ENDED],
    statuses: 1,
    bad: 1,
  },
  {
    name: 'a sync that failed',
    trace: [OPEN, WRITE, '2 fdatasync(20<\\x73>) = -1 EIO (Input/output error)', SEND],
    statuses: 1,
    bad: 1,
  },
  {
    name: 'a sync of another descriptor',
    trace: [OPEN, WRITE, '2 fdatasync(21<\\x74>) = 0', SEND],
    statuses: 1,
    bad: 1,
  },
  {
    name: 'a write that ended short',
    trace: [OPEN_DSYNC, WRITE.replace('= 4096', '= 2048'), SEND],
    statuses: 1,
    bad: 1,
  },
  { name: 'no write at all', trace: [OPEN_DSYNC, SEND], statuses: 1, bad: 1 },
  { name: 'no status', trace: [OPEN_DSYNC, WRITE], statuses: 0, bad: 0 },
  {
    name: 'a status other than GOOD promises nothing',
    trace: [OPEN, `1 write(${SOCKET}, ${status(2)}, 48) = 48`],
    statuses: 0,
    bad: 0,
  },
  {
    name: 'a status in two calls leaves with its first byte',
    trace: [
      OPEN_DSYNC,
      SEND.replace('= 48', '= 8'),
      WRITE,
      `1 write(${SOCKET}, "${status().slice(1 + 8 * 4)}, 40) = 40`,
    ],
    statuses: 1,
    bad: 1,
  },
];

for (const { name, trace, statuses, bad } of verdicts) {
  test(name, (t) => {
    const verdict = judge(trace.join('\n'), WRITES);
    t.deepEqual([verdict.statuses, verdict.violations.length], [statuses, bad]);
  });
}

test('a trace with a cut string proves nothing', (t) => {
  const cut = WRITE.replace('", iov_len', '"..., iov_len');
  t.throws(() => judge([OPEN_DSYNC, cut, SEND].join('\n'), WRITES), { message: /cut a string/ });
});

test('a trace with calls that are not followed proves nothing', (t) => {
  const ring = '4 io_uring_enter(30, 1, 0, 0, NULL, 8) = 1';
  t.throws(() => judge([OPEN_DSYNC, ring].join('\n'), WRITES), { message: /not followed/ });
});
