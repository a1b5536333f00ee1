/**
 * Puts the daemon together: store, targets, iSCSI server, API, in this order, and takes it apart in
 * the reverse order. The only place where the halves of the product meet.
 *
 * - Nothing listens before every disk is offered, and daemon.json says where only what really listens.
 * - A start that fails half-way closes what it has opened.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { IscsiServer } from 'node-iscsi-target';
import { realClock } from '#storage/base/clock.ts';
import { realRandom } from '#storage/base/random.ts';
import { Serial } from '#storage/base/serial.ts';
import { lockStore } from '#storage/disk/lock.ts';
import { StorageServer } from '#storage/server.ts';
import { type Address, bindsLoopback, formatAddress, isWildcard } from './addresses.ts';
import { type Alarm, AlarmLog, alarmsOf } from './alarms.ts';
import type { Control } from './api/routes.ts';
import { makeApi } from './api/server.ts';
import { ensureToken, removeDaemonFile, writeDaemonFile } from './daemon-file.ts';
import { Discovery } from './discovery.ts';
import { Disks } from './disks.ts';
import { Exposure } from './exposure.ts';
import { Host } from './host.ts';
import { hasServed, installationOf, setServed } from './installation.ts';
import { limits } from './limits.ts';
import { listenError } from './listen-error.ts';
import type { Log } from './log.ts';
import { dataPaths } from './paths.ts';
import { Power } from './power.ts';
import { ReservationShelf } from './reservations.ts';
import type { Config } from './settings.ts';
import { SnapshotVerbs } from './snapshots.ts';
import type { SessionView, Status } from './status.ts';
import { StoreDisks } from './store-disks.ts';
import { readStorePaths, writeStorePaths } from './store-paths.ts';
import { Transfers } from './transfers.ts';
import { version } from './version.ts';

/** What a new store begins with, so that the first login finds a LUN. */
const firstDisk = { name: 'disk0', size: 10 * 1024 ** 3 } as const;

export class Daemon implements Control {
  readonly config: Config;
  readonly disks: Disks;
  readonly snapshots: SnapshotVerbs;
  readonly transfers: Transfers;
  readonly discovery: Discovery;
  readonly power: Power;
  readonly storeDisks: StoreDisks;
  /** Whether this store is served for the first time. */
  readonly first: boolean;
  readonly #log: Log;
  readonly #store: StorageServer;
  readonly #exposure: Exposure;
  readonly #installation: string;
  readonly #host: Host;
  readonly #started = Date.now();
  #iscsi: readonly Address[] = [];
  #api: Address;
  #open: AsyncDisposableStack | null = null;

  private constructor(parts: Parts) {
    this.config = parts.config;
    this.disks = parts.disks;
    this.snapshots = parts.snapshots;
    this.transfers = parts.transfers;
    this.discovery = parts.discovery;
    this.power = parts.power;
    this.first = parts.first;
    this.storeDisks = new StoreDisks(parts.store);
    this.#log = parts.log;
    this.#store = parts.store;
    this.#exposure = parts.exposure;
    this.#installation = parts.installation;
    this.#host = parts.host;
    this.#api = parts.config.api;
  }

  /** Serving when it resolves. Rejects with an error whose message is for people. */
  static async start(config: Config, log: Log, storeOf = openStore): Promise<Daemon> {
    await using open = new AsyncDisposableStack();
    const paths = dataPaths(config.dataDirectory);
    await lockDirectory(paths, log, open);
    const store = await storeOf(config, log);
    open.defer(() => store.close());
    const token = ensureToken(paths.token);
    const installation = await installationOf(store.directory, realRandom);

    const discovery = await Discovery.open(store.directory, log);
    const server = new IscsiServer({ log, discoveryChap: () => discovery.chap.policy() });
    open.defer(() => server.close());
    const reservations = await openReservations(store, log);
    const warnBelowBytes = warnBelow(store, config);
    const exposure = new Exposure({
      server,
      reservations: (id) => reservations.of(id),
      pool: (record) => ({
        free: () => store.space.free,
        used: () => store.used(record),
        warnBelowBytes,
      }),
      erase: (id) => store.catalog.erase(id),
      writeBack: (id, on) => store.setWriteBack(id, on),
    });
    const power = new Power({ store, exposure, log });
    const alarmLog = new AlarmLog(log);
    const looking = setInterval(() => {
      exposure.lookAtPool();
      alarmLog.look(storeAlarms(store, config));
    }, limits.poolLookMs);
    open.defer(() => clearInterval(looking));
    const { iqnBase } = config;
    const facts = { store, exposure, log, iqnBase, installation, verbs: new Serial() };
    const disks = new Disks(facts);
    disks.exposeAll();
    const snapshots = new SnapshotVerbs({ ...facts, disks, now: Date.now });
    snapshots.exposeAll();
    const transfers = new Transfers({ ...facts, disks, snapshots });
    const first = !(await hasServed(store.directory));
    if (first) await ensureFirstDisk(store, disks);

    const host = new Host(log);
    open.defer(() => host.close());
    const verbs = { disks, snapshots, transfers, discovery, power };
    const parts = { config, log, store, exposure, installation, host, ...verbs, first };
    const daemon = new Daemon(parts);
    await daemon.#listen(server, token, open);
    if (first) await setServed(store.directory);
    const { iscsi, api } = daemon.addresses;
    // A wildcard is no address to connect to.
    const reachable = isWildcard(api.host) ? { ...api, host: loopbackOf(api.host) } : api;
    writeDaemonFile(paths.daemon, {
      pid: process.pid,
      version,
      iscsi: iscsi.map(formatAddress),
      api: `http://${formatAddress(reachable)}`,
      token,
    });
    open.defer(() => removeDaemonFile(paths.daemon));
    host.start();
    daemon.#open = open.move();
    return daemon;
  }

  async #listen(server: IscsiServer, token: string, open: AsyncDisposableStack): Promise<void> {
    const { iscsi, api } = this.config;
    this.#iscsi = await Promise.all(
      iscsi.map(async (address) => {
        return await server.listen(address).catch((error: unknown) => {
          throw listenError(error, address, '--iscsi');
        });
      }),
    );
    const http = makeApi({ token, host: api.host, control: this, log: this.#log });
    open.defer(() => http.close());
    await http.listen({ host: api.host, port: api.port }).catch((error: unknown) => {
      throw listenError(error, api, '--api');
    });
    const bound = http.server.address();
    assert(bound !== null && typeof bound === 'object', 'a listening TCP server has a port');
    this.#api = { host: api.host, port: bound.port };
    if (!bindsLoopback(api.host)) {
      const text = 'the API is plain HTTP: its token can be read on the network by others';
      this.#log.warn({ api: formatAddress(this.#api) }, text);
    }
  }

  /** Stop accepting, end sessions, let calls in flight end, close the store. */
  async close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    await open?.disposeAsync();
  }

  /** As really bound. */
  get addresses(): { readonly iscsi: readonly Address[]; readonly api: Address } {
    return { iscsi: this.#iscsi, api: this.#api };
  }

  get storePath(): string {
    return this.#store.status().path;
  }

  get storeSize(): number {
    return this.#store.status().size;
  }

  /** Hear, once, that the store writes no more. */
  onFailed(heard: (error: Error) => void): void {
    this.#store.onFailed(heard);
  }

  status(): Status {
    const { path, size, capacity, used, reserved, free, removed } = this.#store.status();
    const failed = this.#store.failed?.message ?? null;
    const { catalog } = this.#store;
    const provisioned = catalog.list().reduce((sum, disk) => sum + disk.size, 0);
    const overcommit = Number((provisioned / capacity).toFixed(3));
    const space = { capacity, used, reserved, free, removed, provisioned, overcommit };
    return {
      version,
      pid: process.pid,
      state: failed !== null ? 'failed' : this.storeDisks.isDegraded ? 'degraded' : 'ok',
      started: new Date(this.#started).toISOString(),
      uptimeSeconds: Math.floor(process.uptime()),
      installation: this.#installation,
      dataDirectory: this.config.dataDirectory,
      iscsi: this.#iscsi.map(formatAddress),
      api: `http://${formatAddress(this.#api)}`,
      store: { path, size, ...space, failed },
      power: this.power.view,
      disks: catalog.list().length,
      snapshots: catalog.snapshots.list().length,
      alarms: storeAlarms(this.#store, this.config),
      sessions: this.#exposure.sessions().length,
      host: this.#host.facts,
    };
  }

  sessions(): SessionView[] {
    const names = this.disks.namesByTarget();
    return this.#exposure.sessions().map((session) => ({
      id: String(session.id),
      initiator: session.initiator,
      address: session.address,
      user: session.user ?? null,
      disk: names.get(session.target ?? '') ?? null,
      target: session.target,
      since: new Date(session.since).toISOString(),
      commands: session.commands,
      bytesRead: session.bytesRead,
      bytesWritten: session.bytesWritten,
    }));
  }

  kick(id: string): boolean {
    const session = this.#exposure.sessions().find((one) => String(one.id) === id);
    if (session === undefined || !this.#exposure.kick(session.id)) return false;
    this.#log.info({ initiator: session.initiator, target: session.target }, 'session ended');
    return true;
  }
}

interface Parts {
  readonly config: Config;
  readonly log: Log;
  readonly store: StorageServer;
  readonly exposure: Exposure;
  readonly installation: string;
  readonly host: Host;
  readonly disks: Disks;
  readonly snapshots: SnapshotVerbs;
  readonly transfers: Transfers;
  readonly discovery: Discovery;
  readonly power: Power;
  readonly first: boolean;
}

/** Two daemons on one data directory would overwrite each other's daemon.json. */
async function lockDirectory(
  paths: ReturnType<typeof dataPaths>,
  log: Log,
  open: AsyncDisposableStack,
): Promise<void> {
  const file = openSync(paths.lock, 'a', 0o600);
  open.defer(() => closeSync(file));
  const name = `the data directory ${paths.directory}`;
  const release = await lockStore(file, { name, note: paths.holder, clock: realClock, log });
  open.defer(release);
}

async function openStore(config: Config, log: Log): Promise<StorageServer> {
  const { stores, layout, storeSizeBytes, cacheBytes, writeBackBytes, wipe, dataDirectory } =
    config;
  const { disks } = dataPaths(dataDirectory);
  const store = await StorageServer.open({
    paths: stores,
    remembered: readStorePaths(disks),
    layout,
    ...(storeSizeBytes === null ? {} : { size: storeSizeBytes }),
    cacheBytes,
    writeBackBytes,
    scrubPeriodMs: config.scrubDays * 24 * 60 * 60 * 1000,
    wipe,
    log,
    stateDirectory: dataDirectory,
  });
  store.setMoveShare(config.rebuildShare);
  store.onPaths((paths) => {
    try {
      if (paths.length > 1 || layout !== null) writeStorePaths(disks, paths);
    } catch (err) {
      log.error({ err, disks }, 'where the disks are cannot be noted: name them with --store');
    }
  });
  return store;
}

const warnBelow = (store: StorageServer, { warnFreeShare }: Config): number =>
  Math.floor(store.space.capacity * warnFreeShare);

function storeAlarms(store: StorageServer, config: Config): readonly Alarm[] {
  const failed = store.failed?.message ?? null;
  const stopped = store.catalog.list().flatMap((disk): Alarm[] => {
    const why = store.flattener.progress(disk)?.stopped ?? null;
    if (why === null) return [];
    const message = `flattening '${disk.name}' stands still: ${why}`;
    return [{ code: 'FLATTEN_STOPPED', message }];
  });
  return [...alarmsOf({ ...store.space, failed }, warnBelow(store, config)), ...stopped];
}

/** Those of a removed disk are kept as long as it can be restored. */
async function openReservations(store: StorageServer, log: Log): Promise<ReservationShelf> {
  const { catalog, directory } = store;
  const isUnit = (id: string) => catalog.get(id) !== null || catalog.snapshots.get(id) !== null;
  const shelf = await ReservationShelf.open(directory, log, isUnit);
  catalog.listen((change, { id }) => {
    if (change === 'purged') void shelf.forget(id);
  });
  catalog.snapshots.listen((change, { id }) => {
    if (change === 'deleted') void shelf.forget(id);
  });
  return shelf;
}

/** A start that failed may have made it before. */
async function ensureFirstDisk(store: StorageServer, disks: Disks): Promise<void> {
  const { catalog } = store;
  if (catalog.list().length + catalog.removed().length === 0) await disks.create(firstDisk);
}

function loopbackOf(host: string): string {
  return host === '::' ? '::1' : '127.0.0.1';
}
