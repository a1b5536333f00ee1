/**
 * petal chap …: logins with a user name and a secret, of a virtual disk or of discovery. Secrets are
 * read by secret.ts and shown only when they were generated here, once.
 */
import type { Command } from 'commander';
import type { ChapView } from '../chap.ts';
import { CliError, Client, ExitStatus } from './client.ts';
import { type GlobalOptions, part, withGlobals } from './options.ts';
import { printFields, printJson, printLine } from './print.ts';
import { generateSecret, readSecrets } from './secret.ts';

/** `disk`: null for discovery. */
interface ChapAnswer extends ChapView {
  readonly disk: string | null;
}

interface ChapOptions extends GlobalOptions {
  readonly discovery?: true;
  readonly mutual?: string | true;
  readonly generate?: true;
}

const discoveryText = 'of discovery instead of a disk';

export function chapCommands(program: Command): void {
  const chap = program.command('chap').description('logins by name and secret (CHAP)');
  setCommand(chap);
  removeCommand(chap);
  listCommand(chap);
}

function setCommand(chap: Command): void {
  withGlobals(chap.command('set'))
    .description(
      'let a user log in, or give a user another secret, which is asked for or read from stdin; ' +
        'from then on every login needs a user',
    )
    .usage('[options] <DISK> <USER>')
    .argument('[DISK]')
    .argument('[USER]', 'many hosts use their initiator name')
    .option('--discovery', discoveryText)
    .option('--mutual <USER>', 'as whom the target proves itself, by a second secret')
    .option('--generate', 'make the secrets and show them once')
    .action(async (first: string | undefined, second: string | undefined, _options, command) => {
      const options = (command as Command).optsWithGlobals<ChapOptions>();
      const [path, user] = placeOf(options, [first, second]);
      if (user === undefined) throw usage('which USER?');
      const mutual = typeof options.mutual === 'string' ? options.mutual : null;
      const names = mutual === null ? [user] : [user, `the target (${mutual})`];
      const client = Client.find(options.data);
      const [secret = '', own = ''] = options.generate
        ? names.map(generateSecret)
        : await readSecrets(names);
      const body = {
        user,
        secret,
        ...(mutual === null ? {} : { mutual: { user: mutual, secret: own } }),
      };
      const answer = await client.call<ChapAnswer>('POST', path, body);
      const generated = options.generate ? { generated: body } : {};
      if (options.json) {
        printJson({ ...answer, ...generated });
        return;
      }
      printLine(summary(answer));
      if (options.generate) printSecrets(body);
    });
}

function printSecrets(body: {
  readonly user: string;
  readonly secret: string;
  readonly mutual?: { readonly user: string; readonly secret: string };
}): void {
  printFields([
    ['user', body.user],
    ['secret', body.secret],
    ...(body.mutual === undefined
      ? []
      : ([
          ['target', body.mutual.user],
          ["target's secret", body.mutual.secret],
        ] as const)),
  ]);
  printLine('This is shown only now.');
}

function removeCommand(chap: Command): void {
  withGlobals(chap.command('rm'))
    .description(
      'remove a user, whose sessions end; without USER all of CHAP: LOGINS NEED NONE THEN',
    )
    .usage('[options] <DISK> [USER]')
    .argument('[DISK]')
    .argument('[USER]')
    .option('--discovery', discoveryText)
    .option('--mutual', 'that by which the target proves itself, instead of a user')
    .action(async (first: string | undefined, second: string | undefined, _options, command) => {
      const options = (command as Command).optsWithGlobals<ChapOptions>();
      const [path, user] = placeOf(options, [first, second]);
      const query = new URLSearchParams({
        ...(user === undefined ? {} : { user }),
        ...(options.mutual === true ? { mutual: 'true' } : {}),
      }).toString();
      const whole = query === '' ? path : `${path}?${query}`;
      const answer = await Client.find(options.data).call<ChapAnswer>('DELETE', whole);
      if (options.json) printJson(answer);
      else printLine(summary(answer));
    });
}

function listCommand(chap: Command): void {
  withGlobals(chap.command('ls'))
    .description('list the users, without their secrets')
    .usage('[options] <DISK>')
    .argument('[DISK]')
    .option('--discovery', discoveryText)
    .action(async (disk: string | undefined, _options, command) => {
      const options = (command as Command).optsWithGlobals<ChapOptions>();
      const [path] = placeOf(options, [disk, undefined]);
      const answer = await Client.find(options.data).call<ChapAnswer>('GET', path);
      if (options.json) printJson(answer);
      else printLine(summary(answer));
    });
}

/** The API path and the user: with --discovery no argument is the disk. */
function placeOf(
  { discovery }: ChapOptions,
  [first, second]: readonly [string | undefined, string | undefined],
): [path: string, user: string | undefined] {
  if (discovery) {
    if (second !== undefined) throw usage('--discovery takes no DISK');
    return ['/discovery/chap', first];
  }
  if (first === undefined) throw usage('which DISK? (or --discovery)');
  return [`/disks/${part(first)}/chap`, second];
}

const usage = (text: string): CliError => new CliError(ExitStatus.usage, text);

function summary({ disk, users, mutual }: ChapAnswer): string {
  const what = disk === null ? 'discovery' : disk;
  if (users.length === 0) return `${what} needs no CHAP`;
  const own = mutual === null ? '' : `; the target proves itself as ${mutual}`;
  return `${what} needs CHAP as ${users.join(' or ')}${own}`;
}
