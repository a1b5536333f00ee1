/**
 * The control API's HTTP server: every request passes the guard first, whatever its path; every
 * failure is answered with { error: { code, message } } and never with a stack.
 */
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { fromStorage, PetalError, type PetalErrorCode } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Log } from '../log.ts';
import { Guard } from './guard.ts';
import { type Control, routes } from './routes.ts';

export interface ApiOptions {
  readonly token: string;
  /** What is bound to, as the user named it; a good Host header. */
  readonly host: string;
  readonly control: Control;
  readonly log: Log;
}

/** Not yet listening: the caller calls `listen` and `close`, a test `inject`. */
export function makeApi({ token, host, control, log }: ApiOptions): FastifyInstance {
  const guard = new Guard(token, host);
  const api = Fastify({
    logger: false,
    bodyLimit: limits.apiBodyBytes,
    // Streams may take hours: the bound on others is in `bodyInTime`.
    requestTimeout: 0,
    keepAliveTimeout: limits.apiKeepAliveMs,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: limits.nameParameter * 3 },
    // Fastify would by default drop unknown fields and turn "1" into 1; we say what is wrong.
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: false,
        useDefaults: false,
        allErrors: false,
      },
    },
    frameworkErrors: (error, request, reply) => {
      // These never reach the hooks, so the guard stands here too.
      const refusal = refused(() => guard.check(request.headers)) ?? toPetal(error, log);
      void (reply as FastifyReply).code(refusal.httpStatus).send(body(refusal));
    },
  });
  api.server.maxConnections = limits.apiConnections;
  api.server.headersTimeout = limits.apiRequestTimeoutMs;
  api.addHook('onRequest', async (request) => guard.check(request.headers));
  bodyInTime(api);
  api.setNotFoundHandler((request) => {
    throw new PetalError('NOT_FOUND', `there is no ${request.method} ${pathOf(request.url)}`);
  });
  api.setErrorHandler(async (error: FastifyError, _request, reply) => {
    const refusal = toPetal(error, log);
    if (refusal.code === 'UNAUTHORIZED') void reply.header('www-authenticate', 'Bearer');
    return reply.code(refusal.httpStatus).send(body(refusal));
  });
  void api.register(async (scope) => routes(scope, control), { prefix: '/api/v1' });
  return api;
}

/** A request whose body does not come in time is a slow-sender attack; streams have their own bound. */
function bodyInTime(api: FastifyInstance): void {
  const timers = new WeakMap<FastifyRequest, NodeJS.Timeout>();
  api.addHook('onRequest', async (request) => {
    if (isStream(request)) return;
    const timer = setTimeout(() => request.raw.destroy(), limits.apiRequestTimeoutMs);
    timers.set(request, timer);
    request.raw.once('close', () => clearTimeout(timer));
  });
  api.addHook('preHandler', async (request) => clearTimeout(timers.get(request)));
}

const isStream = ({ routeOptions }: FastifyRequest): boolean =>
  (routeOptions.config as { stream?: boolean }).stream === true;

function pathOf(url: string): string {
  return (url.split('?')[0] ?? '').slice(0, limits.nameParameter);
}

function body(error: PetalError): { error: { code: PetalErrorCode; message: string } } {
  return { error: { code: error.code, message: error.message } };
}

function refused(check: () => void): PetalError | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof PetalError) return error;
    throw error;
  }
}

/** What the caller may know of a failure; the rest goes to the log. */
function toPetal(error: Error, log: Log): PetalError {
  if (error instanceof PetalError) return error;
  const storage = fromStorage(error);
  if (storage !== null) return storage;
  const { validation, statusCode, message } = error as FastifyError;
  if (validation !== undefined) return new PetalError('INVALID', explain(error as FastifyError));
  if (statusCode === 413) {
    return new PetalError('TOO_LARGE', `a request has at most ${limits.apiBodyBytes} bytes`);
  }
  if (statusCode === 415) return new PetalError('UNSUPPORTED', 'send application/json');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new PetalError('INVALID', message);
  }
  log.error({ err: error }, 'a request failed');
  return new PetalError('INTERNAL', 'internal error; the log of petald says more');
}

/** ajv's first complaint in one line, with the field's name. */
function explain(error: FastifyError): string {
  const [first] = error.validation ?? [];
  if (first === undefined) return error.message;
  const where = error.validationContext ?? 'request';
  const field = first.instancePath.slice(1).replaceAll('/', '.');
  const subject = field === '' ? where : `${where}: ${field}`;
  const { additionalProperty, allowedValues } = first.params as {
    additionalProperty?: string;
    allowedValues?: unknown[];
  };
  if (additionalProperty !== undefined) return `${subject}: unknown field '${additionalProperty}'`;
  if (allowedValues !== undefined) return `${subject} must be one of ${allowedValues.join(', ')}`;
  return `${subject} ${first.message ?? 'is not allowed'}`;
}
