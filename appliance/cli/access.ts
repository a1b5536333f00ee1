/**
 * petal access …: which hosts, beside those on loopback, see a virtual disk, and what they may do.
 */
import type { Command } from 'commander';
import type { AccessRule } from '../access.ts';
import { Client } from './client.ts';
import { type GlobalOptions, part, withGlobals } from './options.ts';
import { printJson, printLine, printTable } from './print.ts';

interface AccessView {
  readonly disk: string;
  readonly hosts: readonly AccessRule[];
}

interface AccessOptions extends GlobalOptions {
  readonly readOnly?: true;
  readonly user?: string;
}

const ruleText = 'an initiator name (iqn.…, eui.…, naa.…) or an address range (192.0.2.0/24)';

export function accessCommands(program: Command): void {
  const access = program.command('access').description('who sees a virtual disk from elsewhere');

  withGlobals(access.command('allow'))
    .description('let a host see a virtual disk; again, to change what it may do')
    .argument('<DISK>')
    .argument('<HOST>', ruleText)
    .option('--read-only', 'it may not write')
    .option('--user <NAME>', 'only when it logs in as this CHAP user (see petal chap)')
    .action(async (disk: string, host: string, _options, command: Command) => {
      const { readOnly = false, user, ...options } = command.optsWithGlobals<AccessOptions>();
      const path = `/disks/${part(disk)}/access`;
      const body = { host, readOnly, ...(user === undefined ? {} : { user }) };
      const view = await Client.find(options.data).call<AccessView>('POST', path, body);
      if (options.json) printJson(view);
      else printLine(summary(view));
    });

  withGlobals(access.command('deny'))
    .description('take a grant back; sessions that lose their access are ended')
    .argument('<DISK>')
    .argument('<HOST>', ruleText)
    .option('--user <NAME>', 'only the grant to this CHAP user')
    .action(async (disk: string, host: string, _options, command: Command) => {
      const { user, ...options } = command.optsWithGlobals<AccessOptions>();
      const query = new URLSearchParams({ host, ...(user === undefined ? {} : { user }) });
      const path = `/disks/${part(disk)}/access?${query}`;
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
          ['HOST', 'MAY', 'CHAP USER'],
          view.hosts.map(({ host, readOnly, user }) => [
            host,
            readOnly ? 'read' : 'read, write',
            user ?? '-',
          ]),
          `only hosts on loopback see ${view.disk}`,
        );
    });
}

/** The whole list, in the normal form in which it was stored. */
function summary({ disk, hosts }: AccessView): string {
  return `${disk} may be used by ${['hosts on loopback', ...hosts.map(ruleWords)].join(', ')}`;
}

/** `192.0.2.0/24 (read-only, as anna)`. */
export function ruleWords({ host, readOnly, user }: AccessRule): string {
  const words = [...(readOnly ? ['read-only'] : []), ...(user === null ? [] : [`as ${user}`])];
  return words.length === 0 ? host : `${host} (${words.join(', ')})`;
}
