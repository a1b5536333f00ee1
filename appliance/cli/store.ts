/**
 * petal store …: the disks that the store lies on.
 */
import { resolve } from 'node:path';
import { Argument, type Command } from 'commander';
import { formatSize } from '../sizes.ts';
import type { ScrubView, StoreView } from '../store-disks.ts';
import { Client } from './client.ts';
import { type GlobalOptions, part, sizeArgument, withGlobals } from './options.ts';
import { printFields, printJson, printLine, printTable, time } from './print.ts';

const diskArgument = 'its path, or the beginning of its id, as petal store ls shows them';

export function storeCommands(program: Command): void {
  const store = program.command('store').description('the disks that the store lies on');
  listCommand(store);
  addCommand(store);
  drainCommand(store);
  replaceCommand(store);
  removeCommand(store);
  scrubCommand(store);
}

function listCommand(store: Command): void {
  withGlobals(store.command('ls'))
    .description('the disks, their state, and what is being moved')
    .action(async (_options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const view = await Client.find(options.data).call<StoreView>('GET', '/store');
      if (options.json) printJson(view);
      else printStore(view);
    });
}

function printStore(view: StoreView): void {
  const { zones } = view;
  printFields([
    ['store', `${view.id}, ${layoutWords(view)}`],
    ['state', stateWords(view)],
    ['zones', `${zones.formed} of ${zones.total} in use, ${formatSize(view.zoneBytes)} each`],
    ['moving', movingWords(view)],
    ['scrub', scrubWords(view.scrub)],
  ]);
  printLine('');
  printTable(
    ['ID', 'STATE', 'SIZE', 'USED', 'READ ERRORS', 'BAD CHECKSUMS', 'REPAIRED', 'PATH'],
    view.disks.map((disk) => [
      disk.id.slice(0, 8),
      disk.state,
      formatSize(disk.size),
      formatSize(disk.used),
      disk.readErrors,
      disk.checksumErrors,
      disk.repairedBlocks,
      disk.path,
    ]),
    'no disks',
  );
  for (const { id, state, since, failure } of view.disks) {
    if (state !== 'lost') continue;
    printLine(`${id.slice(0, 8)} is lost since ${time(since)}${failure ? `: ${failure}` : ''}`);
  }
}

function layoutWords({ layout, columns }: StoreView): string {
  if (layout === 'striped') return `striped over ${columns}`;
  return layout === 'parity' ? `parity, ${columns} data disks and one more` : layout;
}

function stateWords({ state, spare, zones, waiting }: StoreView): string {
  switch (state) {
    case 'ok':
      return spare > 0 ? 'ok: any one disk may be lost' : 'ok: no disk may be lost';
    case 'degraded': {
      const wanted = waiting > 0 ? '; a disk is wanted: petal store replace OLD NEW' : '';
      return `degraded: ${zones.degraded} zones lack a disk${wanted}`;
    }
    case 'failed':
      return 'failed: reads are answered, nothing is written';
  }
}

function movingWords({ moving }: StoreView): string {
  if (moving === null) return 'nothing';
  const { why, done, total, bytes, secondsLeft } = moving;
  const of = total === null ? `${done} extents` : `${done} of ${total} extents`;
  const left = secondsLeft === null ? '' : `, about ${secondsLeft} s left`;
  return `${why}: ${of}, ${formatSize(bytes)}${left}`;
}

function answer(options: GlobalOptions, view: StoreView, sentence: string): void {
  if (options.json) printJson(view);
  else printLine(sentence);
}

interface NewDiskOptions extends GlobalOptions {
  readonly size?: number;
  readonly wipe?: true;
}

function withNewDisk(command: Command): Command {
  return withGlobals(command)
    .option('--size <SIZE>', 'of a new file (default: as the smallest disk)', sizeArgument)
    .option('--wipe', 'take a file or block device that holds something else: ITS DATA IS LOST');
}

function addCommand(store: Command): void {
  withNewDisk(store.command('add'))
    .description('add a disk, used at once; it also takes the place of a lost one')
    .argument('<PATH>', 'a file that is made, a directory (then a file in it), a block device')
    .action(async (path: string, _options, command: Command) => {
      const options = command.optsWithGlobals<NewDiskOptions>();
      const body = { path: resolve(path), ...newDisk(options) };
      const view = await Client.find(options.data).call<StoreView>('POST', '/store/disks', body);
      answer(options, view, `added ${body.path}`);
    });
}

const newDisk = ({ size, wipe }: NewDiskOptions) => ({
  ...(size === undefined ? {} : { size }),
  ...(wipe === undefined ? {} : { wipe }),
});

function drainCommand(store: Command): void {
  withGlobals(store.command('drain'))
    .description('move what is on a disk to the others; then it can be removed')
    .argument('<DISK>', diskArgument)
    .action(async (disk: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const body = { disk };
      const view = await Client.find(options.data).call<StoreView>('POST', '/store/drain', body);
      answer(options, view, `${disk} drains; petal store ls shows how far it is`);
    });
}

function replaceCommand(store: Command): void {
  withNewDisk(store.command('replace'))
    .description('put a new disk in the place of one, lost or not; the old one leaves by itself')
    .argument('<OLD>', diskArgument)
    .argument('<NEW>', 'a file that is made, a directory (then a file in it), a block device')
    .action(async (replaces: string, path: string, _options, command: Command) => {
      const options = command.optsWithGlobals<NewDiskOptions>();
      const body = { path: resolve(path), replaces, ...newDisk(options) };
      const view = await Client.find(options.data).call<StoreView>('POST', '/store/disks', body);
      answer(options, view, `${body.path} takes the place of ${replaces}; see petal store ls`);
    });
}

function removeCommand(store: Command): void {
  withGlobals(store.command('remove'))
    .description('take a disk with nothing on it out of the store')
    .argument('<DISK>', diskArgument)
    .action(async (disk: string, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const path = `/store/disks?disk=${part(disk)}`;
      const view = await Client.find(options.data).call<StoreView>('DELETE', path);
      answer(options, view, `${disk} is no disk of this store any more`);
    });
}

function scrubCommand(store: Command): void {
  withGlobals(store.command('scrub'))
    .description('verify every live block and all its copies, now; or say how far it is')
    .addArgument(new Argument('[WHAT]', 'default: status').choices(['start', 'status']))
    .action(async (what: string | undefined, _options, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const method = what === 'start' ? 'POST' : 'GET';
      const scrub = await Client.find(options.data).call<ScrubView>(method, '/store/scrub');
      if (options.json) printJson(scrub);
      else printLine(scrubWords(scrub));
    });
}

function scrubWords({ running, share, begun, ended, ...counts }: ScrubView): string {
  const found = `${counts.blocks} blocks verified, ${counts.repaired} repaired, ${counts.bad} damaged`;
  if (running) return `${Math.floor(share * 100)} % since ${time(begun ?? '')}: ${found}`;
  return ended === null ? 'never yet' : `done ${time(ended)}: ${found}`;
}
