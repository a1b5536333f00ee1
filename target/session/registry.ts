/**
 * All sessions of a server: identity, limits, reinstatement and fencing (RFC 7143 6.3.5, 4.4.3).
 *
 * A login with the initiator name, ISID, target and portal group of a live session ends that session
 * first. Whatever of the old one is still inside a device holds back what the new one may write, so
 * that nothing old lands after anything new: the fence is known by initiator port, and stays until
 * the last call has come out.
 */
import type { Nexus } from '../scsi/nexus.ts';
import type { Session } from './session.ts';

export class SessionRegistry {
  readonly #byId = new Map<number, Session>();
  readonly #byTsih = new Map<number, Session>();
  readonly #byPort = new Map<string, Session>();
  /** Closed sessions of an initiator port that are still inside a device. */
  readonly #unsettled = new Map<string, Set<Session>>();
  #lastId = 0;
  #lastTsih = 0;

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
  unsettled(nexus: Nexus): Iterable<Session> {
    return this.#unsettled.get(portKey(nexus)) ?? [];
  }

  /** All sessions of a target that have closed and are still inside a device. */
  *unsettledOf(target: string): Iterable<Session> {
    for (const sessions of this.#unsettled.values()) {
      for (const session of sessions) if (session.nexus.target === target) yield session;
    }
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
    const key = portKey(facts.nexus);
    this.#byPort.set(key, session);
    for (const old of this.#unsettled.get(key) ?? []) {
      session.commands.fence();
      old.whenSettled(null, () => session.commands.unfence());
    }
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
    const unsettled = this.#unsettled.get(key) ?? new Set();
    unsettled.add(session);
    this.#unsettled.set(key, unsettled);
    session.whenSettled(null, () => {
      unsettled.delete(session);
      if (unsettled.size === 0 && this.#unsettled.get(key) === unsettled)
        this.#unsettled.delete(key);
    });
  }
}

function portKey(nexus: Nexus): string {
  return `${nexus.target}\n${nexus.portalGroup}\n${nexus.initiator}\n${nexus.isid}`;
}
