/**
 * A network between two programs on loopback that can be cut as networks are: what is under way
 * stays where it is, nobody is told, and it goes on when the network is whole again. Who leaves
 * meanwhile leaves unheard: to the other side the connection still stands.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

interface Link {
  readonly from: string;
  readonly near: Socket;
  readonly far: Socket;
  wasCut: boolean;
  silent: boolean;
}

export class TcpProxy {
  readonly #target: number;
  readonly #whoIs: (port: number) => Promise<string>;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #cut: (from: string) => boolean = () => false;
  #refusing = false;

  /** `whoIs` names who connects from a port, for cuts that are not for all. */
  constructor(target: number, whoIs: (port: number) => Promise<string> = async () => '') {
    this.#target = target;
    this.#whoIs = whoIs;
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (near) =>
      this.#accept(near),
    );
  }

  listen(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', () => {
        const address = this.#server.address();
        if (address === null || typeof address === 'string') reject(new Error('no TCP address'));
        else resolve(address.port);
      });
    });
  }

  /** From now on, in silence, for those whom `cut` names. */
  cut(cut: (from: string) => boolean): void {
    this.#cut = cut;
    for (const link of this.#links) this.#apply(link);
  }

  /** As if nobody listened there: connections end, new ones are closed at once. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
    if (refusing) this.#drop();
  }

  /** The connections there are now say nothing any more, new ones work: half open. */
  silence(): void {
    for (const link of this.#links) {
      link.silent = true;
      this.#apply(link);
    }
  }

  close(): void {
    this.#server.close();
    this.#drop();
  }

  #drop(): void {
    for (const { near, far } of this.#links) {
      near.destroy();
      far.destroy();
    }
    this.#links.clear();
  }

  #accept(near: Socket): void {
    near.on('error', () => {});
    if (this.#refusing) {
      near.destroy();
      return;
    }
    void this.#whoIs(near.remotePort ?? 0).then((from) => {
      const far = connect({ host: '127.0.0.1', port: this.#target, allowHalfOpen: true });
      const link: Link = { from, near, far, wasCut: false, silent: false };
      this.#links.add(link);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        one.on('data', (piece) => other.write(piece));
        one.on('error', () => {});
        one.on('end', () => {
          if (!link.wasCut) other.end();
        });
        one.on('close', () => {
          if (!link.wasCut) other.destroySoon();
          if (other.destroyed) this.#links.delete(link);
        });
      }
      this.#apply(link);
    });
  }

  #apply(link: Link): void {
    const cut = link.silent || this.#cut(link.from);
    if (cut) link.wasCut = true;
    for (const socket of [link.near, link.far]) {
      if (cut) socket.pause();
      else socket.resume();
    }
  }
}
