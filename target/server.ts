/**
 * The public face: an iSCSI server with portals and targets, its sessions, and the way to end them.
 *
 *   portals ─accept▶ Connection ─login▶ Session ─commands▶ Target.scsi ▶ BlockDevice
 *
 * One thread; nothing here is on the path of a read or write.
 */
import { strict as assert } from 'node:assert';
import { type Clock, realClock } from './clock.ts';
import { checkLimits, defaultLimits, type Limits } from './limits.ts';
import { Portal } from './portal.ts';
import type { Nexus } from './scsi/nexus.ts';
import { ScsiTarget } from './scsi/scsi-target.ts';
import { BufferPool, WriteBudget } from './session/buffers.ts';
import { Connection, type ConnectionHub } from './session/connection.ts';
import { discoveryPairs } from './session/discovery.ts';
import type { LoginDirectory, LoginResult } from './session/login.ts';
import { normalName } from './session/names.ts';
import { ArenaPool } from './session/output.ts';
import { SessionRegistry } from './session/registry.ts';
import { openPolicy, type SecurityPolicy } from './session/security.ts';
import { Session } from './session/session.ts';
import type { ByteStream, StreamHandler } from './session/stream.ts';
import { TaskManagement } from './session/task-management.ts';
import { type Access, Target, type TargetOptions } from './target.ts';
import { LoginStatus } from './wire/login.ts';
import type { Pair } from './wire/text.ts';

export interface Log {
  info(object: object, message: string): void;
  warn(object: object, message: string): void;
  error(object: object, message: string): void;
}

export interface IscsiServerOptions {
  readonly log?: Log;
  readonly clock?: Clock;
  readonly limits?: Partial<Limits>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Target portal group tag, 1 unless said. */
  readonly portalGroup?: number;
}

export interface PortalInfo {
  readonly host: string;
  readonly port: number;
  readonly portalGroup: number;
}

export interface SessionInfo {
  readonly id: number;
  readonly initiator: string;
  /** Twelve hex digits. */
  readonly isid: string;
  /** Null in a discovery session. */
  readonly target: string | null;
  readonly address: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly digests: { readonly header: boolean; readonly data: boolean };
  readonly commands: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly state: 'open' | 'closing';
}

const quiet: Log = { info() {}, warn() {}, error() {} };
/** Logins that are refused are logged one by one up to so many a minute, and then counted. */
const REFUSALS_LOGGED = 30;
const REFUSALS_WINDOW_MS = 60_000;
/** The target portal group of portals that name none. */
const PORTAL_GROUP = 1;

export class IscsiServer implements ConnectionHub {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly pool = new BufferPool();
  readonly budget: WriteBudget;
  readonly arenas: ArenaPool;
  readonly policy: SecurityPolicy = openPolicy;
  readonly log: Log;
  readonly #portals: Portal[] = [];
  readonly #targets = new Map<string, Target>();
  readonly #connections = new Set<Connection>();
  readonly #pendingBySource = new Map<string, number>();
  #pending = 0;
  readonly #registry = new SessionRegistry();
  readonly #connectionOf = new Map<Session, Connection>();
  /** Behind a discovery session: no LUN, and no way to reach it. */
  readonly #nowhere = new ScsiTarget({ name: '', relativePort: 1, portalGroup: 1 });
  readonly #goneWatchers = new Map<Session, (() => void)[]>();
  #relativePort = 0;
  #closing = false;

  constructor(options: IscsiServerOptions = {}) {
    this.limits = { ...defaultLimits, ...options.limits };
    checkLimits(this.limits);
    this.clock = options.clock ?? realClock;
    this.log = limitedLog(options.log ?? quiet, this.clock);
    this.budget = new WriteBudget(this.limits.totalWriteBytes);
    this.arenas = new ArenaPool(this.limits.arenaBytes);
  }

  // Targets

  /** Throws RangeError when the name is no iSCSI name or is taken. */
  addTarget(options: TargetOptions): Target {
    const name = normalName(options.name);
    if (name === null) throw new RangeError(`"${options.name}" is no iSCSI name (RFC 7143 4.2.7)`);
    if (this.#targets.has(name)) throw new RangeError(`target ${name} exists already`);
    this.#relativePort = (this.#relativePort % 0xffff) + 1;
    const target = new Target({ ...options, name }, PORTAL_GROUP, this.#relativePort);
    target.scsi.onAbortTasks = (nexus, lun) => this.#abortTasks(target, nexus, lun);
    this.#targets.set(name, target);
    return target;
  }

  target(name: string): Target | undefined {
    return this.#targets.get(name);
  }

  /**
   * No login finds it any more; its sessions are asked to log out, then dropped. Resolves when
   * nothing of them is inside a device, or after `settleTimeoutMs`.
   */
  async removeTarget(name: string): Promise<void> {
    const target = this.#targets.get(name);
    if (target === undefined) return;
    target.hide();
    this.#targets.delete(name);
    await this.#endSessions([...this.#sessionsOf(target)]);
  }

  hasSession(target: string): number {
    const found = this.#targets.get(target);
    return found === undefined ? 0 : [...this.#sessionsOf(found)].length;
  }

  // Portals

  /** Rejects with the system's error when the address cannot be had. */
  async listen(options: ListenOptions): Promise<{ host: string; port: number }> {
    assert(!this.#closing, 'the server is closed');
    const portalGroup = options.portalGroup ?? PORTAL_GROUP;
    const portal = await Portal.listen(
      { host: options.host, port: options.port, portalGroup },
      (stream) => this.accept(stream, portalGroup),
      (error) => this.log.error({ error: error.message }, 'a portal cannot accept'),
    );
    this.#portals.push(portal);
    return { host: portal.host, port: portal.port };
  }

  portals(): PortalInfo[] {
    return this.#portals.map(({ host, port, portalGroup }) => ({ host, port, portalGroup }));
  }

  /** Serve a stream that something else accepted (a simulation). Null: too many wait for login. */
  accept(stream: ByteStream, portalGroup: number = PORTAL_GROUP): StreamHandler | null {
    const source = stream.remoteAddress;
    const fromSource = this.#pendingBySource.get(source) ?? 0;
    const full =
      fromSource >= this.limits.pendingPerSource || this.#pending >= this.limits.pendingTotal;
    if (full || this.#closing) {
      this.log.info({ address: source, reason: 'too many logins wait' }, 'login refused');
      return null;
    }
    this.#pending++;
    this.#pendingBySource.set(source, fromSource + 1);
    const connection = new Connection(stream, portalGroup, this);
    this.#connections.add(connection);
    return connection;
  }

  // Sessions

  sessions(): SessionInfo[] {
    return [...this.#registry.all()].map(sessionInfo);
  }

  /** Drops a session; false: there is none with this id. */
  kick(id: number): boolean {
    const session = this.#registry.get(id);
    if (session === undefined) return false;
    session.announceDrop();
    session.drop('kicked');
    return true;
  }

  /** Stops accepting, asks every host to log out, drops those that do not, waits for the devices. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const portal of this.#portals.splice(0)) portal.close();
    for (const connection of [...this.#connections]) {
      if (!connection.loggedIn) connection.dropConnection('the server closes');
    }
    await this.#endSessions([...this.#registry.all()]);
    for (const connection of [...this.#connections]) connection.dropConnection('the server closes');
  }

  async #endSessions(sessions: readonly Session[]): Promise<void> {
    const seconds = Math.ceil(this.limits.logoutRequestMs / 1000);
    for (const session of sessions) session.requestLogout(seconds);
    const gone = sessions.map((session) => this.#whenGone(session));
    const late = this.clock.after(this.limits.logoutRequestMs, () => {
      for (const session of sessions) session.drop('no logout in time');
    });
    await Promise.all(gone);
    late();
    await Promise.all(
      sessions.map(
        (session) =>
          new Promise<void>((resolve) => {
            session.whenSettled(this.limits.settleTimeoutMs, resolve);
          }),
      ),
    );
  }

  #whenGone(session: Session): Promise<void> {
    if (!this.#connectionOf.has(session)) return Promise.resolve();
    return new Promise((resolve) => {
      const watchers = this.#goneWatchers.get(session) ?? [];
      watchers.push(resolve);
      this.#goneWatchers.set(session, watchers);
    });
  }

  *#sessionsOf(target: Target): Iterable<Session> {
    for (const session of this.#registry.all()) {
      if (session.facts.scsi === target.scsi) yield session;
    }
  }

  #abortTasks(target: Target, nexus: Nexus, lun: number): void {
    const high = lun <= 0xff ? lun << 16 : (0x4000 | lun) << 16;
    for (const session of this.#sessionsOf(target)) {
      if (session.nexus === nexus) TaskManagement.abortFor(session, high >>> 0, 0, target.scsi);
    }
  }

  // ConnectionHub

  directory(connection: Connection): LoginDirectory {
    return {
      find: (name, initiator) => {
        const target = this.#targets.get(name);
        const peer = { initiator, address: connection.stream.remoteAddress };
        if (target === undefined || target.access(peer) === 'none') {
          return { refused: LoginStatus.notFound };
        }
        return { portalGroup: connection.portalGroup, alias: target.alias };
      },
      sessionExists: (tsih) => this.#registry.hasTsih(tsih),
    };
  }

  openSession(connection: Connection, result: LoginResult): Session | LoginStatus {
    if (this.#closing) return LoginStatus.serviceUnavailable;
    const address = connection.stream.remoteAddress;
    const target = result.target === null ? null : (this.#targets.get(result.target) ?? null);
    let access: Access = 'none';
    if (result.target !== null) {
      if (target !== null) access = target.access({ initiator: result.initiator, address });
      if (target === null || access === 'none') return LoginStatus.notFound;
    }
    const nexus: Nexus = {
      initiator: result.initiator,
      isid: result.isid,
      target: target?.name ?? '',
      portalGroup: connection.portalGroup,
      relativePort: target?.scsi.relativePort ?? 1,
      readOnly: access === 'read-only',
    };
    const replaced = target === null ? undefined : this.#registry.replaced({ ...result, nexus });
    replaced?.drop('session reinstatement');
    if (this.#full(target)) return LoginStatus.outOfResources;
    const scsi = target?.scsi ?? null;
    const { initiator, isid, cid, parameters } = result;
    const since = this.clock.wall();
    const names = this.#registry.names();
    const session = new Session(
      { ...names, initiator, isid, cid, address, since, parameters, scsi, nexus },
      connection,
      scsi ?? this.#nowhere,
    );
    this.#registry.add(session);
    this.#connectionOf.set(session, connection);
    scsi?.attach(nexus);
    this.#notPending(connection);
    if (target !== null) {
      this.log.info({ id: names.id, initiator, address, target: target.name }, 'session open');
    }
    return session;
  }

  #full(target: Target | null): boolean {
    if (this.#registry.size >= this.limits.sessions) return true;
    if (target === null) return false;
    return [...this.#sessionsOf(target)].length >= this.limits.sessionsPerTarget;
  }

  targets(connection: Connection, which: string): readonly Pair[] {
    const { facts } = connection.session!;
    const peer = { initiator: facts.initiator, address: facts.address };
    const inDiscovery = facts.scsi === null;
    // RFC 7143 appendix C: "All" only in a discovery session; an empty value is "this target".
    const name = which === '' ? facts.nexus.target : which.toLowerCase();
    const visible = [...this.#targets.values()].filter(
      (target) =>
        (inDiscovery ? which === 'All' || target.name === name : target.name === name) &&
        (inDiscovery || target.scsi === facts.scsi) &&
        target.access(peer) !== 'none',
    );
    const portals = this.#portals.filter((p) => p.portalGroup === connection.portalGroup);
    return discoveryPairs(visible, portals, connection.stream, connection.portalGroup);
  }

  *siblings(session: Session): Iterable<Session> {
    for (const other of this.#registry.all()) {
      if (other.facts.scsi !== null && other.facts.scsi === session.facts.scsi) yield other;
    }
  }

  connectionClosed(connection: Connection): void {
    this.#connections.delete(connection);
    const { session } = connection;
    if (session === null) {
      this.#notPending(connection);
      return;
    }
    session.facts.scsi?.detach(session.nexus);
    this.#registry.remove(session);
    this.#connectionOf.delete(session);
    const watchers = this.#goneWatchers.get(session) ?? [];
    this.#goneWatchers.delete(session);
    for (const watcher of watchers) watcher();
    const { id, initiator, address } = session.facts;
    if (session.facts.scsi !== null) this.log.info({ id, initiator, address }, 'session closed');
  }

  /** The connection no longer counts among those that wait for login. */
  #notPending(connection: Connection): void {
    this.#pending--;
    const source = connection.stream.remoteAddress;
    const left = (this.#pendingBySource.get(source) ?? 1) - 1;
    if (left === 0) this.#pendingBySource.delete(source);
    else this.#pendingBySource.set(source, left);
  }
}

function sessionInfo(session: Session): SessionInfo {
  const { facts, commands } = session;
  return {
    id: facts.id,
    initiator: facts.initiator,
    isid: facts.isid,
    target: facts.scsi === null ? null : facts.nexus.target,
    address: facts.address,
    since: facts.since,
    digests: { header: facts.parameters.headerDigest, data: facts.parameters.dataDigest },
    commands: commands.count,
    bytesRead: commands.bytesRead,
    bytesWritten: commands.bytesWritten,
    state: session.open ? 'open' : 'closing',
  };
}

/** A flood of refused logins must not become a flood of lines. */
function limitedLog(log: Log, clock: Clock): Log {
  let windowEnds = 0;
  let count = 0;
  return {
    warn: (object, message) => log.warn(object, message),
    error: (object, message) => log.error(object, message),
    info(object, message) {
      if (message !== 'login refused') {
        log.info(object, message);
        return;
      }
      const now = clock.now();
      if (now >= windowEnds) {
        if (count > REFUSALS_LOGGED) log.warn({ refused: count }, 'many logins were refused');
        windowEnds = now + REFUSALS_WINDOW_MS;
        count = 0;
      }
      if (++count <= REFUSALS_LOGGED) log.info(object, message);
    },
  };
}
