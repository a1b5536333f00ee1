/**
 * A target under public tools: this daemon or tgt, one LUN each, behind one face, so that the
 * conformance run and the bench treat both alike.
 */
import { Daemon } from './daemon.ts';
import { Tgt } from './tgt.ts';

export const PeerName = { petal: 'petal', tgt: 'tgt' } as const;
export type PeerName = (typeof PeerName)[keyof typeof PeerName];

export interface PeerOptions {
  /** Of the LUN. */
  readonly sizeBytes: number;
  /** tgt only: open the backing file with O_SYNC, so that both are durable on acknowledgement. */
  readonly sync?: boolean;
}

export interface Peer {
  readonly name: string;
  /** `iscsi://…`; it changes with `restart`. */
  readonly url: string;
  /** One more LUN of the same kind; its URL. Gone after `restart` in the case of tgt. */
  addLun(sizeBytes: number): Promise<string>;
  /** Of the server process. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** After a crash or a hang: a new process with the same LUN. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export function startPeer(name: PeerName, options: PeerOptions): Promise<Peer> {
  return name === PeerName.tgt ? startTgt(options) : startPetal(options);
}

async function startPetal(options: PeerOptions): Promise<Peer> {
  // Twice the LUN: a log-structured store keeps segments back for the cleaner.
  const storeBytes = 2 * options.sizeBytes + 2 ** 30;
  const daemon = await Daemon.start({ storeSize: `${storeBytes / 2 ** 20}MiB` });
  try {
    const disk = await daemon.createDisk('peer', `${options.sizeBytes / 2 ** 20}MiB`);
    return {
      name: 'petal',
      get url() {
        return daemon.url(disk);
      },
      async addLun(sizeBytes) {
        return daemon.url(
          await daemon.createDisk(`peer-${sizeBytes}`, `${sizeBytes / 2 ** 20}MiB`),
        );
      },
      get pid() {
        return daemon.pid;
      },
      get isRunning() {
        return daemon.isRunning;
      },
      async restart() {
        if (daemon.isRunning) await daemon.kill();
        await daemon.launch();
      },
      async stop() {
        try {
          daemon.assertAlive();
          await daemon.stop();
        } finally {
          await daemon.dispose();
        }
      },
    };
  } catch (error) {
    await daemon.dispose();
    throw error;
  }
}

async function startTgt(options: PeerOptions): Promise<Peer> {
  let tgt = await Tgt.start(options);
  return {
    name: options.sync === true ? 'tgt O_SYNC' : 'tgt',
    get url() {
      return tgt.url;
    },
    addLun: (sizeBytes) => tgt.addLun(sizeBytes, options.sync === true),
    get pid() {
      return tgt.pid;
    },
    get isRunning() {
      return tgt.isRunning;
    },
    async restart() {
      await tgt.stop();
      tgt = await Tgt.start(options);
    },
    stop: () => tgt.stop(),
  };
}
