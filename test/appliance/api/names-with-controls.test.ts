/**
 * Names that come through the control API - of disks, hosts, CHAP users - cannot carry a character
 * that would start a line, a key or a path of its own in what hosts and logs are told.
 */
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { asOwner, type Call, daemonInfo, storeSize } from '../harness.ts';

const MiB = 1024 ** 2;
const bad = [
  '\0',
  '\n',
  '\r',
  '\r\n',
  '\t',
  '\x1b[2J',
  '\x7f',
  '\u0085',
  '\u2028',
  '\u200b',
  '/',
  '../',
  '\ud800',
];

const post = (path: string, body: object, method = 'POST'): Call => ({
  method,
  path,
  payload: JSON.stringify(body),
});

test('every name with such a character is refused, whatever it is the name of', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const info = await daemonInfo(daemon);
  const before = await daemon.petal('disk', 'ls');
  const disk = '/api/v1/disks/disk0';
  for (const piece of bad) {
    for (const text of [`a${piece}`, `a${piece}TargetAddress=192.0.2.66,1`]) {
      const secret = 'a-good-secret';
      const calls: Call[] = [
        post('/api/v1/disks', { name: text, size: MiB }),
        post(disk, { name: text }, 'PATCH'),
        post(`${disk}/chap`, { user: text, secret }),
        post('/api/v1/discovery/chap', { user: text, secret }),
        post(`${disk}/access`, { host: `iqn.2026-11.test:${text}` }),
      ];
      for (const call of calls) {
        const answer = await asOwner(info, call);
        t.is(answer.status, 400, `${call.method} ${call.path} ${call.payload}: ${answer.text}`);
      }
    }
  }
  t.deepEqual(await daemon.petal('disk', 'ls'), before);
});
