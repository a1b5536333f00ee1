/**
 * The public face: an iSCSI server with portals and targets, its sessions, and the way to end them.
 *
 *   portals ─accept▶ Connection ─login▶ Session ─commands▶ Target.scsi ▶ BlockDevice
 *
 * One thread; nothing here is on the path of a read or write.
 */
import { strict as assert } from 'node:assert';
import { Admission } from './admission.ts';
import { type Clock, realClock } from './clock.ts';
import { reach } from './copy-reach.ts';
import { checkLimits, defaultLimits, type Limits } from './limits.ts';
import { PendingLogins } from './pending-logins.ts';
import { Portal } from './portal.ts';
import type { Nexus } from './scsi/nexus.ts';
import { RodTokens } from './scsi/rod-tokens.ts';
import { ScsiTarget, type ScsiTargetOptions } from './scsi/scsi-target.ts';
import { Sense } from './scsi/sense.ts';
import type { CopyTarget } from './scsi/target-view.ts';
import { BufferPool, WriteBudget } from './session/buffers.ts';
import type { ChapPolicy } from './session/chap-exchange.ts';
import { Connection, type ConnectionHub } from './session/connection.ts';
import { discoveryPairs } from './session/discovery.ts';
import { LOGIN_REFUSED, type Log, limitedLog, quietLog } from './session/log.ts';
import type { LoginDirectory, LoginResult } from './session/login.ts';
import { normalName } from './session/names.ts';
import { ArenaPool } from './session/output.ts';
import { SessionRegistry } from './session/registry.ts';
import { Session } from './session/session.ts';
import { type SessionInfo, sessionInfo } from './session/session-info.ts';
import type { ByteStream, StreamHandler } from './session/stream.ts';
import { TaskManagement } from './session/task-management.ts';
import { Target, type TargetOptions, type TargetPort } from './target.ts';
import { LoginStatus } from './wire/login.ts';
import type { Pair } from './wire/text.ts';

export interface IscsiServerOptions {
  readonly log?: Log;
  readonly clock?: Clock;
  readonly limits?: Partial<Limits>;
  /** Asked at each discovery login. Null, or absent: no CHAP. */
  discoveryChap?(): ChapPolicy | null;
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

/** The target portal group of portals that name none. */
const PORTAL_GROUP = 1;

type CopyQuestion = Parameters<NonNullable<ScsiTargetOptions['copyTargets']>>;

export class IscsiServer implements ConnectionHub {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly pool = new BufferPool();
  readonly budget: WriteBudget;
  readonly arenas: ArenaPool;
  readonly log: Log;
  readonly #portals: Portal[] = [];
  readonly #targets = new Map<string, Target>();
  readonly #connections = new Set<Connection>();
  readonly #pending: PendingLogins;
  readonly #registry: SessionRegistry;
  readonly #connectionOf = new Map<Session, Connection>();
  /** Behind a discovery session: no LUN, and no way to reach it. */
  readonly #nowhere: ScsiTarget;
  readonly #goneWatchers = new Map<Session, (() => void)[]>();
  readonly #admission: Admission;
  /** One for all targets: a host copies from the disk of one to the disk of another. */
  readonly #rodTokens: RodTokens;
  #closing = false;

  constructor(options: IscsiServerOptions = {}) {
    this.limits = { ...defaultLimits, ...options.limits };
    checkLimits(this.limits);
    this.clock = options.clock ?? realClock;
    this.log = limitedLog(options.log ?? quietLog, this.clock);
    this.budget = new WriteBudget(this.limits.totalWriteBytes);
    this.arenas = new ArenaPool(this.limits.arenaBytes);
    this.#pending = new PendingLogins(this.limits);
    this.#registry = new SessionRegistry(this.clock, this.limits.taskManagementTimeoutMs);
    this.#admission = new Admission({
      targets: this.#targets,
      portals: this.#portals,
      registry: this.#registry,
      discoveryChap: () => options.discoveryChap?.() ?? null,
      limits: this.limits,
      clock: this.clock,
      log: this.log,
    });
    this.#rodTokens = new RodTokens({ clock: this.clock });
    this.#nowhere = new ScsiTarget({ name: '', ...portOf(PORTAL_GROUP), clock: this.clock });
  }

  // Targets

  /** Throws RangeError when the name is no iSCSI name or is taken. */
  addTarget(options: TargetOptions): Target {
    const name = normalName(options.name);
    if (name === null) throw new RangeError(`"${options.name}" is no iSCSI name (RFC 7143 4.2.7)`);
    if (this.#targets.has(name)) throw new RangeError(`target ${name} exists already`);
    const port = {
      ...portOf(PORTAL_GROUP),
      ports: () => this.#targetPorts(),
      rodTokens: this.#rodTokens,
      copyTargets: (...args: CopyQuestion) => this.#copyTarget(target, ...args),
    };
    const target: Target = new Target(options, name, port, this.clock);
    target.scsi.onAbortTasks = (nexus, lun, done) => this.#abortTasks(target, nexus, lun, done);
    target.scsi.onLunsChanged = () => {
      for (const session of this.#sessionsOf(target)) session.scsiEvent(Sense.lunsChanged);
    };
    target.scsi.onSettle = (lun, nexuses, done) => this.#settle(target, nexuses, lun, done);
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
    await this.#copiesOver(target);
  }

  /**
   * Access rules or users have changed: sessions of `name` that may not go on as they are end. One
   * that may do less or more now (read-only, read-write) logs in again to it. Returns how many ended.
   */
  recheck(name: string): number {
    const target = this.#targets.get(name);
    if (target === undefined) return 0;
    let ended = 0;
    for (const session of [...this.#sessionsOf(target)]) {
      const access = target.admits(session.facts);
      if (access !== 'none' && (access === 'read-only') === session.nexus.readOnly) continue;
      session.announceDrop();
      session.drop(`access is ${access} now`);
      ended++;
    }
    return ended;
  }

  hasSession(target: string): number {
    const found = this.#targets.get(target);
    return found === undefined ? 0 : [...this.#sessionsOf(found)].length;
  }

  // Portals

  /**
   * Rejects with the system's error when the address cannot be had, and with RangeError when the
   * portal group is not 1…65535 (it is the relative target port as well, SPC-4 7.8.6.9).
   */
  async listen(options: ListenOptions): Promise<{ host: string; port: number }> {
    assert(!this.#closing, 'the server is closed');
    const portalGroup = options.portalGroup ?? PORTAL_GROUP;
    if (!Number.isInteger(portalGroup) || portalGroup < 1 || portalGroup > 0xffff) {
      throw new RangeError(`portal group ${portalGroup} is not in 1…65535`);
    }
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
    if (this.#closing || !this.#pending.makeRoom(source)) {
      this.log.info({ address: source, reason: 'too many logins wait' }, LOGIN_REFUSED);
      return null;
    }
    const connection = new Connection(stream, portalGroup, this);
    this.#pending.add(connection);
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

  /**
   * Asks the host of a session to log out within `graceMs` (Async Message, event 1), and drops the
   * connection when it has not (event 2). False: there is no session with this id.
   */
  logout(id: number, graceMs: number = this.limits.logoutRequestMs): boolean {
    const session = this.#registry.get(id);
    if (session === undefined) return false;
    this.#askToLeave([session], graceMs);
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
    const late = this.#askToLeave(sessions, this.limits.logoutRequestMs);
    await Promise.all(sessions.map((session) => this.#whenGone(session)));
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

  /** Copies that other targets command read and write here, too; they find it gone at their next piece. */
  async #copiesOver(target: Target): Promise<void> {
    await new Promise<void>((resolve) => {
      const giveUp = this.clock.after(this.limits.settleTimeoutMs, resolve);
      target.scsi.whenUnvisited(() => {
        giveUp();
        resolve();
      });
    });
  }

  /** Returns the way to call off the drop. */
  #askToLeave(sessions: readonly Session[], graceMs: number): () => void {
    for (const session of sessions) session.requestLogout(Math.ceil(graceMs / 1000));
    return this.clock.after(graceMs, () => {
      for (const session of sessions) {
        if (!this.#connectionOf.has(session)) continue;
        session.announceConnectionDrop();
        session.drop('no logout in time');
      }
    });
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

  #abortTasks(target: Target, nexus: Nexus, lun: number, done: () => void): void {
    const live = [...this.#sessionsOf(target)].filter((session) => session.nexus === nexus);
    const sessions = [...live, ...this.#registry.unsettled(nexus)];
    const { taskManagementTimeoutMs } = this.limits;
    const unit = lunField(lun);
    TaskManagement.abortFor(sessions, target.scsi, unit, this.clock, taskManagementTimeoutMs, done);
  }

  /** A session that is gone is waited for whoever it was: it has no nexus to be named by. */
  #settle(target: Target, nexuses: readonly Nexus[], lun: number, done: () => void): void {
    const live = [...this.#sessionsOf(target)].filter((one) => nexuses.includes(one.nexus));
    const sessions = [...live, ...this.#registry.unsettledOf(target.name)];
    TaskManagement.settleFor(sessions, target.scsi, lunField(lun), this.clock, done);
  }

  /** For a copy commanded through `target`; a session that has gone reaches nothing. */
  #copyTarget(target: Target, ...[nexus, naa, known]: CopyQuestion): CopyTarget | null {
    const session = this.#registry.replaced(nexus);
    if (session?.nexus !== nexus) return null;
    return reach(target, this.#targets, session.facts, naa, known);
  }

  /** Relative target ports, ascending: one for each portal group. */
  #targetPorts(): readonly number[] {
    const groups = new Set(this.#portals.map(({ portalGroup }) => portalGroup));
    return groups.size === 0 ? [PORTAL_GROUP] : [...groups].sort((a, b) => a - b);
  }

  // ConnectionHub

  directory(connection: Connection): LoginDirectory {
    return this.#admission.directory(connection.stream, connection.portalGroup);
  }

  openSession(connection: Connection, result: LoginResult): Session | LoginStatus {
    if (this.#closing) return LoginStatus.serviceUnavailable;
    const address = connection.stream.remoteAddress;
    const { initiator, proof } = result;
    const user = proof?.user ?? null;
    const target = result.target === null ? null : (this.#targets.get(result.target) ?? null);
    const access =
      result.target === null ? null : this.#admission.access(target, { initiator, address, user });
    if (typeof access === 'number') return access;
    const nexus: Nexus = {
      initiator,
      isid: result.isid,
      target: target?.name ?? '',
      ...portOf(connection.portalGroup),
      readOnly: access === 'read-only',
    };
    const replaced = target === null ? undefined : this.#registry.replaced(nexus);
    replaced?.drop('session reinstatement');
    if (this.#full(target)) return LoginStatus.outOfResources;
    const scsi = target?.scsi ?? null;
    const { isid, cid, parameters } = result;
    const since = this.clock.wall();
    const names = this.#registry.names();
    const session = new Session(
      { ...names, initiator, user, proof, isid, cid, address, since, parameters, scsi, nexus },
      connection,
      scsi ?? this.#nowhere,
    );
    this.#registry.add(session);
    this.#connectionOf.set(session, connection);
    scsi?.attach(nexus);
    this.#pending.remove(connection);
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
    const inDiscovery = facts.scsi === null;
    // RFC 7143 appendix C: "All" only in a discovery session; an empty value is "this target".
    const name = which === '' ? facts.nexus.target : which.toLowerCase();
    const visible = [...this.#targets.values()].filter(
      (target) =>
        (inDiscovery ? which === 'All' || target.name === name : target.name === name) &&
        (inDiscovery || target.scsi === facts.scsi) &&
        target.access(facts) !== 'none',
    );
    return discoveryPairs(visible, this.#portals, connection.stream, connection.portalGroup);
  }

  *siblings(session: Session): Iterable<Session> {
    for (const other of this.#registry.all()) {
      if (other.facts.scsi !== null && other.facts.scsi === session.facts.scsi) yield other;
    }
    for (const gone of this.#registry.unsettledOf(session.nexus.target)) {
      if (gone.facts.scsi === session.facts.scsi) yield gone;
    }
  }

  connectionClosed(connection: Connection): void {
    this.#connections.delete(connection);
    const { session } = connection;
    if (session === null) {
      this.#pending.remove(connection);
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
}

/** How a portal group stands in SCSI: the same after every start, whatever was added in which order. */
function portOf(portalGroup: number): TargetPort {
  return { portalGroup, relativePort: portalGroup };
}

/** The first level of an 8-byte LUN: peripheral addressing up to 255, flat above (SAM-5 4.7). */
function lunField(lun: number): { readonly high: number; readonly low: number } {
  return { high: ((lun <= 0xff ? lun : 0x4000 | lun) << 16) >>> 0, low: 0 };
}
