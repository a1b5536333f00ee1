/** Streams between the CLI and the daemon: of any length, no faster than the slower side, and whole or failed. */
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Client } from './client.ts';
import { CliError, ExitStatus } from './client.ts';

export interface Download {
  readonly headers: IncomingMessage['headers'];
  readonly body: IncomingMessage;
}

/** The daemon's refusal as an error; its answer else. */
export async function download(client: Client, path: string): Promise<Download> {
  const sent = open(client, 'GET', path, {});
  sent.end();
  const answer = await response(client, sent);
  if (answer.statusCode === 200) return { headers: answer.headers, body: answer };
  throw client.refusal(await textOf(answer), answer.statusCode ?? 0);
}

/** Sends `source` until its end, or until the daemon has refused it. */
export async function upload<T>(
  client: Client,
  path: string,
  type: string,
  source: AsyncIterable<Uint8Array>,
): Promise<T> {
  const sent = open(client, 'POST', path, { 'content-type': type });
  const answered = response(client, sent);
  const stop = new AbortController();
  const feeding = pipeline(source, sent, { signal: stop.signal }).then(
    () => null,
    (error: Error) => error,
  );
  // The source may fail first, or the daemon may have answered before its end.
  const first = await Promise.race([answered.catch((error: Error) => error), feeding]);
  if (first instanceof Error && !stop.signal.aborted) {
    const late = await Promise.race([
      answered.catch(() => null),
      new Promise<null>((resolve) => setTimeout(() => resolve(null), 1000)),
    ]);
    if (late === null) {
      sent.destroy();
      throw first instanceof CliError ? first : new CliError(ExitStatus.refused, first.message);
    }
  }
  const answer = await answered;
  stop.abort();
  const text = await textOf(answer);
  if (answer.statusCode === 201) return client.parse(text) as T;
  sent.destroy();
  throw client.refusal(text, answer.statusCode ?? 0);
}

function open(
  client: Client,
  method: string,
  path: string,
  headers: Record<string, string>,
): ClientRequest {
  const authorization = `Bearer ${client.token}`;
  const url = `${client.api}/api/v1${path}`;
  return request(url, { method, headers: { authorization, ...headers }, agent: false });
}

async function response(client: Client, sent: ClientRequest): Promise<IncomingMessage> {
  try {
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    return answer;
  } catch (cause) {
    const text = `petald does not answer at ${client.api}: ${(cause as Error).message}`;
    throw new CliError(ExitStatus.noDaemon, text, { cause });
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  answer.setEncoding('utf8');
  for await (const part of answer) text += part;
  return text;
}
