/**
 * petal clone, petal template …, petal disk flatten: virtual disks that begin with the content of a snapshot.
 */
import type { Command } from 'commander';
import type { DiskView } from '../disk-view.ts';
import { formatSize } from '../sizes.ts';
import type { SnapshotView } from '../snapshot-view.ts';
import { CliError, Client, ExitStatus } from './client.ts';
import { type GlobalOptions, part, sizeArgument, withGlobals } from './options.ts';
import { printJson, printLine } from './print.ts';
import { Progress } from './progress.ts';
import { printList } from './snapshot.ts';

/** How often the CLI asks how far a flattening is. */
const lookMs = 500;

export function cloneCommand(program: Command): void {
  withGlobals(program.command('clone'))
    .description('make a virtual disk with the content of a snapshot; no data is copied')
    .argument('<SOURCE>', 'DISK@SNAPSHOT, or DISK: then a snapshot of it is made first')
    .argument('<NAME>', 'of the new virtual disk')
    .option('--reserved', 'promise room for all of it (thick)')
    .action(async (from: string, name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { reserved?: true }>();
      const body = { from, name, ...(options.reserved ? { reserved: true } : {}) };
      const made = await Client.find(options.data).call<DiskView>('POST', '/clones', body);
      if (options.json) printJson(made);
      else {
        const origin = made.origin?.snapshot ?? from;
        printLine(`created ${made.name} from ${origin}: ${made.iqn} LUN ${made.lun}`);
      }
    });
}

export function templateCommands(program: Command): void {
  const template = program
    .command('template')
    .description('snapshots to be cloned from, protected from deletion');
  for (const on of [true, false]) {
    withGlobals(template.command(on ? 'set' : 'unset'))
      .description(on ? 'make a snapshot a template' : 'let a snapshot be deleted again')
      .argument('<SNAPSHOT>', 'DISK@SNAPSHOT')
      .action(async (name: string, _options, command: Command) => {
        const options = command.optsWithGlobals<GlobalOptions>();
        const path = `/snapshots/${part(name)}`;
        const changed = await Client.find(options.data).call<SnapshotView>('PATCH', path, {
          template: on,
        });
        if (options.json) printJson(changed);
        else printLine(`${changed.name} is ${on ? 'a' : 'no'} template now`);
      });
  }
  withGlobals(template.command('ls'))
    .description('list templates')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const client = Client.find(options.data);
      const { snapshots } = await client.call<{ snapshots: SnapshotView[] }>('GET', '/snapshots');
      const templates = snapshots.filter((one) => one.template);
      if (options.json) printJson(templates);
      else if (templates.length === 0) printLine('no templates; make one with: petal template set');
      else printList(templates, false);
    });
}

export function flattenCommand(disk: Command): void {
  withGlobals(disk.command('flatten'))
    .description('copy all that a clone holds, so that it shares nothing with its origin')
    .argument('<NAME>')
    .option('--rate <SIZE>', 'how much a second (default: 64MiB)', sizeArgument)
    .option('--background', 'do not wait for the end')
    .option('--stop', 'give it up; what was copied stays copied')
    .action(async (name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<
        GlobalOptions & { rate?: number; background?: true; stop?: true }
      >();
      const client = Client.find(options.data);
      const path = `/disks/${part(name)}/flatten`;
      const body = options.rate === undefined ? {} : { bytesPerSecond: options.rate };
      let view = options.stop
        ? await client.call<DiskView>('DELETE', path)
        : await client.call<DiskView>('POST', path, body);
      if (!options.stop && !options.background) view = await follow(client, view);
      if (options.json) printJson(view);
      else printLine(sentence(view, options.stop === true));
    });
}

/** Until it has ended; the daemon goes on also when nobody waits. */
async function follow(client: Client, first: DiskView): Promise<DiskView> {
  const progress = new Progress(first.size);
  let view = first;
  try {
    while (view.flatten !== null && view.flatten.stopped === null) {
      progress.at(view.flatten.position);
      await new Promise((resolve) => setTimeout(resolve, lookMs));
      view = await client.call<DiskView>('GET', `/disks/${part(first.id)}`);
    }
  } finally {
    progress.end();
  }
  const stopped = view.flatten?.stopped ?? null;
  if (stopped === null) return view;
  throw new CliError(ExitStatus.refused, `flattening '${view.name}' stands still: ${stopped}`);
}

function sentence({ name, flatten }: DiskView, stop: boolean): string {
  if (stop) return `${name} is not flattened further`;
  if (flatten === null) return `${name} shares nothing with an origin`;
  const { position, size } = flatten;
  return `${name} is being flattened: ${formatSize(position)} of ${formatSize(size)} done`;
}
