/** How much memory this process ever had. */
import { readFileSync } from 'node:fs';

/** Most that was ever resident, as the kernel has it, in MiB. */
export function highWater(): number {
  const status = readFileSync('/proc/self/status', 'latin1');
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  if (found === null) throw new Error('the kernel tells no VmHWM');
  return Math.round(Number(found[1]) / 1024);
}
