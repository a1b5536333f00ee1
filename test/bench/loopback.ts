/** What loopback carries at all, measured by loopback.c: the bound of every large read. */
import { join } from 'node:path';
import { runOk } from '../kit/run.ts';
import { median } from './figures.ts';

/** One line for people: `rounds` measurements of 256 KiB pieces out of `mib` MiB, eight asked for ahead. */
export async function loopback(directory: string, mib: number, rounds: number): Promise<string> {
  const program = join(directory, 'loopback');
  const source = join(import.meta.dirname, 'loopback.c');
  await runOk('cc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source]);
  const rates: number[] = [];
  const costs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { stdout } = await runOk(program, [String(mib), String(256 * 1024), '8', '0.8']);
    const [rate, cost] = stdout.trim().split(' ').map(Number);
    rates.push(rate!);
    costs.push(cost!);
  }
  const figure = (value: number): string => Math.round(value).toLocaleString('en-US');
  return (
    `A bare loop that sends 256 KiB pieces of ${mib} MiB over loopback: ${figure(median(rates))} a second ` +
    `(${figure(Math.min(...rates))}–${figure(Math.max(...rates))}), ${median(costs).toFixed(0)} µs of its CPU each.`
  );
}
