/**
 * petal session …: hosts that are logged in.
 */
import type { Command } from 'commander';
import { formatSize } from '../sizes.ts';
import type { SessionView } from '../status.ts';
import { Client } from './client.ts';
import { type GlobalOptions, part, withGlobals } from './options.ts';
import { printJson, printLine, printTable, time } from './print.ts';

export function sessionCommands(program: Command): void {
  const session = program.command('session').description('hosts that are logged in');

  withGlobals(session.command('ls'))
    .description('list sessions')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { sessions } = await Client.find(options.data).call<{ sessions: SessionView[] }>(
        'GET',
        '/sessions',
      );
      if (options.json) printJson(sessions);
      else printSessions(sessions);
    });

  withGlobals(session.command('kick'))
    .description('end a session; the host may log in again unless access is denied')
    .argument('<ID>', 'as petal session ls shows it')
    .action(async (id: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const kicked = await Client.find(options.data).call<{ id: string }>(
        'DELETE',
        `/sessions/${part(id)}`,
      );
      if (options.json) printJson(kicked);
      else printLine(`session ${kicked.id} is ended`);
    });
}

function printSessions(sessions: readonly SessionView[]): void {
  // A column of dashes would only make the lines longer.
  const withUser = sessions.some(({ user }) => user !== null);
  printTable(
    [
      'ID',
      'DISK',
      'INITIATOR',
      ...(withUser ? ['USER'] : []),
      'ADDRESS',
      'SINCE',
      'COMMANDS',
      'READ',
      'WRITTEN',
    ],
    sessions.map((one) => [
      one.id,
      one.disk ?? '-',
      one.initiator,
      ...(withUser ? [one.user ?? '-'] : []),
      one.address,
      time(one.since),
      one.commands,
      formatSize(one.bytesRead),
      formatSize(one.bytesWritten),
    ]),
    'no sessions',
  );
}
