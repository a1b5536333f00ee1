/**
 * petal access …: which hosts, beside those on loopback, see a virtual disk.
 */
import type { Command } from 'commander';
import { Client } from './client.ts';
import { type GlobalOptions, part, withGlobals } from './options.ts';
import { printJson, printLine, printTable } from './print.ts';

interface AccessView {
  readonly disk: string;
  readonly hosts: readonly string[];
}

const ruleText = 'an initiator name (iqn.…, eui.…, naa.…) or an address range (192.0.2.0/24)';

export function accessCommands(program: Command): void {
  const access = program.command('access').description('who sees a virtual disk from elsewhere');

  withGlobals(access.command('allow'))
    .description('let a host see a virtual disk')
    .argument('<DISK>')
    .argument('<HOST>', ruleText)
    .action(async (disk: string, host: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/disks/${part(disk)}/access`;
      const view = await Client.find(options.data).call<AccessView>('POST', path, { host });
      if (options.json) printJson(view);
      else printLine(summary(view));
    });

  withGlobals(access.command('deny'))
    .description('take a grant back; sessions that lose their access are ended')
    .argument('<DISK>')
    .argument('<HOST>', ruleText)
    .action(async (disk: string, host: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/disks/${part(disk)}/access?host=${part(host)}`;
      const view = await Client.find(options.data).call<AccessView>('DELETE', path);
      if (options.json) printJson(view);
      else printLine(summary(view));
    });

  withGlobals(access.command('ls'))
    .description('list the grants of a virtual disk')
    .argument('<DISK>')
    .action(async (disk: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/disks/${part(disk)}/access`;
      const view = await Client.find(options.data).call<AccessView>('GET', path);
      if (options.json) printJson(view);
      else
        printTable(
          ['HOST'],
          view.hosts.map((host) => [host]),
          `only hosts on loopback see ${view.disk}`,
        );
    });
}

/** The whole list, in the normal form in which it was stored. */
function summary({ disk, hosts }: AccessView): string {
  return `${disk} may be used by ${['hosts on loopback', ...hosts].join(', ')}`;
}
