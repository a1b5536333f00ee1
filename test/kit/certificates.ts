/** Certificates for tests: an authority, servers of it, and the transports that they make. */

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

export const serialOf = ({ cert }: Credentials): string => factsOf(cert).serial;
