/**
 * petal power …: what a UPS's hook says, and what is held back in memory.
 */
import type { Command } from 'commander';
import type { PowerView } from '../power.ts';
import { formatSize } from '../sizes.ts';
import { Client } from './client.ts';
import { type GlobalOptions, withGlobals } from './options.ts';
import { printFields, printJson, printLine } from './print.ts';

export function powerCommands(program: Command): void {
  const power = program.command('power').description('power failures, for the hook of a UPS');
  say(power, 'failing', 'write everything that is held back and write through from now on');
  say(power, 'restored', 'let disks with write-back hold back again');
  withGlobals(power.command('status'))
    .description('whether the power fails, and what is held back')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const view = await Client.find(options.data).call<PowerView>('GET', '/power');
      if (options.json) printJson(view);
      else printPower(view);
    });
}

function say(power: Command, state: 'failing' | 'restored', description: string): void {
  withGlobals(power.command(state))
    .description(description)
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const view = await Client.find(options.data).call<PowerView>('POST', '/power', { state });
      if (options.json) printJson(view);
      else if (state === 'failing') printLine('everything is written; all disks write through now');
      else printLine('disks with write-back hold back again');
    });
}

function printPower({ state, disks, dirty }: PowerView): void {
  printFields([
    ['power', state],
    [
      'write-back',
      `${disks} ${disks === 1 ? 'disk' : 'disks'}${state === 'ok' ? '' : ', suspended'}`,
    ],
    ['held back', `${formatSize(dirty)} (${dirty} bytes)`],
  ]);
}
