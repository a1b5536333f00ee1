/**
 * No status of a write leaves before the write is durable, shown by a trace of the daemon's system
 * calls. The judge itself is put to the test with the same trace, doctored.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { write10 } from '../kit/cdb.ts';
import { Daemon } from '../kit/daemon.ts';
import { expectGood } from '../kit/initiator.ts';
import { temporaryDirectory } from '../kit/temp.ts';
import {
  judge,
  MARK_BYTES,
  MARKS_PER_WRITE,
  type MarkedWrite,
  makeMark,
  markedData,
  TRACED_CALLS,
} from './trace.ts';

const WRITES = 256;
const QUEUE_DEPTH = 8;
const BLOCK_BYTES = MARK_BYTES * MARKS_PER_WRITE;
/** Longer than any single buffer that the store hands to the kernel. */
const MAX_STRING_BYTES = 4 * 2 ** 20;

/** Runs the daemon under strace on a store that exists already and writes to its disk. */
async function record(t: Parameters<typeof temporaryDirectory>[0]) {
  const directory = await temporaryDirectory(t);
  const first = await Daemon.start({ directory, storeSize: '1GiB' });
  await first.stop();
  const file = join(directory, 'trace');
  const options = ['-f', '-xx', '-yy', '-s', String(MAX_STRING_BYTES), '-o', file];
  // What goes through a ring cannot be traced. libuv has one for registering sockets with epoll and
  // does without when the kernel says that there are none.
  const noRings = ['-e', 'inject=io_uring_setup:error=ENOSYS'];
  const traced = ['-e', `trace=${TRACED_CALLS.join(',')}`];
  const wrapper = ['strace', ...options, ...traced, ...noRings];
  const daemon = await Daemon.start({ directory, storeSize: '1GiB', wrapper });
  const writes: MarkedWrite[] = [];
  try {
    const session = await daemon.login(await daemon.disk());
    await session.settle();
    let sequence = 0;
    const worker = async () => {
      while (sequence < WRITES) {
        const number = sequence++;
        const mark = makeMark(number);
        const cdb = write10(number * (BLOCK_BYTES / 512), BLOCK_BYTES / 512);
        const started = session.start(cdb, { dataOut: markedData(mark, BLOCK_BYTES) });
        writes.push({ tag: started.tag, mark });
        expectGood(await started.result, `write ${number}`);
      }
    };
    await Promise.all(Array.from({ length: QUEUE_DEPTH }, worker));
    await session.logout();
    await daemon.stop();
  } finally {
    await daemon.dispose();
  }
  return { trace: await readFile(file, 'utf8'), writes };
}

test('no status of a write leaves before the sync that covers it', async (t) => {
  const { trace, writes } = await record(t);

  const verdict = judge(trace, writes);
  t.deepEqual(verdict.violations, []);
  t.is(verdict.statuses, WRITES, 'every status was found in the trace');

  const unsynced = trace
    .replace(/\|O_D?SYNC\b/g, '')
    .replace(/^.*\bf(data)?sync\(.*$/gm, '')
    .replace(/^.*<\.\.\. f(data)?sync resumed>.*$/gm, '');
  t.is(judge(unsynced, writes).violations.length, WRITES, 'a trace without syncs is caught');

  t.true(judge(statusFirst(trace), writes).violations.length > 0, 'an early status is caught');
});

/** The same trace with the last call that sent a status moved to the very beginning of the session. */
function statusFirst(trace: string): string {
  const lines = trace.split('\n');
  const isStatus = (line: string) => /\d+<TCP.*"\\x21\\x80/.test(line);
  const last = lines.findLastIndex(isStatus);
  const first = lines.findIndex((line) => line.includes(hex('status-after-sync')));
  const [moved = ''] = lines.splice(last, 1);
  lines.splice(first, 0, moved);
  return lines.join('\n');
}

function hex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex').replace(/../g, '\\x$&');
}
