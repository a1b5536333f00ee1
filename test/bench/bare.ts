/** Bounds of the machine, measured by bare loops in C: what the kernel carries without a target. */
import { join } from 'node:path';
import { runOk } from '../kit/run.ts';
import { median } from './figures.ts';

const PIECE_BYTES = 256 * 1024;
const PIECES_AHEAD = 8;
const SECONDS = 0.8;

/** What loopback carries: the bound of every large read. One line for people. */
export function loopback(directory: string, mib: number, rounds: number): Promise<string> {
  const what = `A bare loop that sends 256 KiB pieces of ${mib} MiB over loopback`;
  return bare('loopback', directory, what, [mib, PIECE_BYTES, PIECES_AHEAD, SECONDS], rounds);
}

/** What the file system below `directory` makes durable: the bound of every large write. */
export function synced(directory: string, mib: number, rounds: number): Promise<string> {
  const what = `A bare loop of ${PIECES_AHEAD} threads that write 256 KiB pieces of ${mib} MiB with O_DSYNC`;
  const file = join(directory, 'synced.data');
  return bare('synced', directory, what, [file, mib, PIECE_BYTES, PIECES_AHEAD, SECONDS], rounds);
}

async function bare(
  name: string,
  directory: string,
  what: string,
  args: readonly (string | number)[],
  rounds: number,
): Promise<string> {
  const program = join(directory, name);
  const source = join(import.meta.dirname, `${name}.c`);
  const flags = ['-std=gnu11', '-O2', '-pthread', '-Wall', '-Wextra', '-Werror'];
  await runOk('cc', [...flags, '-o', program, source]);
  const rates: number[] = [];
  const costs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { stdout } = await runOk(program, args.map(String));
    const [rate, cost] = stdout.trim().split(' ').map(Number);
    rates.push(rate!);
    costs.push(cost!);
  }
  const figure = (value: number): string => Math.round(value).toLocaleString('en-US');
  const range = `${figure(Math.min(...rates))}–${figure(Math.max(...rates))}`;
  return `${what}: ${figure(median(rates))} a second (${range}), ${median(costs).toFixed(0)} µs of its CPU each.`;
}
