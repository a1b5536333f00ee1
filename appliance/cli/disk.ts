/**
 * petal disk …: virtual disks.
 */
import { Argument, type Command, Option } from 'commander';
import type { DiskView } from '../disk-view.ts';
import { formatSize } from '../sizes.ts';
import { ruleWords } from './access.ts';
import { Client } from './client.ts';
import { flattenCommand } from './clone.ts';
import { type GlobalOptions, part, sectorArgument, sizeArgument, withGlobals } from './options.ts';
import { printFields, printJson, printLine, printTable, time } from './print.ts';
import { spaceFields } from './snapshot.ts';

export function diskCommands(program: Command): void {
  const disk = program.command('disk').description('virtual disks');
  createCommand(disk);
  listCommand(disk);
  showCommand(disk);
  resizeCommand(disk);
  renameCommand(disk);
  protectCommands(disk);
  hostProtectCommand(disk);
  setCommand(disk);
  redirectCommand(disk);
  removeCommand(disk);
  undeleteCommand(disk);
  flattenCommand(disk);
}

/** The object as JSON, or a sentence and what the disk is now. */
function answer(options: GlobalOptions, disk: DiskView, sentence: string): void {
  if (options.json) printJson(disk);
  else printLine(sentence);
}

function createCommand(disk: Command): void {
  withGlobals(disk.command('create'))
    .description('make a virtual disk, which is a target of its own with LUN 0')
    .argument('<NAME>', 'lower-case letters, digits, dots and dashes')
    .argument('<SIZE>', '10G, 1.5TiB, 512MiB (G = GiB) or plain bytes', sizeArgument)
    .option('--reserved', 'promise room for all of it (thick) instead of taking it as it fills')
    .option('--sector <BYTES>', '512 (default) or 4096: what hosts address', sectorArgument)
    .option('--write-protected', 'hosts may only read; see petal disk unprotect')
    .option('--host-protect', 'let hosts protect it from writing by a mode page (SWP)')
    .option('--write-back', 'let writes complete before they are durable; see petal disk set')
    .option('--sanitize', 'seal it under a key of its own, so that hosts may erase it (SANITIZE)')
    .option('--removable', 'show hosts a removable medium, which they may eject')
    .action(async (name: string, size: number, _options, command: Command) => {
      const options = command.optsWithGlobals<
        GlobalOptions & {
          reserved?: true;
          sector?: number;
          writeProtected?: true;
          removable?: true;
          hostProtect?: true;
          writeBack?: true;
          sanitize?: true;
        }
      >();
      const made = await Client.find(options.data).call<DiskView>('POST', '/disks', {
        name,
        size,
        ...(options.reserved ? { reserved: true } : {}),
        ...(options.sector === undefined ? {} : { sectorBytes: options.sector }),
        ...(options.writeProtected ? { writeProtected: true } : {}),
        ...(options.removable ? { removable: true } : {}),
        ...(options.hostProtect ? { hostProtect: true } : {}),
        ...(options.writeBack ? { writeBack: true } : {}),
        ...(options.sanitize ? { sanitize: true } : {}),
      });
      const kind = made.reserved ? 'reserved' : 'thin';
      answer(
        options,
        made,
        `created ${made.name}, ${formatSize(made.size)}, ${kind}: ${made.iqn} LUN ${made.lun}`,
      );
    });
}

function listCommand(disk: Command): void {
  withGlobals(disk.command('ls'))
    .description('list virtual disks')
    .option('--removed', 'those that were removed and can still be restored')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { removed?: true }>();
      const path = options.removed ? '/disks?removed=true' : '/disks';
      const { disks } = await Client.find(options.data).call<{ disks: DiskView[] }>('GET', path);
      if (options.json) printJson(disks);
      else if (options.removed) printRemoved(disks);
      else printLiving(disks);
    });
}

function printLiving(disks: readonly DiskView[]): void {
  printTable(
    ['NAME', 'SIZE', 'USED', 'KIND', 'SESSIONS', 'TARGET (LUN 0)'],
    disks.map((disk) => [
      disk.name,
      formatSize(disk.size),
      formatSize(disk.used),
      disk.reserved ? 'reserved' : 'thin',
      disk.sessions,
      disk.iqn,
    ]),
    'no virtual disks; make one with: petal disk create NAME SIZE',
  );
}

function printRemoved(disks: readonly DiskView[]): void {
  printTable(
    ['NAME', 'SIZE', 'USED', 'REMOVED', 'RESTORABLE UNTIL', 'ID'],
    disks.map((disk) => [
      disk.name,
      formatSize(disk.size),
      formatSize(disk.used),
      time(disk.removed),
      time(disk.restorableUntil),
      disk.id,
    ]),
    'no removed disks',
  );
  if (disks.length > 0)
    printLine('A removed disk goes earlier, the oldest first, when its space is needed.');
}

function showCommand(disk: Command): void {
  withGlobals(disk.command('show'))
    .description('everything about one virtual disk')
    .argument('<NAME>')
    .option('--space', 'with what it holds alone; takes a walk over the maps')
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { space?: true }>();
      const path = `/disks/${part(name)}${options.space ? '?space=true' : ''}`;
      const shown = await Client.find(options.data).call<DiskView>('GET', path);
      if (options.json) printJson(shown);
      else printDisk(shown);
    });
}

function printDisk(disk: DiskView): void {
  printFields([
    ['name', disk.name],
    ['size', `${formatSize(disk.size)} (${disk.size} bytes)`],
    ['used', `${formatSize(disk.used)} (${disk.used} bytes)`],
    ...(disk.space === undefined ? [] : spaceFields(disk.space)),
    ['kind', disk.reserved ? 'reserved: room for all of it is promised' : 'thin'],
    ['sectors', `${disk.sectorBytes} bytes`],
    ['medium', mediumOf(disk)],
    ['writes', disk.writeBack ? 'write-back: durable when flushed' : 'durable when they complete'],
    ['hosts may', hostsMay(disk)],
    ['redirect', redirectWords(disk)],
    ['target', disk.iqn],
    ['lun', disk.lun],
    ['identity', disk.naa],
    ['serial', disk.serial],
    ['created', time(disk.created)],
    ['snapshots', disk.snapshots],
    ['origin', originWords(disk)],
    ['sessions', disk.sessions],
    ['access', ['hosts on loopback', ...disk.access.map(ruleWords)].join(', ')],
    ['chap', disk.chap.users.length === 0 ? 'not needed' : disk.chap.users.join(', ')],
  ]);
}

/** `fixed, write-protected`. */
function mediumOf({ removable, writeProtected }: DiskView): string {
  return `${removable ? 'removable' : 'fixed'}${writeProtected ? ', write-protected' : ''}`;
}

function hostsMay({ hostProtect, sanitize }: DiskView): string {
  const things = [
    ...(hostProtect ? ['protect it from writing'] : []),
    ...(sanitize ? ['erase all of it'] : []),
  ];
  return things.length === 0 ? 'neither protect nor erase it' : things.join(', ');
}

function originWords({ origin, flatten }: DiskView): string {
  if (origin === null) return 'none';
  const { snapshot, deleted } = origin;
  const done = flatten === null ? '' : `, flattened up to ${formatSize(flatten.position)}`;
  return `${snapshot}${deleted ? ' (deleted)' : ''}${done}`;
}

function redirectWords({ redirect }: DiskView): string {
  if (redirect === null) return 'none';
  return `${redirect.address}${redirect.permanent ? ', permanent' : ''}`;
}

function hostProtectCommand(disk: Command): void {
  withGlobals(disk.command('host-protect'))
    .description('whether hosts may protect a virtual disk from writing by a mode page (SWP)')
    .argument('<NAME>')
    .addArgument(new Argument('<ON>').choices(['on', 'off']))
    .action(async (name: string, on: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/disks/${part(name)}`;
      const body = { hostProtect: on === 'on' };
      const changed = await Client.find(options.data).call<DiskView>('PATCH', path, body);
      const may = changed.hostProtect ? 'may' : 'may not';
      answer(options, changed, `hosts ${may} protect ${changed.name} from writing now`);
    });
}

function setCommand(disk: Command): void {
  withGlobals(disk.command('set'))
    .description('change how a virtual disk works')
    .argument('<NAME>')
    .addOption(
      new Option(
        '--write-back <ON>',
        'let writes complete before they are durable (WCE=1): faster, and a crash may lose what ' +
          'was not flushed',
      )
        .choices(['on', 'off'])
        .makeOptionMandatory(),
    )
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { writeBack: string }>();
      const path = `/disks/${part(name)}`;
      const body = { writeBack: options.writeBack === 'on' };
      const changed = await Client.find(options.data).call<DiskView>('PATCH', path, body);
      const how = changed.writeBack
        ? 'may complete before they are durable'
        : 'are durable when they complete';
      answer(options, changed, `writes to ${changed.name} ${how} now`);
    });
}

function redirectCommand(disk: Command): void {
  withGlobals(disk.command('redirect'))
    .description(
      'send hosts of a virtual disk to another address at login; "off" serves them here again',
    )
    .argument('<NAME>')
    .argument('<HOST:PORT>', 'where the same target is served, or "off"')
    .option('--permanent', 'hosts may remember it and never ask here again')
    .action(async (name: string, to: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { permanent?: true }>();
      const path = `/disks/${part(name)}`;
      const redirect = to === 'off' ? null : { address: to, permanent: options.permanent ?? false };
      const changed = await Client.find(options.data).call<DiskView>('PATCH', path, { redirect });
      const where =
        changed.redirect === null ? 'served here' : `sent to ${changed.redirect.address}`;
      answer(options, changed, `hosts of ${changed.name} are ${where} from their next login on`);
    });
}

function protectCommands(disk: Command): void {
  for (const on of [true, false]) {
    withGlobals(disk.command(on ? 'protect' : 'unprotect'))
      .description(
        on ? 'let no host write to a virtual disk, from now on' : 'let hosts write to it again',
      )
      .argument('<NAME>')
      .action(async (name: string, _options, command: Command) => {
        const options = command.optsWithGlobals<GlobalOptions>();
        const path = `/disks/${part(name)}`;
        const changed = await Client.find(options.data).call<DiskView>('PATCH', path, {
          writeProtected: on,
        });
        answer(options, changed, `${changed.name} ${on ? 'is' : 'is not'} write-protected now`);
      });
  }
}

function resizeCommand(disk: Command): void {
  withGlobals(disk.command('resize'))
    .description('grow a virtual disk at once; or shrink it, with --force')
    .argument('<NAME>')
    .argument('<SIZE>', 'the new size', sizeArgument)
    .option('--force', 'allow shrinking: WHAT LIES PAST THE NEW END IS LOST')
    .action(async (name: string, size: number, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { force?: true }>();
      const body = { size, ...(options.force ? { force: true } : {}) };
      const path = `/disks/${part(name)}`;
      const resized = await Client.find(options.data).call<DiskView>('PATCH', path, body);
      answer(options, resized, `${resized.name} has ${formatSize(resized.size)} now`);
    });
}

function renameCommand(disk: Command): void {
  withGlobals(disk.command('rename'))
    .description('rename a virtual disk; its target keeps its name, so hosts notice nothing')
    .argument('<NAME>')
    .argument('<NEW-NAME>')
    .action(async (name: string, to: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/disks/${part(name)}`;
      const renamed = await Client.find(options.data).call<DiskView>('PATCH', path, { name: to });
      answer(options, renamed, `${name} is ${renamed.name} now; its target stays ${renamed.iqn}`);
    });
}

function removeCommand(disk: Command): void {
  withGlobals(disk.command('rm'))
    .description(
      'remove a virtual disk; it can be restored for 24 hours unless the space is needed',
    )
    .argument('<NAME>')
    .option('--force <NAME>', 'also when sessions use it (they are ended): repeat its name')
    .option('--with-snapshots', 'delete its snapshots, AT ONCE AND FOR GOOD')
    .option('--purge', 'give its space back at once: IT CANNOT BE RESTORED')
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<
        GlobalOptions & { force?: string; withSnapshots?: true; purge?: true }
      >();
      const query = new URLSearchParams({
        ...(options.force === undefined ? {} : { force: options.force }),
        ...(options.withSnapshots ? { snapshots: 'true' } : {}),
        ...(options.purge ? { purge: 'true' } : {}),
      });
      const path = `/disks/${part(name)}?${query}`;
      const removed = await Client.find(options.data).call<DiskView>('DELETE', path);
      if (options.purge) {
        answer(options, removed, `removed ${removed.name} for good`);
        return;
      }
      answer(
        options,
        removed,
        `removed ${removed.name}; until ${time(removed.restorableUntil)}, unless the space is ` +
          `needed, it can be restored with: petal disk undelete ${removed.name}`,
      );
    });
}

function undeleteCommand(disk: Command): void {
  withGlobals(disk.command('undelete'))
    .description('restore a removed virtual disk with its content, identity and target')
    .argument('<NAME>', 'its name (of several the last removed) or its id')
    .option('--as <NEW-NAME>', 'restore it under another name')
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { as?: string }>();
      const body = options.as === undefined ? {} : { as: options.as };
      const path = `/disks/${part(name)}/undelete`;
      const restored = await Client.find(options.data).call<DiskView>('POST', path, body);
      answer(options, restored, `restored ${restored.name}: ${restored.iqn} LUN ${restored.lun}`);
    });
}
