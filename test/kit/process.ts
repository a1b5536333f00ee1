/** What the kernel says of a process: memory and processor time (proc(5): status, stat). */
import { readFile } from 'node:fs/promises';

/** Clock ticks a second of /proc/PID/stat: USER_HZ, 100 on every Linux architecture we run on. */
const TICKS_PER_S = 100;

/** Resident memory in bytes. Rejects with ENOENT when the process is gone. */
export async function residentBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(text);
  if (line?.[1] === undefined) throw new Error(`no VmRSS of process ${pid}`);
  return Number(line[1]) * 1024;
}

/** Processor time used so far, user and system, all threads: seconds. */
export async function processorSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses and may hold anything, so count from the last ')'.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** What `promise` gives, or 'late' after `limitMs`. Leaves no timer behind. */
export async function within<T>(promise: Promise<T>, limitMs: number): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `check` holds; throws with `what` when it does not within `timeoutMs`. */
export async function until(
  what: string,
  timeoutMs: number,
  check: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(20);
  }
}
