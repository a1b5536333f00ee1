/**
 * Who answers in etcd's place gets nowhere: answers without an end take bounded memory, nonsense is no
 * answer, and without the certificates of the cluster's authority there is no talk, in both directions.
 */

import type { ServerResponse } from 'node:http';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { realClock } from '#storage/base/clock.ts';
import { silentLog } from '#storage/base/log.ts';
import { realRandom } from '#storage/base/random.ts';
import { type EtcdOptions, openEtcd } from '#storage/cluster/etcd.ts';
import { limits } from '#storage/cluster/limits.ts';
import { type Certificates, makeCertificates } from '#test/kit/certificates.ts';
import { refused } from '#test/kit/directory-subject.ts';
import { hurried } from '#test/kit/etcd-load.ts';
import { makeDirectory, removeDirectory } from '#test/kit/temp.ts';

type Answer = (response: ServerResponse) => void;

async function serving(
  t: ExecutionContext,
  options: ServerOptions,
  answer: Answer,
): Promise<string> {
  const server: Server = createServer(options, (request, response) => {
    request.resume();
    response.on('error', () => {});
    request.on('end', () => answer(response));
  });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return `https://127.0.0.1:${address.port}`;
}

const asking = (endpoint: string, { ca, cert, key }: Certificates, factor = 20): EtcdOptions => ({
  endpoints: [endpoint],
  tls: { ca, cert, key },
  prefix: '/petal/',
  client: 'one',
  clock: factor === 1 ? realClock : hurried(factor),
  random: realRandom,
  log: silentLog,
  atLeast: null,
  failed: () => {},
});

const mutual = ({ ca, cert, key }: Certificates): ServerOptions => ({
  ...{ ca, cert, key },
  requestCert: true,
  rejectUnauthorized: true,
});

let directory: string;
let certificates: Certificates;
test.before(async () => {
  directory = await makeDirectory();
  certificates = await makeCertificates(directory, 'ours');
});
test.after.always(() => removeDirectory(directory));

test('an answer without an end is cut off', async (t) => {
  let most = 0;
  const endpoint = await serving(t, mutual(certificates), (response) => {
    let sent = 0;
    const piece = Buffer.alloc(64 * 1024, 'x');
    const more = (): void => {
      while (!response.destroyed) {
        sent += piece.length;
        most = Math.max(most, sent);
        if (!response.write(piece)) {
          response.once('drain', more);
          return;
        }
      }
    };
    more();
  });
  await refused(t, openEtcd(asking(endpoint, certificates, 4)), 'BUSY');
  t.true(most < 2 * limits.etcdAnswerBytes, `${most} bytes were taken`);
});

test('nonsense is no answer', async (t) => {
  const range = (kvs: string) => `{"response_range":{"kvs":[${kvs}]}}`;
  const header = '"header":{"revision":"7"}';
  const answers: Answer[] = [
    (response) => response.end('<html>'),
    (response) => response.end('{}'),
    (response) => response.end(`{${header},"succeeded":true,"responses":7}`),
    (response) => response.end(`{${header},"responses":[${range('{"key":"YQ=="}')}]}`),
    (response) => response.writeHead(404).end('Not Found'),
    (response) => response.writeHead(301, { location: 'https://elsewhere/' }).end(),
    (response) => response.writeHead(200, { 'content-length': '100' }).end('{').destroy(),
    (response) => response.socket?.destroy(),
    (response) => response.socket?.end('nonsense'),
    () => {},
  ];
  await Promise.all(
    answers.map(async (answer) => {
      const endpoint = await serving(t, mutual(certificates), answer);
      await refused(t, openEtcd(asking(endpoint, certificates)), 'BUSY');
    }),
  );
});

test('both sides show certificates of one authority', async (t) => {
  const ours = certificates;
  const theirs = await makeCertificates(directory, 'theirs');
  let requests = 0;
  const count: Answer = (response) => {
    requests += 1;
    response.end('{}');
  };
  // A server of another authority, one that would take anybody.
  const { cert, key } = theirs;
  const stranger = await serving(t, { cert, key }, count);
  await refused(t, openEtcd(asking(stranger, ours)), 'BUSY');
  // A client of another authority.
  const server = await serving(t, mutual(ours), count);
  await refused(t, openEtcd(asking(server, { ...theirs, ca: ours.ca })), 'BUSY');
  t.is(requests, 0);
});

test('what cannot be an endpoint, a prefix or a name is INVALID', async (t) => {
  const good = asking('https://127.0.0.1:1', certificates);
  for (const endpoint of ['', 'http://127.0.0.1:1', 'https://a:b@h:1', 'https://h:1/x', 'h:1']) {
    await refused(t, openEtcd({ ...good, endpoints: [endpoint] }), 'INVALID');
  }
  await refused(t, openEtcd({ ...good, endpoints: [] }), 'INVALID');
  await refused(t, openEtcd({ ...good, prefix: '' }), 'INVALID');
  for (const client of ['', 'a/b', 'x'.repeat(65)]) {
    await refused(t, openEtcd({ ...good, client }), 'INVALID');
  }
});
