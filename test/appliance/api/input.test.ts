/** Bad input is answered with 4xx and a message that says what is wrong; never with a stack. */
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { asOwner, type Call, daemonInfo, storeSize } from '../harness.ts';

const post = (path: string, payload: string): Call => ({ method: 'POST', path, payload });
const create = (body: object): Call => post('/api/v1/disks', JSON.stringify(body));
const patch = (body: object): Call => ({
  method: 'PATCH',
  path: '/api/v1/disks/disk0',
  payload: JSON.stringify(body),
});
const MiB = 1024 ** 2;

const chap = (body: object) => post('/api/v1/disks/disk0/chap', JSON.stringify(body));

const cases: readonly (readonly [Call, number, string, RegExp])[] = [
  [create({}), 400, 'INVALID', /body must have required properties name, size|required/],
  [create({ name: 'a' }), 400, 'INVALID', /required/],
  [create({ name: 'a', size: '1G' }), 400, 'INVALID', /body: size must be integer/],
  [create({ name: 'a', size: 1.5 }), 400, 'INVALID', /body: size must be integer/],
  [create({ name: 'a', size: -4096 }), 400, 'INVALID', /body: size must be >= 0/],
  [create({ name: 'a', size: 0 }), 400, 'INVALID', /at least/],
  [create({ name: 'a', size: MiB + 1 }), 400, 'INVALID', /multiple of 4096/],
  [create({ name: 'a', size: 2 ** 53 - 4096 }), 400, 'INVALID', /at most/],
  [create({ name: 'a', size: 2 ** 60 }), 400, 'INVALID', /size must be <=/],
  [create({ name: '', size: MiB }), 400, 'INVALID', /name must NOT have fewer than 1/],
  [create({ name: 'A', size: MiB }), 400, 'INVALID', /a-z, 0-9/],
  [create({ name: '../etc', size: MiB }), 400, 'INVALID', /a-z, 0-9/],
  [create({ name: 'a'.repeat(64), size: MiB }), 400, 'INVALID', /at most 63/],
  [create({ name: 'a'.repeat(200), size: MiB }), 400, 'INVALID', /NOT have more than 128/],
  [create({ name: 'a', size: MiB, sectorBytes: 520 }), 400, 'INVALID', /one of 512, 4096/],
  [create({ name: 'a', size: MiB, reserved: 'yes' }), 400, 'INVALID', /reserved must be boolean/],
  [create({ name: 'a', size: MiB, thin: true }), 400, 'INVALID', /unknown field 'thin'/],
  [create({ name: 'disk0', size: MiB }), 409, 'EXISTS', /already a disk named "disk0"/],
  [create({ name: 'a', size: 1024 * MiB, reserved: true }), 507, 'NO_SPACE', /./],
  [post('/api/v1/disks', '{'), 400, 'INVALID', /JSON/],
  [post('/api/v1/disks', ''), 400, 'INVALID', /./],
  [post('/api/v1/disks', '[]'), 400, 'INVALID', /body must be object/],
  [post('/api/v1/disks', '{"__proto__":{"a":1}}'), 400, 'INVALID', /./],
  [post('/api/v1/disks', `"${'x'.repeat(20_000)}"`), 413, 'TOO_LARGE', /at most 16384 bytes/],
  [
    { ...create({}), headers: { 'content-type': 'text/xml' } },
    415,
    'UNSUPPORTED',
    /application\/json/,
  ],
  [
    patch({}),
    400,
    'INVALID',
    /one of name, writeProtected, hostProtect, writeBack, redirect, or size/,
  ],
  [
    patch({ name: 'b', size: MiB }),
    400,
    'INVALID',
    /one of name, writeProtected, hostProtect, writeBack, redirect, or size/,
  ],
  [
    patch({ name: 'b', force: true }),
    400,
    'INVALID',
    /one of name, writeProtected, hostProtect, writeBack, redirect, or size/,
  ],
  [patch({ size: MiB }), 400, 'INVALID', /lost for good; force it/],
  [patch({ iqn: 'iqn.2026-11.a' }), 400, 'INVALID', /unknown field 'iqn'/],
  [{ path: '/api/v1/disks/dsk0' }, 404, 'NOT_FOUND', /no disk 'dsk0'; did you mean 'disk0'\?/],
  [{ path: '/api/v1/disks/%2e%2e%2fstatus' }, 404, 'NOT_FOUND', /no disk '\.\.\/status'/],
  [{ path: `/api/v1/disks/${'a'.repeat(500)}` }, 400, 'INVALID', /max param length/],
  [{ path: '/api/v1/disks?removed=1' }, 400, 'INVALID', /removed must be one of true, false/],
  [{ path: '/api/v1/disks?all=true' }, 400, 'INVALID', /unknown field 'all'/],
  [{ path: '/api/v1/status?x=1' }, 400, 'INVALID', /unknown field 'x'/],
  [{ method: 'DELETE', path: '/api/v1/disks/disk0?force=disk1' }, 400, 'INVALID', /repeat/],
  [{ method: 'DELETE', path: '/api/v1/disks/none' }, 404, 'NOT_FOUND', /no disk 'none'/],
  [post('/api/v1/disks/disk0/undelete', '{}'), 404, 'NOT_FOUND', /no removed disk 'disk0'/],
  [post('/api/v1/disks/disk0/access', '{"host":"all"}'), 400, 'INVALID', /'all' is not an init/],
  [post('/api/v1/disks/disk0/access', '{"host":"10.0.0.0/33"}'), 400, 'INVALID', /is not an/],
  [
    { method: 'DELETE', path: '/api/v1/disks/disk0/access?host=10.0.0.0%2F8' },
    404,
    'NOT_FOUND',
    /has no access/,
  ],
  [{ method: 'DELETE', path: '/api/v1/disks/disk0/access' }, 400, 'INVALID', /required/],
  [chap({ user: 'anna' }), 400, 'INVALID', /required/],
  [chap({ user: 'anna', secret: 'short' }), 400, 'INVALID', /12 to 16/],
  [chap({ user: 'anna', secret: 12 }), 400, 'INVALID', /secret must be string/],
  [
    chap({ user: 'anna', secret: 'a-good-secret', readOnly: true }),
    400,
    'INVALID',
    /unknown field/,
  ],
  [chap({ user: 'a;b', secret: 'a-good-secret' }), 400, 'INVALID', /user name has/],
  [post('/api/v1/discovery/chap', '{"user":"anna","secret":"short"}'), 400, 'INVALID', /12 to 16/],
  [
    { method: 'DELETE', path: '/api/v1/disks/disk0/chap?user=anna' },
    404,
    'NOT_FOUND',
    /no CHAP user/,
  ],
  [
    { method: 'DELETE', path: '/api/v1/discovery/chap?mutual=true' },
    404,
    'NOT_FOUND',
    /of its own/,
  ],
  [{ method: 'DELETE', path: '/api/v1/discovery/chap?all=1' }, 400, 'INVALID', /unknown field/],
  [
    post('/api/v1/disks/disk0/access', '{"host":"10.0.0.0/8","user":"anna"}'),
    400,
    'INVALID',
    /no CHAP user 'anna'/,
  ],
  [{ method: 'DELETE', path: '/api/v1/sessions/77' }, 404, 'NOT_FOUND', /no session '77'/],
  [{ path: '/api/v1/nothing' }, 404, 'NOT_FOUND', /no GET \/api\/v1\/nothing/],
  [{ path: '/api/v1/disks/%ff' }, 400, 'INVALID', /./],
  [{ method: 'PUT', path: '/api/v1/disks' }, 404, 'NOT_FOUND', /no PUT/],
];

test('every bad request is explained, and changes nothing', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const info = await daemonInfo(daemon);
  const before = await daemon.petal('disk', 'ls');
  for (const [call, status, code, message] of cases) {
    const answer = await asOwner(info, call);
    const what = `${call.method ?? 'GET'} ${call.path} ${call.payload?.slice(0, 80)}: ${answer.text}`;
    t.is(answer.status, status, what);
    const { error } = answer.body as { error: { code: string; message: string } };
    t.is(error.code, code, what);
    t.regex(error.message, message);
    t.notRegex(answer.text, /\n\s+at |node_modules|\.ts:/, 'no stack');
    t.deepEqual(Object.keys(answer.body as object), ['error']);
  }
  t.deepEqual(await daemon.petal('disk', 'ls'), before);
});
