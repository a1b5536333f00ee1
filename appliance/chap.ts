/**
 * Who may log in by CHAP (RFC 7143 12.1.3), of a disk or of discovery: users with their secrets and,
 * for hosts that ask for it, the name and secret with which the target proves itself.
 *
 * - Secrets go in and never out: what is shown, listed or logged has names only.
 * - Without users there is no CHAP; settings that cannot be read stop the start and never mean "off".
 * - The secret of one direction is never one of the other (RFC 7143 9.2.1).
 *
 *   stored: JSON { version: 1, users: [[name, secret]…], mutual: [name, secret] | null }
 */
import { type ChapPolicy, refuseSecret } from 'node-iscsi-target';
import { PetalError } from './errors.ts';
import { limits } from './limits.ts';

/** Names only. */
export interface ChapView {
  readonly users: readonly string[];
  /** As what the target proves itself; null: it cannot. */
  readonly mutual: string | null;
}

export interface ChapCredential {
  readonly user: string;
  readonly secret: string;
}

/** What `set` is asked for. */
export interface ChapChange extends ChapCredential {
  readonly mutual?: ChapCredential;
}

/** What `remove` is asked for; neither: everything. */
export interface ChapRemoval {
  readonly user?: string;
  readonly mutual?: boolean;
}

const version = 1;
const nameForm = /^[A-Za-z0-9._:@-]+$/;

/** Why a CHAP user name cannot be used, or null. */
export function refuseUser(name: string): string | null {
  if (name.length >= 1 && name.length <= limits.iscsiNameBytes && nameForm.test(name)) return null;
  return `a CHAP user name has 1 to ${limits.iscsiNameBytes} letters, digits or any of . _ : @ -`;
}

/** Immutable: a change makes a new one. */
export class ChapSettings {
  static readonly none = new ChapSettings(new Map(), null);
  readonly #users: ReadonlyMap<string, string>;
  readonly #mutual: ChapCredential | null;

  private constructor(users: ReadonlyMap<string, string>, mutual: ChapCredential | null) {
    this.#users = users;
    this.#mutual = mutual;
  }

  /** From where `format` was stored. `where` is for the message. STORE_FAILED. */
  static parse(text: string | undefined, where: string): ChapSettings {
    if (text === undefined || text === '') return ChapSettings.none;
    const read = decode(text);
    if (read !== null) return new ChapSettings(read.users, read.mutual);
    throw new PetalError('STORE_FAILED', `the CHAP settings of ${where} are damaged`);
  }

  /** With the secrets: for the store alone. Empty: off. */
  format(): string {
    if (!this.on) return '';
    const mutual = this.#mutual === null ? null : [this.#mutual.user, this.#mutual.secret];
    return JSON.stringify({ version, users: [...this.#users], mutual });
  }

  /** Whether a login needs CHAP. */
  get on(): boolean {
    return this.#users.size > 0;
  }

  get view(): ChapView {
    return { users: [...this.#users.keys()], mutual: this.#mutual?.user ?? null };
  }

  has(user: string): boolean {
    return this.#users.has(user);
  }

  /** What a login is checked against; null: CHAP is off. */
  policy(): ChapPolicy | null {
    if (!this.on) return null;
    const mutual = this.#mutual;
    return {
      user: (name) => {
        const secret = this.#users.get(name);
        return secret === undefined ? null : { secret };
      },
      mutual: mutual === null ? null : { name: mutual.user, secret: mutual.secret },
    };
  }

  /** A new user, or a new secret for one. INVALID. */
  set({ user, secret, mutual }: ChapChange): ChapSettings {
    for (const each of mutual === undefined ? [{ user, secret }] : [{ user, secret }, mutual]) {
      const refusal = refuseUser(each.user) ?? refuseSecret(each.secret);
      if (refusal !== null) throw new PetalError('INVALID', refusal);
    }
    const users = new Map(this.#users).set(user, secret);
    if (users.size > limits.chapUsers) {
      throw new PetalError('INVALID', `there can be at most ${limits.chapUsers} CHAP users`);
    }
    const own = mutual ?? this.#mutual;
    if (own !== null && [...users.values()].includes(own.secret)) {
      const text = 'the target needs a secret of its own, other than that of any user';
      throw new PetalError('INVALID', text);
    }
    return new ChapSettings(users, own);
  }

  /** NOT_FOUND; INVALID for the last user: that would let everybody in, and is asked for in full. */
  remove({ user, mutual = false }: ChapRemoval): ChapSettings {
    if (user === undefined && !mutual) return ChapSettings.none;
    if (mutual && this.#mutual === null) {
      throw new PetalError('NOT_FOUND', 'the target has no secret of its own');
    }
    const own = mutual ? null : this.#mutual;
    if (user === undefined) return new ChapSettings(this.#users, own);
    const users = new Map(this.#users);
    if (!users.delete(user)) {
      const there = this.on ? [...users.keys()].join(', ') : 'none';
      throw new PetalError('NOT_FOUND', `there is no CHAP user '${user}'; users: ${there}`);
    }
    if (users.size === 0) {
      const text = `'${user}' is the last CHAP user: remove all of CHAP if logins shall need none`;
      throw new PetalError('INVALID', text);
    }
    return new ChapSettings(users, own);
  }
}

function decode(
  text: string,
): { users: Map<string, string>; mutual: ChapCredential | null } | null {
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    // Not even named: what the parser says of a damaged text quotes it, secrets included.
    return null;
  }
  if (fields.version !== version || !Array.isArray(fields.users)) return null;
  const users = new Map<string, string>();
  for (const pair of fields.users) {
    const found = credential(pair);
    if (found === null) return null;
    users.set(found.user, found.secret);
  }
  const mutual = fields.mutual === null ? null : credential(fields.mutual);
  const whole = users.size > 0 && (mutual !== null || fields.mutual === null);
  return whole ? { users, mutual } : null;
}

function credential(pair: unknown): ChapCredential | null {
  if (!Array.isArray(pair) || pair.length !== 2) return null;
  const [user, secret] = pair as unknown[];
  if (typeof user !== 'string' || typeof secret !== 'string') return null;
  return refuseUser(user) === null && refuseSecret(secret) === null ? { user, secret } : null;
}
