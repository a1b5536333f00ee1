/**
 * petal, the command line of a running petald. Exit status: 0 done, 1 refused or failed, 2 wrong
 * usage, 3 no daemon, 4 an alarm (petal status).
 */
import { Command, CommanderError } from 'commander';
import { version } from '../version.ts';
import { accessCommands } from './access.ts';
import { chapCommands } from './chap.ts';
import { CliError, ExitStatus } from './client.ts';
import { cloneCommand, templateCommands } from './clone.ts';
import { diskCommands } from './disk.ts';
import { withGlobals } from './options.ts';
import { powerCommands } from './power.ts';
import { printError } from './print.ts';
import { sessionCommands } from './session.ts';
import { snapshotCommands } from './snapshot.ts';
import { statusCommand } from './status.ts';
import { storeCommands } from './store.ts';
import { exportCommand, importCommand } from './transfer.ts';

function makeProgram(): Command {
  const program = withGlobals(new Command('petal'))
    .description('Petal, an iSCSI storage appliance: the command line of a running petald.')
    .version(`petal ${version}`, '--version', 'show the version')
    .helpOption('-h, --help', 'show this')
    .showHelpAfterError('(petal --help shows what there is)')
    .exitOverride();
  diskCommands(program);
  snapshotCommands(program);
  cloneCommand(program);
  templateCommands(program);
  exportCommand(program);
  importCommand(program);
  accessCommands(program);
  chapCommands(program);
  sessionCommands(program);
  powerCommands(program);
  storeCommands(program);
  statusCommand(program);
  program.addHelpText(
    'after',
    `
Sizes: 512MiB, 10G, 1.5TiB (G = GiB = 1024^3 bytes), or plain bytes.
Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 no daemon; of petal status also
4, something needs attention.`,
  );
  return program;
}

async function run(argv: readonly string[]): Promise<ExitStatus> {
  try {
    await makeProgram().parseAsync([...argv], { from: 'user' });
    return (process.exitCode as ExitStatus | undefined) ?? ExitStatus.ok;
  } catch (error) {
    // commander has printed its message by now.
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? ExitStatus.ok : ExitStatus.usage;
    }
    if (!(error instanceof CliError)) throw error;
    printError(error.message);
    return error.status;
  }
}

// `petal disk ls | head -1`: the reader has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(ExitStatus.ok);
});
process.exitCode = await run(process.argv.slice(2));
