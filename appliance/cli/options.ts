/**
 * What every subcommand has in common: the global options wherever they stand, and how texts on the
 * command line become values.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { defaultDataText } from '../paths.ts';
import { parseSize, SizeError } from '../sizes.ts';

export interface GlobalOptions {
  readonly data?: string;
  readonly json?: true;
}

/** `--data` and `--json` may stand before or after the subcommand. */
export function withGlobals(command: Command): Command {
  return command
    .option('--data <DIR>', `petald's data directory (default: ${defaultDataText})`)
    .option('--json', 'print the answer as JSON');
}

/** Bytes; a usage error otherwise. */
export function sizeArgument(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    if (error instanceof SizeError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

export function sectorArgument(text: string): 512 | 4096 {
  if (text === '512') return 512;
  if (text === '4096') return 4096;
  throw new InvalidArgumentError('512 or 4096');
}

/** A part of an API path. */
export const part = encodeURIComponent;
