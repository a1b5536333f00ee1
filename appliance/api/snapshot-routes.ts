/** The routes of /api/v1 for snapshots, clones and flattening; the verbs themselves are in snapshots.ts. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { PetalError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { SnapshotVerbs } from '../snapshots.ts';
import { Disk, NameParameters as params } from './schemas.ts';
import * as schemas from './snapshot-schemas.ts';

type Name = { Params: Static<typeof params> };

export function snapshotRoutes(api: FastifyInstance, snapshots: SnapshotVerbs): void {
  const response = { '2xx': schemas.Snapshot };
  const list = { '2xx': schemas.SnapshotList };

  api.get<{ Querystring: Static<typeof schemas.SnapshotListQuery> }>(
    '/snapshots',
    { schema: { querystring: schemas.SnapshotListQuery, response: list } },
    async ({ query: { disk = null, space } }) => ({
      snapshots: space === 'true' ? await snapshots.listSpace(disk) : snapshots.list(disk),
    }),
  );

  api.post<{ Body: Static<typeof schemas.SnapshotBody> }>(
    '/snapshots',
    { schema: { body: schemas.SnapshotBody, response: list } },
    async ({ body: { disks, name = null } }, reply) => {
      const made = await snapshots.create(disks, name);
      void reply.code(201);
      return { snapshots: made };
    },
  );

  api.get<Name & { Querystring: Static<typeof schemas.SpaceQuery> }>(
    '/snapshots/:name',
    { schema: { params, querystring: schemas.SpaceQuery, response } },
    async ({ params: { name }, query }) =>
      query.space === 'true' ? await snapshots.showSpace(name) : snapshots.show(name),
  );

  api.patch<Name & { Body: Static<typeof schemas.SnapshotChangeBody> }>(
    '/snapshots/:name',
    { schema: { params, body: schemas.SnapshotChangeBody, response } },
    async ({ params: { name }, body: { name: to, template } }) => {
      if ((to === undefined) === (template === undefined)) {
        throw new PetalError('INVALID', 'body: give one of name, template');
      }
      return to === undefined
        ? await snapshots.setTemplate(name, template === true)
        : await snapshots.rename(name, to);
    },
  );

  api.delete<Name>('/snapshots/:name', { schema: { params, response } }, async ({ params }) =>
    snapshots.remove(params.name),
  );

  api.post<Name & { Body: Static<typeof schemas.RollbackBody> }>(
    '/snapshots/:name/rollback',
    { schema: { params, body: schemas.RollbackBody, response: { 200: schemas.Rollback } } },
    async ({ params: { name }, body }) => snapshots.rollback(name, body.force ?? false),
  );

  api.get<Name & { Querystring: Static<typeof schemas.DiffQuery> }>(
    '/snapshots/:name/diff',
    { schema: { params, querystring: schemas.DiffQuery, response: { 200: schemas.Diff } } },
    async ({ params: { name }, query }) => {
      const most = Math.min(Number(query.limit ?? limits.diffRanges), limits.diffRanges);
      return await snapshots.diff(name, query.with, Number(query.from ?? 0), Math.max(1, most));
    },
  );

  exposeRoutes(api, snapshots);
  cloneRoutes(api, snapshots);
}

function exposeRoutes(api: FastifyInstance, snapshots: SnapshotVerbs): void {
  const response = { 200: schemas.Snapshot };

  api.post<Name & { Body: Static<typeof schemas.ExposeBody> }>(
    '/snapshots/:name/expose',
    { schema: { params, body: schemas.ExposeBody, response } },
    async ({ params: { name }, body }) => snapshots.expose(name, body),
  );

  api.delete<Name & { Querystring: Static<typeof schemas.UnexposeQuery> }>(
    '/snapshots/:name/expose',
    { schema: { params, querystring: schemas.UnexposeQuery, response } },
    async ({ params: { name }, query }) => snapshots.unexpose(name, query.force === 'true'),
  );
}

function cloneRoutes(api: FastifyInstance, snapshots: SnapshotVerbs): void {
  const response = { '2xx': Disk };

  api.post<{ Body: Static<typeof schemas.CloneBody> }>(
    '/clones',
    { schema: { body: schemas.CloneBody, response } },
    async ({ body: { from, name, reserved = false } }, reply) => {
      const disk = await snapshots.clone(from, name, reserved);
      void reply.code(201).header('location', `/api/v1/disks/${disk.name}`);
      return disk;
    },
  );

  api.post<Name & { Body: Static<typeof schemas.FlattenBody> }>(
    '/disks/:name/flatten',
    { schema: { params, body: schemas.FlattenBody, response } },
    async ({ params: { name }, body }) => {
      const { bytesPerSecond = limits.flattenBytesPerSecond } = body;
      if (bytesPerSecond >= limits.flattenBytesPerSecondMin) {
        return await snapshots.flatten(name, bytesPerSecond);
      }
      const text = `the slowest pace is ${limits.flattenBytesPerSecondMin} bytes per second`;
      throw new PetalError('INVALID', text);
    },
  );

  api.delete<Name>('/disks/:name/flatten', { schema: { params, response } }, async ({ params }) =>
    snapshots.stopFlatten(params.name),
  );
}
