/** What the tests of the appliance share beside test/kit: the API and the CLI of a running daemon. */
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DaemonInfo } from '#appliance/daemon-file.ts';
import type { Daemon } from '#test/kit/daemon.ts';
import { type RunResult, run } from '#test/kit/run.ts';

/** Small, so that a start takes little time and room. */
export const storeSize = '128MiB';

const launcher = fileURLToPath(new URL('../../appliance/bin/petal', import.meta.url));

/** `petal …` through its launcher, for people: no --json. */
export function petal(daemon: Daemon, ...args: string[]): Promise<RunResult> {
  return run(launcher, ['--data', daemon.directory, ...args], { timeoutMs: 30_000 });
}

export async function daemonInfo(daemon: Daemon): Promise<DaemonInfo> {
  return JSON.parse(await readFile(join(daemon.directory, 'daemon.json'), 'utf8')) as DaemonInfo;
}

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  readonly body: unknown;
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it stands. */
  readonly payload?: string;
}

/** One raw HTTP request; unlike fetch it sends any Host header that it is told. */
export function callApi(info: DaemonInfo, call: Call): Promise<Answer> {
  const { hostname, port } = new URL(info.api);
  const { method = 'GET', path, headers = {}, payload } = call;
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.once('error', reject);
      response.once('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, text, body: parse(text) });
      });
    });
    sent.once('error', reject);
    sent.end(payload);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** `callApi` with the token and, for a body, its type. */
export function asOwner(info: DaemonInfo, call: Call): Promise<Answer> {
  const type = call.payload === undefined ? {} : { 'content-type': 'application/json' };
  const headers = { authorization: `Bearer ${info.token}`, ...type, ...call.headers };
  return callApi(info, { ...call, headers });
}
