/**
 * petal snapshot …: the content of virtual disks at points in time.
 */
import type { Command } from 'commander';
import type { DiskView } from '../disk-view.ts';
import { formatSize } from '../sizes.ts';
import type { SnapshotView } from '../snapshot-view.ts';
import { Client } from './client.ts';
import { type GlobalOptions, part, withGlobals } from './options.ts';
import { type Cell, printFields, printJson, printLine, printTable, time } from './print.ts';

const snapshotText = 'DISK@SNAPSHOT';

export function snapshotCommands(program: Command): void {
  const snapshot = program
    .command('snapshot')
    .description('the content of virtual disks at points in time');
  createCommand(snapshot);
  listCommand(snapshot);
  showCommand(snapshot);
  renameCommand(snapshot);
  removeCommand(snapshot);
  rollbackCommand(snapshot);
  exposeCommands(snapshot);
  diffCommand(snapshot);
}

function createCommand(snapshot: Command): void {
  withGlobals(snapshot.command('create'))
    .description('keep what virtual disks hold now: of several all at one point, under one name')
    .argument('<DISK...>')
    .option('--name <NAME>', 'what to call it (default: snapshot- and the time)')
    .action(async (disks: string[], _options, command: Command) => {
      const { name, ...options } = command.optsWithGlobals<GlobalOptions & { name?: string }>();
      const body = { disks, ...(name === undefined ? {} : { name }) };
      const client = Client.find(options.data);
      const { snapshots } = await client.call<{ snapshots: SnapshotView[] }>(
        'POST',
        '/snapshots',
        body,
      );
      if (options.json) printJson(snapshots);
      else for (const one of snapshots) printLine(`created ${one.name}`);
    });
}

function listCommand(snapshot: Command): void {
  withGlobals(snapshot.command('ls'))
    .description('list snapshots, the oldest first')
    .argument('[DISK]', 'only those of this virtual disk')
    .option('--space', 'with what each holds alone; takes a walk over the maps')
    .action(async (disk: string | undefined, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { space?: true }>();
      const query = new URLSearchParams({
        ...(disk === undefined ? {} : { disk }),
        ...(options.space ? { space: 'true' } : {}),
      });
      const path = `/snapshots?${query}`;
      const client = Client.find(options.data);
      const { snapshots } = await client.call<{ snapshots: SnapshotView[] }>('GET', path);
      if (options.json) printJson(snapshots);
      else printList(snapshots, options.space === true);
    });
}

/** The columns of a list; templates have the same. */
export function printList(snapshots: readonly SnapshotView[], space: boolean): void {
  printTable(
    ['NAME', 'CREATED', 'SIZE', 'USED', ...(space ? ['ALONE'] : []), 'CLONES', 'NOTES'],
    snapshots.map((one) => [
      one.name,
      time(one.created),
      formatSize(one.size),
      formatSize(one.used),
      ...(space ? [formatSize(one.space?.exclusive ?? 0)] : []),
      one.clones.length,
      notesOf(one),
    ]),
    'no snapshots; make one with: petal snapshot create DISK',
  );
}

function notesOf({ template, exposed }: SnapshotView): string {
  const notes = [...(template ? ['template'] : []), ...(exposed === null ? [] : ['exposed'])];
  return notes.length === 0 ? '-' : notes.join(', ');
}

function showCommand(snapshot: Command): void {
  withGlobals(snapshot.command('show'))
    .description('everything about one snapshot')
    .argument('<SNAPSHOT>', snapshotText)
    .option('--space', 'with what it holds alone; takes a walk over the maps')
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { space?: true }>();
      const path = `/snapshots/${part(name)}${options.space ? '?space=true' : ''}`;
      const shown = await Client.find(options.data).call<SnapshotView>('GET', path);
      if (options.json) printJson(shown);
      else printFields(fieldsOf(shown));
    });
}

function fieldsOf(one: SnapshotView): [string, Cell][] {
  const { exposed, space } = one;
  return [
    ['name', one.name],
    ['created', time(one.created)],
    ['size', `${formatSize(one.size)} (${one.size} bytes)`],
    ['used', `${formatSize(one.used)} (${one.used} bytes)`],
    ...(space === undefined ? [] : spaceFields(space)),
    ['sectors', `${one.sectorBytes} bytes`],
    ['template', one.template ? 'yes' : 'no'],
    ['clones', one.clones.length === 0 ? 'none' : one.clones.join(', ')],
    ['id', one.id],
    ...(one.group === null ? [] : [['group', one.group] as [string, Cell]]),
    ['target', exposed === null ? 'not exposed' : `${exposed.iqn} LUN ${exposed.lun}`],
    ...(exposed === null
      ? []
      : ([
          ['identity', exposed.naa],
          ['sessions', exposed.sessions],
          ['hosts', ['hosts on loopback', ...exposed.hosts].join(', ')],
        ] as [string, Cell][])),
  ];
}

/** Who holds what, of a disk or a snapshot. */
export function spaceFields(space: NonNullable<SnapshotView['space']>): [string, Cell][] {
  const freed = formatSize(space.freed);
  const all = space.freedWithSnapshots;
  return [
    [
      'alone',
      `${formatSize(space.exclusive)} held by nobody else, ${formatSize(space.shared)} shared`,
    ],
    ['frees', all === undefined ? freed : `${freed}, ${formatSize(all)} with its snapshots`],
  ];
}

function renameCommand(snapshot: Command): void {
  withGlobals(snapshot.command('rename'))
    .description('rename a snapshot')
    .argument('<SNAPSHOT>', snapshotText)
    .argument('<NEW-NAME>', 'without the disk')
    .action(async (name: string, to: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/snapshots/${part(name)}`;
      const renamed = await Client.find(options.data).call<SnapshotView>('PATCH', path, {
        name: to,
      });
      if (options.json) printJson(renamed);
      else printLine(`${name} is ${renamed.name} now`);
    });
}

function removeCommand(snapshot: Command): void {
  withGlobals(snapshot.command('rm'))
    .description('delete a snapshot, at once and for good; clones of it stay as they are')
    .argument('<SNAPSHOT>', snapshotText)
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/snapshots/${part(name)}`;
      const removed = await Client.find(options.data).call<SnapshotView>('DELETE', path);
      if (options.json) printJson(removed);
      else printLine(`deleted ${removed.name}`);
    });
}

function rollbackCommand(snapshot: Command): void {
  withGlobals(snapshot.command('rollback'))
    .description('give a virtual disk the content of its snapshot; what it has now is kept')
    .argument('<SNAPSHOT>', snapshotText)
    .option('--force', 'also while hosts are logged in: THEIR FILE SYSTEMS BREAK')
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { force?: true }>();
      const path = `/snapshots/${part(name)}/rollback`;
      const body = options.force ? { force: true } : {};
      const client = Client.find(options.data);
      const done = await client.call<{ disk: DiskView; kept: SnapshotView }>('POST', path, body);
      if (options.json) printJson(done);
      else printLine(`${done.disk.name} is as ${name} now; as it was before: ${done.kept.name}`);
    });
}

function exposeCommands(snapshot: Command): void {
  withGlobals(snapshot.command('expose'))
    .description('make a snapshot a target of its own with LUN 0, which nobody can write to')
    .argument('<SNAPSHOT>', snapshotText)
    .option(
      '--allow <HOST...>',
      'who sees it beside hosts on loopback: an initiator name or an address range',
    )
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { allow?: string[] }>();
      const path = `/snapshots/${part(name)}/expose`;
      const body = { hosts: options.allow ?? [] };
      const shown = await Client.find(options.data).call<SnapshotView>('POST', path, body);
      if (options.json) printJson(shown);
      else printLine(`exposed ${shown.name}: ${shown.exposed?.iqn} LUN ${shown.exposed?.lun}`);
    });

  withGlobals(snapshot.command('unexpose'))
    .description('take an exposed snapshot away from hosts; its content stays')
    .argument('<SNAPSHOT>', snapshotText)
    .option('--force', 'also while hosts are logged in: their sessions are ended')
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { force?: true }>();
      const path = `/snapshots/${part(name)}/expose${options.force ? '?force=true' : ''}`;
      const shown = await Client.find(options.data).call<SnapshotView>('DELETE', path);
      if (options.json) printJson(shown);
      else printLine(`${shown.name} is not exposed any more`);
    });
}

interface Diff {
  readonly ranges: readonly { readonly offset: number; readonly length: number }[];
  readonly next: number | null;
}

function diffCommand(snapshot: Command): void {
  withGlobals(snapshot.command('diff'))
    .description('where a snapshot differs from another one or from a virtual disk')
    .argument('<SNAPSHOT>', snapshotText)
    .argument('<OTHER>', 'DISK@SNAPSHOT, or DISK for what it holds now')
    .action(async (name: string, other: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const client = Client.find(options.data);
      const ranges: { offset: number; length: number }[] = [];
      for (let from: number | null = 0; from !== null; ) {
        const query = new URLSearchParams({ with: other, from: String(from) });
        const path = `/snapshots/${part(name)}/diff?${query}`;
        const portion: Diff = await client.call<Diff>('GET', path);
        ranges.push(...portion.ranges);
        from = portion.next;
      }
      if (options.json) {
        printJson(ranges);
        return;
      }
      const rows = ranges.map(({ offset, length }) => [offset, length]);
      printTable(['OFFSET', 'LENGTH'], rows, 'they are equal');
      const total = ranges.reduce((sum, { length }) => sum + length, 0);
      if (total > 0) printLine(`${formatSize(total)} may differ`);
    });
}
