/**
 * CHAP secrets into the CLI, never by way of the command line, where other users of the machine and
 * the shell's history see them: typed at a terminal without echo, or a line of stdin each.
 */
import { randomBytes } from 'node:crypto';
import { StringDecoder } from 'node:string_decoder';
import { CliError, ExitStatus } from './client.ts';
import { printPrompt } from './print.ts';

/** Far above any secret: stdin was something else. */
const stdinCharactersMax = 4096;

const Key = { end: '\u0004', interrupt: '\u0003', backspace: '\b', erase: '\u007f' } as const;

/** 16 characters out of 64: the 96 bits that RFC 7143 9.2.1 asks for. */
export function generateSecret(): string {
  return randomBytes(12).toString('base64url');
}

/** One secret for each of `names`, in order. Usage error when one is missing. */
export async function readSecrets(names: readonly string[]): Promise<string[]> {
  if (!process.stdin.isTTY) return await fromStdin(names);
  const secrets: string[] = [];
  for (const name of names) {
    const secret = await prompt(`Secret of ${name}: `);
    if ((await prompt('The same again: ')) !== secret) {
      throw new CliError(ExitStatus.usage, 'the two are not the same; nothing is changed');
    }
    secrets.push(secret);
  }
  return secrets;
}

async function fromStdin(names: readonly string[]): Promise<string[]> {
  let text = '';
  for await (const part of process.stdin.setEncoding('utf8')) {
    text += part;
    if (text.length > stdinCharactersMax) {
      throw new CliError(ExitStatus.usage, 'what comes on stdin is no secret: too long');
    }
  }
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const wanted = `stdin: a line with the secret of ${names.join(', then one with that of ')}`;
  if (lines.length !== names.length || lines.includes('')) {
    throw new CliError(ExitStatus.usage, `wanted on ${wanted}`);
  }
  return lines;
}

/** A line from the terminal that is not shown. */
function prompt(question: string): Promise<string> {
  const { stdin } = process;
  // Before the question: who answers it at once is not shown either.
  stdin.setRawMode(true);
  printPrompt(question);
  const decoder = new StringDecoder('utf8');
  let typed = '';
  return new Promise((resolve, reject) => {
    const end = (error: CliError | null) => {
      stdin.off('data', hear);
      stdin.setRawMode(false);
      stdin.pause();
      printPrompt('\n');
      if (error === null) resolve(typed);
      else reject(error);
    };
    const hear = (bytes: Buffer) => {
      for (const character of decoder.write(bytes)) {
        if (character === '\r' || character === '\n') {
          // What was typed ahead belongs to the next question.
          const rest = bytes.subarray(bytes.indexOf(character) + 1);
          end(null);
          if (rest.length > 0) stdin.unshift(rest);
          return;
        }
        if (character === Key.interrupt || character === Key.end) {
          end(new CliError(ExitStatus.refused, 'given up; nothing is changed'));
          return;
        }
        if (character === Key.backspace || character === Key.erase) typed = typed.slice(0, -1);
        else typed += character;
      }
    };
    stdin.on('data', hear);
    stdin.resume();
  });
}
