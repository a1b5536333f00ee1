/** The cluster's authority: what it signs, what it refuses, and what other tools see in it. */
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { realClock } from '#storage/base/clock.ts';
import { StorageError } from '#storage/base/errors.ts';
import { realRandom } from '#storage/base/random.ts';
import {
  dueForRenewal,
  factsOf,
  fingerprint,
  hasFingerprint,
  isRevoked,
  issue,
  makeAuthority,
  makeRequest,
  noRevocations,
  revokeCertificate,
  revokeServer,
} from '#storage/cluster/certificates.ts';
import { limits } from '#storage/cluster/limits.ts';
import { serverIdOf } from '#storage/rpc/identity.ts';
import { runOk } from '#test/kit/run.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';
import { ManualClock } from '#test/sim/manual-clock.ts';

const made = { clock: realClock, random: realRandom };
const dayMs = 24 * 3600 * 1000;

test('a certificate says which server it is for, and openssl agrees with all of it', async (t) => {
  const authority = await makeAuthority(made, 'lab');
  const { request } = await makeRequest('server-1');
  const addresses = ['192.0.2.1', '2001:db8::1', 'one.example'];
  const cert = await issue(made, { authority, request, id: 'server-1', addresses });
  t.is(serverIdOf(new X509Certificate(cert)), 'server-1');
  t.is(factsOf(cert).id, 'server-1');
  const directory = await temporaryDirectory(t);
  const [ca, own] = [join(directory, 'ca.pem'), join(directory, 'server.pem')];
  await writeFile(ca, authority.cert);
  await writeFile(own, cert);
  for (const purpose of ['sslserver', 'sslclient']) {
    await runOk('openssl', ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, own]);
  }
  const { stdout } = await runOk('openssl', ['x509', '-in', own, '-noout', '-text']);
  for (const said of [
    'CA:FALSE',
    'prime256v1',
    'URI:petal:server:server-1',
    'IP Address:192.0.2.1',
  ]) {
    t.true(stdout.includes(said), said);
  }
});

test('a request is taken only with a P-256 key whose owner signed it', async (t) => {
  const authority = await makeAuthority(made, 'lab');
  const { request } = await makeRequest('a');
  const lines = request.trim().split('\n');
  const der = Buffer.from(lines.slice(1, -1).join(''), 'base64');
  const forged = Buffer.from(der);
  forged[forged.length - 1]! ^= 1;
  const pem = (bytes: Buffer): string =>
    `${lines[0]}\n${bytes.toString('base64')}\n${lines.at(-1)}\n`;
  const directory = await temporaryDirectory(t);
  const key = join(directory, 'key.pem');
  const made384 = ['ecparam', '-name', 'secp384r1', '-genkey', '-noout', '-out', key];
  await runOk('openssl', made384);
  const other = await runOk('openssl', ['req', '-new', '-key', key, '-subj', '/CN=a']);
  const bad = [
    '',
    'nonsense',
    request.slice(0, 200),
    pem(forged),
    other.stdout,
    'x'.repeat(100_000),
  ];
  for (const one of bad) {
    const about = { authority, request: one, id: 'a', addresses: [] };
    const error = await t.throwsAsync(issue(made, about), { instanceOf: StorageError });
    t.is(error.code, 'INVALID');
  }
});

test('ids and addresses that could be taken for something else are refused', async (t) => {
  const authority = await makeAuthority(made, 'lab');
  const { request } = await makeRequest('a');
  for (const id of ['', 'a b', 'a,URI:petal:server:b', '-a', 'x'.repeat(64), 'é']) {
    const about = { authority, request, id, addresses: [] };
    await t.throwsAsync(issue(made, about), { instanceOf: StorageError });
  }
  for (const address of ['a b', '1.2.3.999', ':::', 'a,b']) {
    const about = { authority, request, id: 'a', addresses: [address] };
    await t.throwsAsync(issue(made, about), { instanceOf: StorageError });
  }
});

test('the authority itself is no server', async (t) => {
  const authority = await makeAuthority(made, 'lab');
  t.throws(() => serverIdOf(new X509Certificate(authority.cert)), { instanceOf: StorageError });
});

test('serials differ, and renewal is due when a third of the time is left', async (t) => {
  const clock = new ManualClock();
  const authority = await makeAuthority({ clock, random: realRandom }, 'lab');
  const { request } = await makeRequest('a');
  const about = { authority, request, id: 'a', addresses: [] };
  const one = factsOf(await issue({ clock, random: realRandom }, about));
  const other = factsOf(await issue({ clock, random: realRandom }, about));
  t.not(one.serial, other.serial);
  t.false(dueForRenewal(one, clock));
  clock.setWall(clock.wall() + (limits.certificateDays / 2) * dayMs);
  t.false(dueForRenewal(one, clock));
  clock.setWall(clock.wall() + (limits.certificateDays / 5) * dayMs);
  t.true(dueForRenewal(one, clock));
});

test('revocations: by serial, by id, and gone when the certificate has ended by itself', async (t) => {
  const clock = new ManualClock();
  const authority = await makeAuthority({ clock, random: realRandom }, 'lab');
  const { request } = await makeRequest('a');
  const about = { authority, request, id: 'a', addresses: [] };
  const one = factsOf(await issue({ clock, random: realRandom }, about));
  const other = factsOf(await issue({ clock, random: realRandom }, about));
  let revoked = revokeCertificate(noRevocations, one, clock);
  t.true(isRevoked(revoked, one));
  t.false(isRevoked(revoked, other));
  t.true(isRevoked(revokeServer(revoked, 'a'), other));
  clock.setWall(one.validToMs + 1);
  revoked = revokeCertificate(revoked, { ...other, validToMs: clock.wall() + dayMs }, clock);
  t.deepEqual(Object.keys(revoked.serials), [other.serial]);
});

test('a fingerprint knows its authority and no other', async (t) => {
  const [one, other] = [await makeAuthority(made, 'lab'), await makeAuthority(made, 'lab')];
  t.regex(fingerprint(one.cert), /^[0-9a-f]{64}$/);
  t.true(hasFingerprint(one.cert, fingerprint(one.cert).toUpperCase()));
  t.false(hasFingerprint(other.cert, fingerprint(one.cert)));
  t.false(hasFingerprint(one.cert, 'short'));
});
