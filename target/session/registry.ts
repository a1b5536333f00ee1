/**
 * All sessions of a server: identity, limits, reinstatement and fencing (RFC 7143 6.3.5, 4.4.3).
 *
 * A login with the initiator name, ISID, target and portal group of a live session ends that session
 * first. What any session leaves inside a device holds back what its host writes next (leftover.ts),
 * so that nothing old lands after anything new.
 */
import type { Clock } from '../clock.ts';
import type { Nexus } from '../scsi/nexus.ts';
import { Leftover } from './leftover.ts';
import type { Session } from './session.ts';

export class SessionRegistry {
  readonly #byId = new Map<number, Session>();
  readonly #byTsih = new Map<number, Session>();
  readonly #byPort = new Map<string, Session>();
  /** Closed sessions that are still inside a device: few, as a device that is stuck takes no more. */
  readonly #unsettled = new Set<Leftover>();
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #lastId = 0;
  #lastTsih = 0;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  get size(): number {
    return this.#byId.size;
  }

  all(): Iterable<Session> {
    return this.#byId.values();
  }

  get(id: number): Session | undefined {
    return this.#byId.get(id);
  }

  hasTsih(tsih: number): boolean {
    return this.#byTsih.has(tsih);
  }

  /** The live session that a login of this nexus replaces. */
  replaced(nexus: Nexus): Session | undefined {
    return this.#byPort.get(portKey(nexus));
  }

  /** Sessions of this initiator port that have closed and are still inside a device. */
  *unsettled(nexus: Nexus): Iterable<Session> {
    const key = portKey(nexus);
    for (const { session } of this.#unsettled) if (portKey(session.nexus) === key) yield session;
  }

  /** All sessions of a target that have closed and are still inside a device. */
  *unsettledOf(target: string): Iterable<Session> {
    for (const { session } of this.#unsettled) if (session.nexus.target === target) yield session;
  }

  /** An id and a TSIH that no session has. TSIH 0 means "new" on the wire. */
  names(): { readonly id: number; readonly tsih: number } {
    do {
      this.#lastTsih = (this.#lastTsih % 0xffff) + 1;
    } while (this.#byTsih.has(this.#lastTsih));
    return { id: ++this.#lastId, tsih: this.#lastTsih };
  }

  add(session: Session): void {
    const { facts } = session;
    this.#byId.set(facts.id, session);
    this.#byTsih.set(facts.tsih, session);
    if (facts.scsi === null) return;
    this.#byPort.set(portKey(facts.nexus), session);
    for (const old of this.#unsettled) if (old.isOf(session)) old.fence(session);
  }

  /** The session has closed. */
  remove(session: Session): void {
    const { facts } = session;
    if (this.#byId.get(facts.id) !== session) return;
    this.#byId.delete(facts.id);
    this.#byTsih.delete(facts.tsih);
    const key = portKey(facts.nexus);
    if (this.#byPort.get(key) === session) this.#byPort.delete(key);
    if (session.commands.tasks.working === 0) return;
    const leftover = new Leftover(session);
    this.#unsettled.add(leftover);
    leftover.start(this.#clock, this.#timeoutMs);
    // The host may have other paths, and send by them what was not answered here.
    for (const other of this.#byId.values()) {
      if (other.facts.scsi !== null && leftover.isOf(other)) leftover.fence(other);
    }
    session.whenSettled(null, () => this.#unsettled.delete(leftover));
  }
}

function portKey(nexus: Nexus): string {
  return `${nexus.target}\n${nexus.portalGroup}\n${nexus.initiator}\n${nexus.isid}`;
}
