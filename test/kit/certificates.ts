/** Certificates for tests: an authority, servers of it, and the transports that they make. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#storage/base/clock.ts';
import { realClock } from '#storage/base/clock.ts';
import { StorageError } from '#storage/base/errors.ts';
import { realRandom } from '#storage/base/random.ts';
import {
  type Authority,
  factsOf,
  isRevoked,
  issue,
  makeAuthority,
  makeRequest,
  noRevocations,
  type Revocations,
} from '#storage/cluster/certificates.ts';
import { type Credentials, TlsTransport } from '#storage/rpc/tls.ts';

export class TestCluster {
  readonly authority: Authority;
  readonly members = new Set<string>();
  revocations: Revocations = noRevocations;

  constructor(authority: Authority) {
    this.authority = authority;
  }

  static async make(name = 'test'): Promise<TestCluster> {
    return new TestCluster(await makeAuthority({ clock: realClock, random: realRandom }, name));
  }

  /** Key and certificate of a server; `clock` says when it was issued. */
  async credentials(id: string, clock: Clock = realClock): Promise<Credentials> {
    const { key, request } = await makeRequest(id);
    const about = { authority: this.authority, request, id, addresses: ['127.0.0.1'] };
    const cert = await issue({ clock, random: realRandom }, about);
    return { ca: [this.authority.cert], cert, key };
  }

  /** A transport of a member. */
  async member(id: string): Promise<TlsTransport> {
    this.members.add(id);
    return this.transport(await this.credentials(id));
  }

  transport(credentials: Credentials): TlsTransport {
    return new TlsTransport(realClock, credentials, (peer) => {
      if (!this.members.has(peer.id)) return new StorageError('INVALID', `${peer.id} is no member`);
      if (isRevoked(this.revocations, peer)) return new StorageError('INVALID', 'revoked');
      return null;
    });
  }
}

/** One certificate for both sides, and its files: etcd reads files, and its gateway is a client of itself. */
export interface Certificates {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** In `directory`, of an authority of their own. */
export async function makeCertificates(directory: string, name = 'petal'): Promise<Certificates> {
  const cluster = await TestCluster.make(name);
  const { cert, key } = await cluster.credentials(name);
  const ca = cluster.authority.cert;
  const file = (suffix: string): string => join(directory, `${name}-${suffix}`);
  const [caFile, certFile, keyFile] = [file('ca.pem'), file('cert.pem'), file('key.pem')];
  await writeFile(caFile, ca);
  await writeFile(certFile, cert);
  await writeFile(keyFile, key, { mode: 0o600 });
  return { caFile, certFile, keyFile, ca, cert, key };
}

export const serialOf = ({ cert }: Credentials): string => factsOf(cert).serial;
