/** Only members with a certificate of the cluster's authority reach anything, and certificates change under load. */
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { realClock } from '#storage/base/clock.ts';
import { StorageError } from '#storage/base/errors.ts';
import { factsOf, revokeCertificate, revokeServer } from '#storage/cluster/certificates.ts';
import { parseAddress } from '#storage/rpc/address.ts';
import { limits } from '#storage/rpc/limits.ts';
import { tcpTransport } from '#storage/rpc/tcp.ts';
import type { Credentials, TlsTransport } from '#storage/rpc/tls.ts';
import type { Transport } from '#storage/rpc/transport.ts';
import { TestCluster } from '#test/kit/certificates.ts';
import { echo, type TestLinks, testLinks } from '#test/kit/links.ts';

const options = { deadlineMs: 20_000 };
const short = { deadlineMs: 1500 };

class Served {
  readonly cluster: TestCluster;
  readonly transport: TlsTransport;
  readonly links: TestLinks;
  readonly heard: string[] = [];
  address = '';

  constructor(cluster: TestCluster, transport: TlsTransport) {
    this.cluster = cluster;
    this.transport = transport;
    this.links = testLinks({ self: 'b', transport, addressOf: () => 'none:1' });
    this.links.serve('echo', ({ peer, body }) => {
      this.heard.push(peer);
      return { body: { number: body.number, by: peer } };
    });
  }

  /** A server that calls this one. */
  caller(t: ExecutionContext, transport: Transport): TestLinks {
    const links = testLinks({ self: 'a', transport, addressOf: () => this.address });
    t.teardown(() => links.close());
    return links;
  }
}

async function serving(t: ExecutionContext): Promise<Served> {
  const cluster = await TestCluster.make();
  const served = new Served(cluster, await cluster.member('b'));
  served.address = await served.links.listen('127.0.0.1:0');
  t.teardown(() => served.links.close());
  return served;
}

test('a member is answered, under the id of its certificate', async (t) => {
  const served = await serving(t);
  const links = served.caller(t, await served.cluster.member('server-1.x'));
  const reply = await links.call('b', 'echo', echo(5), options);
  t.deepEqual(reply.body, { number: 5, by: 'server-1.x' });
});

async function refused(t: ExecutionContext, served: Served, transport: Transport): Promise<void> {
  const links = served.caller(t, transport);
  await t.throwsAsync(links.call('b', 'echo', echo(1), short), { instanceOf: StorageError });
  t.deepEqual(served.heard, []);
  // And the members are still served.
  const member = served.caller(t, await served.cluster.member('a'));
  await member.call('b', 'echo', echo(1), options);
}

test('without TLS nothing is reached', async (t) => {
  const served = await serving(t);
  await refused(t, served, tcpTransport(realClock));
});

test('without a certificate nothing is reached', async (t) => {
  const served = await serving(t);
  const { host, port } = parseAddress(served.address);
  const socket = connectTls({ host, port, rejectUnauthorized: false });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  t.deepEqual(served.heard, []);
});

test('with a certificate of another authority nothing is reached', async (t) => {
  const served = await serving(t);
  const other = await TestCluster.make('other');
  other.members.add('b');
  const theirs = await other.credentials('a');
  const trusting: Credentials = { ...theirs, ca: [served.cluster.authority.cert] };
  served.cluster.members.add('a');
  await refused(t, served, other.transport(trusting));
});

test('a server of another authority is not talked to', async (t) => {
  const served = await serving(t);
  const other = await TestCluster.make('other');
  other.members.add('b');
  const links = served.caller(t, other.transport(await other.credentials('a')));
  await t.throwsAsync(links.call('b', 'echo', echo(1), short), { instanceOf: StorageError });
  t.deepEqual(served.heard, []);
});

test('with a certificate that has expired nothing is reached', async (t) => {
  const served = await serving(t);
  const longAgo = { ...realClock, wall: () => Date.now() - 200 * 24 * 3600 * 1000 };
  served.cluster.members.add('a');
  await refused(
    t,
    served,
    served.cluster.transport(await served.cluster.credentials('a', longAgo)),
  );
});

test('who has the right certificate and is no member reaches nothing', async (t) => {
  const served = await serving(t);
  await refused(t, served, served.cluster.transport(await served.cluster.credentials('x')));
});

test('with a certificate that is revoked, or an id that is burnt, nothing is reached', async (t) => {
  const served = await serving(t);
  const { cluster } = served;
  cluster.members.add('x').add('y');
  const [x, y] = [await cluster.credentials('x'), await cluster.credentials('y')];
  cluster.revocations = revokeCertificate(cluster.revocations, factsOf(x.cert), realClock);
  cluster.revocations = revokeServer(cluster.revocations, 'y');
  const free = await TestCluster.make();
  free.members.add('b');
  await refused(t, served, free.transport(x));
  const links = served.caller(t, free.transport(y));
  await t.throwsAsync(links.call('b', 'echo', echo(1), short), { instanceOf: StorageError });
  t.deepEqual(served.heard, ['a']);
});

test('what is revoked while it is connected is cut off by a recheck', async (t) => {
  const served = await serving(t);
  const { cluster } = served;
  const links = served.caller(t, await cluster.member('a'));
  await links.call('b', 'echo', echo(1), options);
  cluster.revocations = revokeServer(cluster.revocations, 'a');
  served.transport.recheck();
  await t.throwsAsync(links.call('b', 'echo', echo(2), short), { instanceOf: StorageError });
  t.deepEqual(served.heard, ['a']);
});

test('another server than the one that was asked for is not talked to', async (t) => {
  const served = await serving(t);
  const links = served.caller(t, await served.cluster.member('a'));
  const error = await t.throwsAsync(links.call('c', 'echo', echo(1), short));
  t.regex(error.message, /is b, not c/);
  t.deepEqual(served.heard, []);
});

test('certificates and authority change under load, and no call fails', async (t) => {
  const served = await serving(t);
  const { cluster } = served;
  const transport = await cluster.member('a');
  const links = served.caller(t, transport);
  let over = false;
  let count = 0;
  const load = Array.from({ length: 8 }, async () => {
    while (!over) {
      await links.call('b', 'echo', echo(1), options);
      count += 1;
    }
  });
  const next = await TestCluster.make('next');
  const both = [cluster.authority.cert, next.authority.cert];
  const [a1, b1] = [await cluster.credentials('a'), await cluster.credentials('b')];
  transport.renew({ ...a1, ca: both });
  served.transport.renew({ ...b1, ca: both });
  const [a2, b2] = [await next.credentials('a'), await next.credentials('b')];
  transport.renew({ ...a2, ca: both });
  served.transport.renew({ ...b2, ca: both });
  // One that knows the new authority only is let in, and lets the server in.
  cluster.members.add('c');
  next.members.add('b');
  const fresh = served.caller(t, next.transport(await next.credentials('c')));
  t.is((await fresh.call('b', 'echo', echo(2), options)).body.number, 2);
  over = true;
  await Promise.all(load);
  t.true(count > 0);
});

test('a key that is not that of the certificate is refused when it is given', async (t) => {
  const cluster = await TestCluster.make();
  const [a, b] = [await cluster.credentials('a'), await cluster.credentials('b')];
  t.throws(() => cluster.transport({ ...a, key: b.key }), { instanceOf: StorageError });
});

test('strangers who hold connections open leave room, and the members are served', async (t) => {
  const served = await serving(t);
  const { host, port } = parseAddress(served.address);
  const sockets = Array.from({ length: limits.rpcStrangersOfOneAddress * 4 }, () => {
    const socket = connectTcp({ host, port });
    socket.on('error', () => {});
    return socket;
  });
  const refusedOnes = sockets.map(
    (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
  );
  await Promise.all(refusedOnes.slice(limits.rpcStrangersOfOneAddress));
  for (const socket of sockets) socket.destroy();
  await Promise.all(refusedOnes);
  const links = served.caller(t, await served.cluster.member('a'));
  t.is((await links.call('b', 'echo', echo(1), options)).body.number, 1);
});
