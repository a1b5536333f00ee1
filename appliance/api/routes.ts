/**
 * The routes of /api/v1, one line of meaning each; the verbs themselves are in disks.ts.
 */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import type { DiskRecord } from '#storage/volume/volume.ts';
import type { ChapView } from '../chap.ts';
import type { Discovery } from '../discovery.ts';
import type { DiskView } from '../disk-view.ts';
import type { Disks } from '../disks.ts';
import { PetalError } from '../errors.ts';
import type { Power } from '../power.ts';
import type { SnapshotVerbs } from '../snapshots.ts';
import type { SessionView, Status } from '../status.ts';
import type { StoreDisks } from '../store-disks.ts';
import type { Transfers } from '../transfers.ts';
import * as schemas from './schemas.ts';
import { snapshotRoutes } from './snapshot-routes.ts';
import { SpaceQuery } from './snapshot-schemas.ts';
import { transferRoutes } from './transfer-routes.ts';

/** What the API controls. */
export interface Control {
  readonly disks: Disks;
  readonly snapshots: SnapshotVerbs;
  readonly transfers: Transfers;
  readonly discovery: Discovery;
  readonly power: Power;
  readonly storeDisks: StoreDisks;
  status(): Status;
  sessions(): SessionView[];
  /** False: no such session. */
  kick(id: string): boolean;
}

type Name = { Params: Static<typeof schemas.NameParameters> };

export function routes(api: FastifyInstance, control: Control): void {
  api.get('/status', { schema: { querystring: schemas.NoQuery } }, async () => control.status());
  diskRoutes(api, control);
  snapshotRoutes(api, control.snapshots);
  transferRoutes(api, control.transfers);
  accessRoutes(api, control.disks);
  chapRoutes(api, control.disks, control.discovery);
  sessionRoutes(api, control);
  powerRoutes(api, control.power);
  storeRoutes(api, control.storeDisks);
}

function storeRoutes(api: FastifyInstance, disks: StoreDisks): void {
  api.get('/store', { schema: { querystring: schemas.NoQuery } }, async () => disks.view());
  api.get('/store/scrub', { schema: { querystring: schemas.NoQuery } }, async () => disks.scrub());
  api.post('/store/scrub', { schema: { querystring: schemas.NoQuery } }, async () =>
    disks.startScrub(),
  );
  api.post<{ Body: Static<typeof schemas.AddDiskBody> }>(
    '/store/disks',
    { schema: { body: schemas.AddDiskBody } },
    async ({ body }) => await disks.add(body),
  );
  api.post<{ Body: Static<typeof schemas.StoreDiskBody> }>(
    '/store/drain',
    { schema: { body: schemas.StoreDiskBody } },
    async ({ body: { disk } }) => await disks.drain(disk),
  );
  // In the query, because a path holds slashes.
  api.delete<{ Querystring: Static<typeof schemas.StoreDiskQuery> }>(
    '/store/disks',
    { schema: { querystring: schemas.StoreDiskQuery } },
    async ({ query: { disk } }) => await disks.remove(disk),
  );
}

function diskRoutes(api: FastifyInstance, { disks, snapshots }: Control): void {
  const params = schemas.NameParameters;
  const response = { '2xx': schemas.Disk };

  api.get<{ Querystring: Static<typeof schemas.ListQuery> }>(
    '/disks',
    { schema: { querystring: schemas.ListQuery, response: { 200: schemas.DiskList } } },
    async ({ query }) => ({ disks: query.removed === 'true' ? disks.removed() : disks.list() }),
  );

  api.post<{ Body: Static<typeof schemas.CreateBody> }>(
    '/disks',
    { schema: { body: schemas.CreateBody, response } },
    async ({ body }, reply) => {
      const disk = await disks.create(body);
      void reply.code(201).header('location', `/api/v1/disks/${disk.name}`);
      return disk;
    },
  );

  api.get<Name & { Querystring: Static<typeof SpaceQuery> }>(
    '/disks/:name',
    { schema: { params, querystring: SpaceQuery, response } },
    async ({ params: { name }, query }) =>
      query.space === 'true' ? await disks.showSpace(name) : disks.show(name),
  );

  api.patch<Name & { Body: Static<typeof schemas.ChangeBody> }>(
    '/disks/:name',
    { schema: { params, body: schemas.ChangeBody, response } },
    async ({ params: { name }, body }) => {
      const { name: to, size, force, writeProtected, hostProtect, writeBack, redirect } = body;
      const given = [to, size, writeProtected, hostProtect, writeBack, redirect].filter(
        (value) => value !== undefined,
      );
      if (given.length === 1 && (force === undefined || size !== undefined)) {
        if (to !== undefined) return await disks.rename(name, to);
        if (size !== undefined) return await disks.resize(name, size, force ?? false);
        if (writeProtected !== undefined)
          return await disks.setWriteProtected(name, writeProtected);
        if (redirect !== undefined) return await disks.setRedirect(name, redirect);
        if (writeBack !== undefined) return await disks.setWriteBack(name, writeBack);
        if (hostProtect !== undefined) return await disks.setHostProtect(name, hostProtect);
      }
      const text =
        'body: give one of name, writeProtected, hostProtect, writeBack, redirect, or size with perhaps force';
      throw new PetalError('INVALID', text);
    },
  );

  api.delete<Name & { Querystring: Static<typeof schemas.RemoveQuery> }>(
    '/disks/:name',
    { schema: { params, querystring: schemas.RemoveQuery, response } },
    async ({ params: { name }, query }) => {
      const withThem = query.snapshots === 'true';
      const removeThem = withThem ? (disk: DiskRecord) => snapshots.removeAllOf(disk) : null;
      const removed = await disks.remove(name, query.force ?? null, removeThem);
      return query.purge === 'true' ? await disks.purge(removed.id) : removed;
    },
  );

  api.post<Name & { Body: Static<typeof schemas.UndeleteBody> }>(
    '/disks/:name/undelete',
    { schema: { params, body: schemas.UndeleteBody, response } },
    async ({ params: { name }, body }) => disks.undelete(name, body.as ?? null),
  );
}

function accessRoutes(api: FastifyInstance, disks: Disks): void {
  const params = schemas.NameParameters;
  const response = { 200: schemas.Access };
  const view = ({ name, access }: DiskView) => ({ disk: name, hosts: access });

  api.get<Name>(
    '/disks/:name/access',
    { schema: { params, response } },
    async ({ params: { name } }) => view(disks.show(name)),
  );

  api.post<Name & { Body: Static<typeof schemas.RuleBody> }>(
    '/disks/:name/access',
    { schema: { params, body: schemas.RuleBody, response } },
    async ({ params: { name }, body: { host, readOnly = false, user = null } }) =>
      view(await disks.allow(name, { host, readOnly, user })),
  );

  // In the query, because an address range holds a slash.
  api.delete<Name & { Querystring: Static<typeof schemas.RuleQuery> }>(
    '/disks/:name/access',
    { schema: { params, querystring: schemas.RuleQuery, response } },
    async ({ params: { name }, query: { host, user = null } }) =>
      view(await disks.deny(name, host, user)),
  );
}

function chapRoutes(api: FastifyInstance, disks: Disks, discovery: Discovery): void {
  const params = schemas.NameParameters;
  const response = { 200: schemas.Chap };
  const view = ({ name, chap }: DiskView) => ({ disk: name, ...chap });
  const whole = (chap: ChapView) => ({ disk: null, ...chap });
  const removal = ({ user, mutual }: Static<typeof schemas.ChapQuery>) => ({
    ...(user === undefined ? {} : { user }),
    mutual: mutual === 'true',
  });

  api.get<Name>('/disks/:name/chap', { schema: { params, response } }, async ({ params }) =>
    view(disks.show(params.name)),
  );
  api.post<Name & { Body: Static<typeof schemas.ChapBody> }>(
    '/disks/:name/chap',
    { schema: { params, body: schemas.ChapBody, response } },
    async ({ params, body }) => view(await disks.setChap(params.name, body)),
  );
  api.delete<Name & { Querystring: Static<typeof schemas.ChapQuery> }>(
    '/disks/:name/chap',
    { schema: { params, querystring: schemas.ChapQuery, response } },
    async ({ params, query }) => view(await disks.removeChap(params.name, removal(query))),
  );

  api.get('/discovery/chap', { schema: { querystring: schemas.NoQuery, response } }, async () =>
    whole(discovery.chap.view),
  );
  api.post<{ Body: Static<typeof schemas.ChapBody> }>(
    '/discovery/chap',
    { schema: { body: schemas.ChapBody, response } },
    async ({ body }) => whole(await discovery.setChap(body)),
  );
  api.delete<{ Querystring: Static<typeof schemas.ChapQuery> }>(
    '/discovery/chap',
    { schema: { querystring: schemas.ChapQuery, response } },
    async ({ query }) => whole(await discovery.removeChap(removal(query))),
  );
}

function sessionRoutes(api: FastifyInstance, control: Control): void {
  api.get(
    '/sessions',
    { schema: { querystring: schemas.NoQuery, response: { 200: schemas.SessionList } } },
    async () => ({ sessions: control.sessions() }),
  );

  api.delete<{ Params: Static<typeof schemas.SessionParameters> }>(
    '/sessions/:id',
    { schema: { params: schemas.SessionParameters, response: { 200: schemas.Kicked } } },
    async ({ params: { id } }) => {
      if (control.kick(id)) return { id };
      throw new PetalError('NOT_FOUND', `there is no session '${id}'`);
    },
  );
}

/** Both may be said again and again. */
function powerRoutes(api: FastifyInstance, power: Power): void {
  const response = { 200: schemas.Power };
  api.get('/power', { schema: { querystring: schemas.NoQuery, response } }, async () => power.view);
  api.post<{ Body: Static<typeof schemas.PowerBody> }>(
    '/power',
    { schema: { body: schemas.PowerBody, response } },
    async ({ body: { state } }) =>
      state === 'failing' ? await power.failing() : await power.restored(),
  );
}
