/**
 * petal export, petal import: snapshots to and from files and pipes, as Petal's own stream or, through qemu-img, as
 * an image in another format.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { formatSize } from '../sizes.ts';
import type { ImportView } from '../transfers.ts';
import { CliError, Client, ExitStatus } from './client.ts';
import { exportImage, type ImageFormat, imageFormats, importImage } from './image.ts';
import { type GlobalOptions, part, withGlobals } from './options.ts';
import { printJson, printLine, printNote } from './print.ts';
import { Progress } from './progress.ts';
import { download, upload } from './stream-client.ts';

const streamType = 'application/vnd.petal.stream';

function formatArgument(text: string): ImageFormat | 'petal' {
  const found = (['petal', ...imageFormats] as const).find((format) => format === text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`petal, ${imageFormats.join(', ')}`);
}

interface ExportOptions extends GlobalOptions {
  readonly from?: string;
  readonly output?: string;
  readonly format?: ImageFormat | 'petal';
}

export function exportCommand(program: Command): void {
  withGlobals(program.command('export'))
    .description('write a snapshot to a file or a pipe; of a DISK a snapshot is made first')
    .argument('<SOURCE>', 'DISK@SNAPSHOT or DISK')
    .option('--from <SNAPSHOT>', 'only what differs from this earlier snapshot of the disk')
    .option('-o, --output <FILE>', 'where to; - is stdout (default: -)')
    .option('--format <FORMAT>', `petal (default), ${imageFormats.join(', ')}`, formatArgument)
    .action(async (source: string, _options, command: Command) => {
      const options = command.optsWithGlobals<ExportOptions>();
      const { output = '-', format = 'petal', from } = options;
      const client = Client.find(options.data);
      if (format !== 'petal') {
        if (from !== undefined || output === '-') {
          throw new CliError(
            ExitStatus.usage,
            `${format} is written whole, to a file: give -o FILE`,
          );
        }
        printDone(options, output, await exportImage(client, source, format, output));
        return;
      }
      if (output === '-' && process.stdout.isTTY) {
        throw new CliError(ExitStatus.usage, 'a stream is nothing for a terminal: give -o FILE');
      }
      const query = from === undefined ? '' : `?from=${part(from)}`;
      const { headers, body } = await download(client, `/export/${part(source)}${query}`);
      const snapshot = String(headers['petal-snapshot']);
      const total = from === undefined ? Number(headers['petal-bytes']) : null;
      await save(body, output, new Progress(total));
      if (output === '-') printNote(`exported ${snapshot}`);
      else printDone(options, output, snapshot);
    });
}

function printDone(options: GlobalOptions, file: string, snapshot: string): void {
  if (options.json) printJson({ snapshot, file });
  else printLine(`exported ${snapshot} to ${file}`);
}

/** A file appears under its name when it is whole. */
async function save(
  body: NodeJS.ReadableStream,
  output: string,
  progress: Progress,
): Promise<void> {
  const partial = `${output}.part`;
  try {
    if (output === '-') await pipeline(body, counting(progress), process.stdout, { end: false });
    else {
      await pipeline(body, counting(progress), createWriteStream(partial, { flush: true }));
      await rename(partial, output);
    }
  } catch (error) {
    if (output !== '-') await rm(partial, { force: true });
    const text = `the export to ${output} has failed: ${(error as Error).message}`;
    throw new CliError(ExitStatus.refused, text, { cause: error });
  } finally {
    progress.end();
  }
}

function counting(progress: Progress): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.length;
      progress.at(bytes);
      done(null, chunk);
    },
  });
}

interface ImportOptions extends GlobalOptions {
  readonly format?: ImageFormat | 'petal';
  readonly reserved?: true;
  readonly sanitize?: true;
}

export function importCommand(program: Command): void {
  withGlobals(program.command('import'))
    .description('make a virtual disk of an exported snapshot, or take an increment onto one')
    .argument('<FILE>', '- is stdin')
    .argument('<NAME>', 'of the new virtual disk; of an increment, that of the one with its base')
    .option('--format <FORMAT>', `petal (default), ${imageFormats.join(', ')}`, formatArgument)
    .option('--reserved', 'promise room for all of it (thick)')
    .option('--sanitize', 'seal it under a key of its own; see petal disk create')
    .action(async (file: string, name: string, _options, command: Command) => {
      const options = command.optsWithGlobals<ImportOptions>();
      const { format = 'petal', reserved = false, sanitize = false } = options;
      const client = Client.find(options.data);
      if (format !== 'petal') {
        const disk = await importImage(client, file, format, { name, reserved, sanitize });
        if (options.json) printJson({ disk, snapshot: null });
        else
          printLine(`imported ${disk.name}, ${formatSize(disk.size)}: ${disk.iqn} LUN ${disk.lun}`);
        return;
      }
      const query = new URLSearchParams({
        ...(reserved ? { reserved: 'true' } : {}),
        ...(sanitize ? { sanitize: 'true' } : {}),
      });
      const path = `/import/${part(name)}?${query}`;
      const done = await send(client, path, file);
      if (options.json) printJson(done);
      else {
        const { disk, snapshot } = done;
        printLine(
          `imported ${snapshot.name}, ${formatSize(disk.size)}: ${disk.iqn} LUN ${disk.lun}`,
        );
      }
    });
}

async function send(client: Client, path: string, file: string): Promise<ImportView> {
  const progress = new Progress(file === '-' ? null : await sizeOf(file));
  const source = file === '-' ? process.stdin : createReadStream(file);
  try {
    return await upload<ImportView>(client, path, streamType, source.pipe(counting(progress)));
  } finally {
    progress.end();
    source.destroy();
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (cause) {
    throw new CliError(ExitStatus.refused, `cannot read ${file}: ${(cause as Error).message}`, {
      cause,
    });
  }
}
