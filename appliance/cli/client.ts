/**
 * The CLI's way to the daemon: finds it through daemon.json in the data directory, shows the token
 * there, and turns what goes wrong into an exit status with advice.
 */
import { type DaemonInfo, readDaemonFile } from '../daemon-file.ts';
import { limits } from '../limits.ts';
import { dataPaths, defaultDataDirectory } from '../paths.ts';

/** Documented in `petal --help`. */
export const ExitStatus = { ok: 0, refused: 1, usage: 2, noDaemon: 3, alarm: 4 } as const;
export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];

/** Ends the CLI with a message and a status. */
export class CliError extends Error {
  readonly status: ExitStatus;

  constructor(status: ExitStatus, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CliError';
    this.status = status;
  }
}

export class Client {
  readonly #info: DaemonInfo;

  private constructor(info: DaemonInfo) {
    this.#info = info;
  }

  /** Throws CliError noDaemon. */
  static find(data: string | undefined): Client {
    const { directory, daemon } = dataPaths(data ?? defaultDataDirectory());
    const start = data === undefined ? 'petald' : `petald --data ${directory}`;
    let info: DaemonInfo | null;
    try {
      info = readDaemonFile(daemon);
    } catch (error) {
      throw new CliError(ExitStatus.noDaemon, `cannot find petald: ${(error as Error).message}`);
    }
    if (info === null) {
      const text = `no petald runs with the data directory ${directory}; start it with: ${start}`;
      throw new CliError(ExitStatus.noDaemon, text);
    }
    // A dead daemon's port may be somebody else's by now, who must not be shown the token.
    if (!isAlive(info.pid)) {
      const text = `petald (process ${info.pid}) of ${directory} has died; start it with: ${start}`;
      throw new CliError(ExitStatus.noDaemon, text);
    }
    return new Client(info);
  }

  get api(): string {
    return this.#info.api;
  }

  get token(): string {
    return this.#info.token;
  }

  /** JSON, or an error of its own. */
  parse(text: string): unknown {
    return parse(text);
  }

  /** What the daemon says in its answer of this status. */
  refusal(text: string, status: number): CliError {
    return new CliError(ExitStatus.refused, refusal(parse(text)) ?? `petald answered ${status}`);
  }

  /** The answer's body. `path` is below /api/v1, its parts already encoded. */
  async call<T>(method: string, path: string, body?: object): Promise<T> {
    const { api, token, pid } = this.#info;
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${api}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(limits.cliTimeoutMs),
      });
      text = await response.text();
    } catch (error) {
      const message = `petald (process ${pid}) does not answer at ${api}: ${reason(error as Error)}`;
      throw new CliError(ExitStatus.noDaemon, message, { cause: error });
    }
    if (response.ok) return parse(text) as T;
    throw this.refusal(text, response.status);
  }
}

/** fetch says only "fetch failed"; the cause says why. */
function reason(error: Error): string {
  if (error.name === 'TimeoutError') return `no answer in ${limits.cliTimeoutMs / 1000} s`;
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CliError(ExitStatus.refused, 'petald answered with something that is not JSON', {
      cause,
    });
  }
}

function refusal(answer: unknown): string | null {
  const message = (answer as { error?: { message?: unknown } } | null)?.error?.message;
  return typeof message === 'string' ? message : null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and is another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
