/**
 * The configurations in which iscsi-test-cu is run. `thin` runs everything; the others run the suites
 * that could come out differently, or that skip themselves elsewhere. All but `package` are the
 * real daemon, configured by `petal` as its users would.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BlockDevice,
  defaultLimits,
  IscsiServer,
  RamDevice,
  realClock,
} from 'node-iscsi-target';
import { DelayFilter, type DelayOptions } from 'node-iscsi-target/filters';
import { Daemon, type DiskInfo } from '../kit/daemon.ts';
import type { Peer } from '../kit/peer.ts';
import { runOk } from '../kit/run.ts';
import { LUN_BYTES } from './floor.ts';

/** Only what the run asks of a peer. */
export interface ConformancePeer
  extends Pick<Peer, 'name' | 'url' | 'isRunning' | 'restart' | 'stop'> {
  /** The other path to the same LUN; a second session through the first portal unless given. */
  readonly secondUrl?: string;
}

export interface Configuration {
  readonly name: string;
  /** For the docs. */
  readonly about: string;
  /** Null: all. `Suite.Test` runs one test alone. */
  readonly suites: readonly string[] | null;
  /** It mostly sleeps: run while the others are. */
  readonly beside?: true;
  start(): Promise<ConformancePeer>;
}

/** Against what iscsi-test-cu asserts, for the reason in the standard. `reason`: what the tool says. */
export interface Deviation {
  readonly test: string;
  readonly configuration: string;
  readonly reason: RegExp;
  readonly source: string;
}

export const deviations: Deviation[] = [
  {
    test: 'WriteSame10.UnmapUntilEnd',
    configuration: 'to-the-end',
    reason: /Blocks did not read back as zero/,
    source:
      'SBC-3 5.43, UNMAP bit: where LBPRZ=1 an unmap operation may take the place of the write only when the Data-Out ' +
      'block is what unmapped blocks read as. The tool sends a block of FFh and demands zeros',
  },
  {
    test: 'GetLBAStatus.UnmapSingle',
    configuration: 'thin',
    reason: /lba offset in first descriptor does not/,
    source:
      'SBC-3 5.4.2: the first descriptor starts at the STARTING LOGICAL BLOCK ADDRESS of the CDB. With 512-byte ' +
      'sectors in physical blocks of 4096 the tool asks for LBA i + 1 and demands a descriptor at i + 8',
  },
  {
    test: 'ExtendedCopy.Simple',
    configuration: 'native-4096',
    reason: /WRITE16 command failed .*INVALID_FIELD_IN_CDB/,
    source:
      'SBC-3 6.6.3, MAXIMUM TRANSFER LENGTH: more than it says is refused with INVALID FIELD IN CDB. The tool ' +
      'prepares its copy by one WRITE(16) of 2048 sectors, which are 8 MiB here, where VPD page B0h says 4 MiB',
  },
];

for (const configuration of ['thin', 'sanitize']) {
  deviations.push({
    test: 'WriteAtomic16.Simple',
    configuration,
    reason: /WRITEATOMIC16 command failed .*INVALID_FIELD_IN_CDB/,
    source:
      'SBC-4 4.29, 5.48: more than MAXIMUM ATOMIC TRANSFER LENGTH is refused with INVALID FIELD IN CDB. The tool writes ' +
      'up to 256 blocks, which are 128 KiB here, where VPD page B0h says 64 KiB',
  });
}

const MiB = 2 ** 20;
const read = ['Read6', 'Read10', 'Read12', 'Read16'];
const write = ['Write10', 'Write12', 'Write16', 'WriteSame10', 'WriteSame16', 'Unmap'];
const identity = ['Inquiry', 'Mandatory', 'ModeSense6', 'ReadCapacity10', 'ReadCapacity16'];
const reservations = [
  'PrinReadKeys',
  'ProutRegister',
  'ProutReserve',
  'ProutClear',
  'ProutPreempt',
];
const iscsi = ['iSCSIcmdsn', 'iSCSIdatasn', 'iSCSIResiduals', 'iSCSITMF'];
/** Without Reset, which wants to see an operation last 5 s: see the configuration `slow`. */
const sanitize = [
  'BlockErase',
  'BlockEraseReserved',
  'CryptoErase',
  'CryptoEraseReserved',
  'ExitFailureMode',
  'InvalidServiceAction',
  'Overwrite',
  'OverwriteReserved',
  'Readonly',
  'Reservations',
].map((test) => `Sanitize.${test}`);

const chap = { user: 'anna', secret: 'secret-of-anna', own: 'petal', ownSecret: 'secret-of-disk' };

export const configurations: readonly Configuration[] = [
  {
    name: 'thin',
    about:
      'a thin disk, 512-byte sectors in physical blocks of 4096, that hosts may protect (`--host-protect`)',
    suites: null,
    start: () => startDaemon('thin', ['--host-protect']),
  },
  {
    name: 'native-4096',
    about: '`--sector 4096`',
    suites: [
      ...identity,
      ...read,
      ...write,
      'GetLBAStatus',
      'CompareAndWrite',
      'OrWrite',
      'Verify16',
      'WriteVerify16',
      'ExtendedCopy',
    ],
    start: () => startDaemon('native-4096', ['--sector', '4096']),
  },
  {
    name: 'reserved',
    about: '`--reserved`',
    suites: [...identity, ...write, 'GetLBAStatus'],
    start: () => startDaemon('reserved', ['--reserved']),
  },
  {
    name: 'write-protected',
    about: '`--write-protected`',
    suites: [
      'ReadOnly',
      'Inquiry',
      'ModeSense6',
      'ReadCapacity16',
      'TestUnitReady',
      'PrinReadKeys',
    ],
    start: () => startDaemon('write-protected', ['--write-protected']),
  },
  {
    name: 'removable',
    about: '`--removable`',
    suites: ['PreventAllow', 'StartStopUnit', 'NoMedia', 'TestUnitReady', ...identity],
    start: () => startDaemon('removable', ['--removable']),
  },
  {
    name: 'sanitize',
    about: '`--sanitize --host-protect`',
    suites: [...sanitize, ...identity, ...read, ...write, 'WriteAtomic16', 'CompareAndWrite'],
    start: () => startDaemon('sanitize', ['--sanitize', '--host-protect']),
  },
  {
    name: 'chap',
    about: 'CHAP in both directions',
    suites: [
      ...identity,
      ...iscsi,
      ...reservations,
      'Reserve6',
      'Read16',
      'Write16',
      'MultipathIO',
    ],
    start: () => startDaemon('chap', [], { withChap: true }),
  },
  {
    name: 'two-portals',
    about: 'two portals, the second path through the second',
    suites: ['MultipathIO', ...reservations, ...iscsi],
    start: () => startDaemon('two-portals', [], { portals: 2 }),
  },
  {
    name: 'package',
    about:
      'node-iscsi-target alone with its RAM device, which can sanitize and write atomically up to 1 MiB',
    suites: [...sanitize, 'WriteAtomic16', ...identity, ...read, ...write],
    start: () => startPackage((device) => device),
  },
  {
    name: 'to-the-end',
    about:
      'node-iscsi-target alone with a RAM device of 16 MiB that takes WRITE SAME of zero blocks as "to the end"',
    suites: ['WriteSame10', 'WriteSame16', 'Unmap'],
    start: () => startPackage((device) => device, { bytes: 16 * MiB, toEnd: true }),
  },
  {
    name: 'slow',
    about:
      'as `package`, behind the filter that delays, so that an overwrite lasts about 12 s, and without pings, which the ' +
      'tool leaves unanswered while it sleeps for a minute',
    suites: ['Sanitize.Reset'],
    beside: true,
    start: () => startPackage((device) => new DelayFilter(device, slowly), { pingIdleMs: 300_000 }),
  },
];

/** 256 MiB are overwritten in 1024 pieces. */
const slowly: DelayOptions = {
  clock: realClock,
  delayMs: ({ kind }) => (kind === 'write' ? 12 : 0),
};

interface DaemonVariant {
  readonly withChap?: boolean;
  readonly portals?: 1 | 2;
}

async function startDaemon(
  name: string,
  flags: readonly string[],
  { withChap = false, portals = 1 }: DaemonVariant = {},
): Promise<ConformancePeer> {
  // Twice the LUN: a log-structured store keeps segments back for the cleaner.
  const storeSize = `${(2 * LUN_BYTES) / MiB + 1024}MiB`;
  const args = portals === 2 ? ['--iscsi', '127.0.0.1:0'] : [];
  const daemon = await Daemon.start({ storeSize, args });
  try {
    const disk = await daemon.createDisk('peer', `${LUN_BYTES / MiB}MiB`, ...flags);
    if (withChap) await setChap(daemon, disk);
    let urls = await urlsOf(daemon, disk, withChap);
    return {
      name: `petal, ${name}`,
      get url() {
        return urls[0] ?? '';
      },
      get secondUrl() {
        return urls.at(-1) ?? '';
      },
      get isRunning() {
        return daemon.isRunning;
      },
      async restart() {
        if (daemon.isRunning) await daemon.kill();
        await daemon.launch();
        urls = await urlsOf(daemon, disk, withChap);
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

async function setChap(daemon: Daemon, disk: DiskInfo): Promise<void> {
  const cli = new URL('../../appliance/cli/main.ts', import.meta.url).pathname;
  const set = ['chap', 'set', disk.name, chap.user, '--mutual', chap.own];
  const input = `${chap.secret}\n${chap.ownSecret}\n`;
  await runOk(process.execPath, [cli, '--data', daemon.directory, ...set], { input });
}

/** One for each portal, as libiscsi takes it. */
async function urlsOf(daemon: Daemon, disk: DiskInfo, withChap: boolean): Promise<string[]> {
  const text = await readFile(join(daemon.directory, 'daemon.json'), 'utf8');
  const { iscsi: addresses } = JSON.parse(text) as { iscsi: readonly string[] };
  const login = withChap ? `${chap.user}%${chap.secret}@` : '';
  const query = withChap ? `?target_user=${chap.own}&target_password=${chap.ownSecret}` : '';
  return addresses.map((address) => `iscsi://${login}${address}/${disk.iqn}/${disk.lun}${query}`);
}

interface PackageVariant {
  readonly bytes?: number;
  readonly toEnd?: boolean;
  readonly pingIdleMs?: number;
}

/** In this process: the tool is another one. */
async function startPackage(
  wrap: (device: BlockDevice) => BlockDevice,
  { bytes = 256 * MiB, toEnd = false, pingIdleMs = defaultLimits.pingIdleMs }: PackageVariant = {},
): Promise<ConformancePeer> {
  const name = 'iqn.2026-11.internal.petal:ram';
  const open = async () => {
    const server = new IscsiServer({ limits: { pingIdleMs } });
    const capabilities = {
      sanitize: true,
      atomicBytes: MiB,
      writeSameToEnd: toEnd,
      hostMayChange: { writeProtect: true },
    };
    const device = wrap(new RamDevice({ bytes, capabilities }));
    server.addTarget({ name, access: () => 'read-write' }).scsi.add(0, device);
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    return { server, url: `iscsi://127.0.0.1:${port}/${name}/0` };
  };
  let { server, url } = await open();
  return {
    name: 'node-iscsi-target, RAM device',
    get url() {
      return url;
    },
    isRunning: true,
    async restart() {
      await server.close();
      ({ server, url } = await open());
    },
    stop: () => server.close(),
  };
}
