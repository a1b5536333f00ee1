/**
 * Persistent reservations that outlive a power loss (APTPL, SPC-4 5.13.5): one Directory key a disk,
 * read whole at start and written as a whole with every change. What lasts only as long as the
 * process is not written.
 *
 * - `done` is called when the Directory has the state; a state it could not keep is not in force.
 * - A record that cannot be read stops the start: to go on without it could let two hosts write.
 * - One daemon owns the store, so the last state written is the newest; nothing is compared.
 *
 *   appliance/reservations/<disk id>  JSON { version: 1, generation,
 *                                            registrations: [{ initiatorPort, relativePort, key }],
 *                                            holder: { type, initiatorPort, relativePort } | null }
 *   key: 16 hex digits; initiatorPort: `name,i,0xISID`
 */
import {
  type Holder,
  noReservations,
  type Registration,
  type ReservationState,
  type ReservationStore,
} from 'node-iscsi-target';
import type { Directory } from '#storage/cluster/directory.ts';
import { PetalError } from './errors.ts';
import { limits } from './limits.ts';
import type { Log } from './log.ts';

const prefix = 'appliance/reservations/';
const version = 1;

export class ReservationShelf {
  readonly #directory: Directory;
  readonly #log: Log;
  readonly #stores = new Map<string, DiskReservations>();

  private constructor(directory: Directory, log: Log) {
    this.#directory = directory;
    this.#log = log;
  }

  /** `isDisk`: of an id; what is kept for disks that are gone is dropped. STORE_FAILED. */
  static async open(
    directory: Directory,
    log: Log,
    isDisk: (id: string) => boolean,
  ): Promise<ReservationShelf> {
    const shelf = new ReservationShelf(directory, log);
    const { entries } = await directory.list(prefix);
    for (const { key, value } of entries) {
      const id = key.slice(prefix.length);
      if (!isDisk(id)) {
        await shelf.forget(id);
        continue;
      }
      // To hosts this start is a power on, which sets PRGENERATION to zero (SPC-4 6.15.2).
      const state = { ...decodeReservations(key, value), generation: 0 };
      shelf.#stores.set(id, shelf.#make(id, state));
    }
    return shelf;
  }

  /** Always the same one for the same disk. */
  of(id: string): ReservationStore {
    let store = this.#stores.get(id);
    if (store === undefined) {
      store = this.#make(id, noReservations);
      this.#stores.set(id, store);
    }
    return store;
  }

  /** The disk can never come back. A failure is logged: the next start drops what is left. */
  async forget(id: string): Promise<void> {
    this.#stores.delete(id);
    try {
      await this.#directory.commit([], [{ key: prefix + id, value: null }]);
    } catch (err) {
      this.#log.warn({ err, disk: id }, 'reservations of a disk that is gone are still kept');
    }
  }

  #make(id: string, state: ReservationState): DiskReservations {
    return new DiskReservations(this.#directory, prefix + id, state);
  }
}

class DiskReservations implements ReservationStore {
  readonly durable = true;
  readonly #directory: Directory;
  readonly #key: string;
  #state: ReservationState;
  /** A record may be in the Directory. */
  #written: boolean;

  constructor(directory: Directory, key: string, state: ReservationState) {
    this.#directory = directory;
    this.#key = key;
    this.#state = state;
    this.#written = state.persist;
  }

  load(): ReservationState {
    return this.#state;
  }

  save(state: ReservationState, done: (error: Error | null) => void): void {
    if (!state.persist && !this.#written) {
      this.#state = state;
      done(null);
      return;
    }
    const value = state.persist ? encodeReservations(state) : null;
    if (value !== null && value.length > limits.reservationBytes) {
      const text = `reservations of one disk take at most ${limits.reservationBytes} bytes`;
      done(new PetalError('NO_SPACE', text));
      return;
    }
    this.#written = true;
    this.#directory.commit([], [{ key: this.#key, value }]).then(
      () => {
        this.#state = state;
        this.#written = state.persist;
        done(null);
      },
      (error: Error) => done(error),
    );
  }
}

export function encodeReservations(state: ReservationState): Uint8Array {
  const { generation, holder } = state;
  const registrations = state.registrations.map(({ initiatorPort, relativePort, key }) => ({
    initiatorPort,
    relativePort,
    key: key.toString(16).padStart(16, '0'),
  }));
  return Buffer.from(JSON.stringify({ version, generation, registrations, holder }), 'utf8');
}

/** STORE_FAILED when it is not what `encodeReservations` makes. */
export function decodeReservations(key: string, value: Uint8Array): ReservationState {
  const bad = (what: string) =>
    new PetalError('STORE_FAILED', `the persistent reservations in ${key} are damaged: ${what}`);
  if (value.length > limits.reservationBytes) throw bad(`${value.length} bytes`);
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(Buffer.from(value).toString('utf8'))) as Record<string, unknown>;
  } catch (cause) {
    throw new PetalError('STORE_FAILED', bad('no JSON').message, { cause });
  }
  if (Number(fields.version) > version) {
    const text = `${key} was written by a newer version of Petal (format ${fields.version})`;
    throw new PetalError('STORE_FAILED', text);
  }
  const { generation, registrations, holder } = fields;
  if (fields.version !== version) throw bad('version');
  if (!isIn(generation, 0, 0xffffffff)) throw bad('generation');
  if (!Array.isArray(registrations)) throw bad('registrations');
  const read = registrations.map(readRegistration);
  if (!read.every((each) => each !== null)) throw bad('a registration');
  const held = holder === null ? null : readHolder(holder);
  if (holder !== null && held === null) throw bad('the holder');
  return { registrations: read, holder: held, generation, persist: true };
}

function readPort(value: unknown): { initiatorPort: string; relativePort: number } | null {
  const { initiatorPort, relativePort } = Object(value) as Record<string, unknown>;
  const isPort =
    typeof initiatorPort === 'string' && /^[!-~]{1,223},i,0x[0-9a-f]{12}$/.test(initiatorPort);
  return isPort && isIn(relativePort, 1, 0xffff) ? { initiatorPort, relativePort } : null;
}

function readRegistration(value: unknown): Registration | null {
  const port = readPort(value);
  const { key } = Object(value) as Record<string, unknown>;
  if (port === null || typeof key !== 'string' || !/^[0-9a-f]{16}$/.test(key)) return null;
  const number = BigInt(`0x${key}`);
  return number === 0n ? null : { ...port, key: number };
}

/** Types: SPC-4 table 67. */
function readHolder(value: unknown): Holder | null {
  const port = readPort(value);
  const { type } = Object(value) as Record<string, unknown>;
  if (port === null || !isIn(type, 1, 8) || type === 2 || type === 4) return null;
  return { ...port, type };
}

function isIn(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
}
