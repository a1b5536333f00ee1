/** The API answers nobody without the token, and no page that reaches it by a foreign name. */
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { asOwner, type Call, callApi, daemonInfo, storeSize } from '../harness.ts';

const routes: readonly Call[] = [
  { path: '/api/v1/status' },
  { path: '/api/v1/disks' },
  { path: '/api/v1/disks?removed=true' },
  { method: 'POST', path: '/api/v1/disks', payload: '{"name":"a","size":1048576}' },
  { path: '/api/v1/disks/disk0' },
  { method: 'PATCH', path: '/api/v1/disks/disk0', payload: '{"name":"b"}' },
  { method: 'DELETE', path: '/api/v1/disks/disk0' },
  { method: 'POST', path: '/api/v1/disks/disk0/undelete', payload: '{}' },
  { path: '/api/v1/disks/disk0/access' },
  { method: 'POST', path: '/api/v1/disks/disk0/access', payload: '{"host":"192.0.2.1"}' },
  { method: 'DELETE', path: '/api/v1/disks/disk0/access?host=192.0.2.1' },
  { path: '/api/v1/sessions' },
  { method: 'DELETE', path: '/api/v1/sessions/1' },
  // Not even what does not exist is told, nor anything about a body that is not looked at.
  { path: '/' },
  { path: '/api/v1/nothing' },
  { path: '/api/v1/disks/%ff' },
  { method: 'OPTIONS', path: '/api/v1/disks' },
  { method: 'POST', path: '/api/v1/disks', payload: '{' },
];

test('every route wants the token', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const info = await daemonInfo(daemon);
  const wrong = [
    undefined,
    'Bearer ',
    `Bearer ${'0'.repeat(64)}`,
    `Bearer ${info.token}0`,
    `Bearer ${info.token.slice(0, -1)}`,
    `Basic ${info.token}`,
    info.token,
  ];
  for (const route of routes) {
    for (const authorization of wrong) {
      const type = route.payload === undefined ? {} : { 'content-type': 'application/json' };
      const headers = authorization === undefined ? type : { ...type, authorization };
      const { status, body, text } = await callApi(info, { ...route, headers });
      t.is(status, 401, `${route.method ?? 'GET'} ${route.path} with ${authorization}: ${text}`);
      t.is((body as { error: { code: string } }).error.code, 'UNAUTHORIZED');
    }
  }
  t.like(await daemon.disk(), { name: 'disk0' }, 'nothing was changed');
  t.is((await asOwner(info, { path: '/api/v1/disks' })).status, 200);
});

test('a Host header that names somebody else is refused even with the token', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const info = await daemonInfo(daemon);
  const { port } = new URL(info.api);
  const call = (host: string) => asOwner(info, { path: '/api/v1/status', headers: { host } });
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    `127.0.0.1.evil.example:${port}`,
    'localhost.evil.example',
    '[::1',
  ]) {
    const { status, text } = await call(host);
    t.true(status === 403 || status === 400, `${host}: ${status} ${text}`);
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, '127.0.0.1']) {
    t.is((await call(host)).status, 200, host);
  }
});
