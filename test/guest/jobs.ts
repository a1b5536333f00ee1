/** The jobs: what each promises to a user of a Linux host, and what it needs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoggedOptions } from './log-writes/job.ts';
import { ServerKind } from './server.ts';

export interface Job {
  readonly name: string;
  readonly promise: string;
  /** Null: the job has no target and no network. */
  readonly sizeMiB: number | null;
  /** The job fills its pool, so it has a server of its own, with a store of this size. */
  readonly storeSize?: string;
  /** The store itself lies in the guest, on dm-log-writes, and `log-writes.job.sh` is run. */
  readonly logged?: Omit<LoggedOptions, 'seed'>;
  readonly timeoutS: number;
  readonly servers: readonly ServerKind[];
}

const { petal, tgt } = ServerKind;

export const jobs: readonly Job[] = [
  {
    name: 'bed',
    promise: 'the guest has its tools and no way out',
    sizeMiB: null,
    timeoutS: 60,
    servers: [petal, tgt],
  },
  {
    name: 'ext4',
    promise: 'discovery, identity, ext4 with verified data over logout and login',
    sizeMiB: 1024,
    timeoutS: 480,
    servers: [petal, tgt],
  },
  {
    name: 'xfs',
    promise: 'xfs with verified data over logout and login; fstrim gives space back',
    sizeMiB: 1024,
    timeoutS: 480,
    servers: [petal, tgt],
  },
  {
    name: 'killed',
    promise: 'daemon killed in mid-write: the initiator comes back, nothing is lost',
    sizeMiB: 512,
    timeoutS: 600,
    servers: [petal, tgt],
  },
  {
    name: 'resize',
    promise: 'a mounted disk grows',
    sizeMiB: 256,
    timeoutS: 600,
    servers: [petal],
  },
  {
    name: 'two-paths',
    promise: 'two portals, one multipath disk; I/O goes on when a path drops',
    sizeMiB: 512,
    timeoutS: 600,
    servers: [petal, tgt],
  },
  {
    name: 'removed',
    promise: 'a removed disk refuses login clearly and leaves no session',
    sizeMiB: 256,
    timeoutS: 600,
    servers: [petal],
  },
  {
    name: 'cluster-validation',
    promise: 'what a Windows failover cluster and fence_scsi send, over two portals and restarts',
    sizeMiB: 256,
    timeoutS: 900,
    servers: [petal],
  },
  {
    name: 'vaai',
    promise: 'what ESXi sends for hardware acceleration, until the pool is full',
    sizeMiB: 1024,
    storeSize: '512MiB',
    timeoutS: 1200,
    servers: [petal],
  },
  {
    name: 'vaai-clone',
    promise: 'EXTENDED COPY from one disk to another',
    sizeMiB: 256,
    timeoutS: 600,
    servers: [petal],
  },
  {
    name: 'odx',
    promise: 'offloaded data transfer by tokens, within a disk and between two',
    sizeMiB: 256,
    timeoutS: 600,
    servers: [petal],
  },
  {
    name: 'log-writes',
    promise: 'a store on dm-log-writes: at each flush mark every acknowledged write is there',
    sizeMiB: null,
    logged: { layout: 'single', operations: 3000 },
    timeoutS: 900,
    servers: [petal],
  },
  {
    name: 'log-writes-mirrored',
    promise: 'the same of a mirrored pair: each of the two disks alone has it',
    sizeMiB: null,
    logged: { layout: 'mirrored', operations: 1500 },
    timeoutS: 900,
    servers: [petal],
  },
];

const directory = join(import.meta.dirname, 'jobs');
const text = (name: string): string => readFileSync(join(directory, name), 'utf8');

export const script = (job: Job): string =>
  text(job.logged === undefined ? `${job.name}.job.sh` : 'log-writes.job.sh');

/** What jobs share, by the name under which they source it. */
export const library = (): Readonly<Record<string, string>> => ({
  'lib.sh': text('lib.sh'),
  'identity.sh': text('identity.sh'),
  'nodes.sh': text('nodes.sh'),
});
