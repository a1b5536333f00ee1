/**
 * The routes of /api/v1 through which streams go out and in: no JSON, no bound on their length, and no faster than
 * the slower side. A connection on which nothing moves for long is dropped.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { limits } from '../limits.ts';
import type { Transfers } from '../transfers.ts';
import { NameParameters as params } from './schemas.ts';
import * as schemas from './snapshot-schemas.ts';

export const streamType = 'application/vnd.petal.stream';

type Name = { Params: Static<typeof params> };

export function transferRoutes(api: FastifyInstance, transfers: Transfers): void {
  api.addContentTypeParser(streamType, (_request, payload, done) => done(null, payload));

  api.get<Name & { Querystring: Static<typeof schemas.ExportQuery> }>(
    '/export/:name',
    { schema: { params, querystring: schemas.ExportQuery }, config: { stream: true } },
    async (request, reply) => {
      const { name } = request.params;
      const { snapshot, bytes, stream } = await transfers.export(name, request.query.from ?? null);
      dropIdle(request);
      return reply
        .header('content-type', streamType)
        .header('connection', 'close')
        .header('petal-snapshot', snapshot)
        .header('petal-bytes', String(bytes))
        .send(Readable.from(stream, { objectMode: false, highWaterMark: limits.streamAheadBytes }));
    },
  );

  api.post<Name & { Querystring: Static<typeof schemas.ImportQuery> }>(
    '/import/:name',
    {
      schema: { params, querystring: schemas.ImportQuery, response: { 201: schemas.Imported } },
      config: { stream: true },
    },
    async (request, reply) => {
      dropIdle(request);
      void reply.header('connection', 'close').code(201);
      const { reserved, sanitize } = request.query;
      const options = { reserved: reserved === 'true', sanitize: sanitize === 'true' };
      const { name } = request.params;
      return await transfers.import(name, bodyOf(request.body), options);
    },
  );
}

/** Whoever refuses a stream answers before its end, so the connection must outlive the reading. */
function bodyOf(body: unknown): AsyncIterable<Uint8Array> {
  return body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : Readable.from([]);
}

function dropIdle({ raw }: FastifyRequest): void {
  raw.socket.setTimeout(limits.streamIdleMs, () => raw.socket.destroy());
}
