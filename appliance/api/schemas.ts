/**
 * The shapes of /api/v1: what requests must be (anything unknown is refused) and what answers are.
 * Sizes are whole bytes; times are ISO 8601 in UTC.
 */
import Type from 'typebox';
import { limits } from '../limits.ts';

export const strict = { additionalProperties: false } as const;
export const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** Long enough that a wrong name meets the catalog's explanation, not a length error. */
export const Name = Type.String({ minLength: 1, maxLength: limits.nameParameter });
export const Rule = Type.String({ minLength: 1, maxLength: limits.iscsiNameBytes });

export const NameParameters = Type.Object({ name: Name }, strict);
export const SessionParameters = Type.Object({ id: Name }, strict);
export const NoQuery = Type.Object({}, strict);

export const ListQuery = Type.Object(
  { removed: Type.Optional(Type.Enum(['true', 'false'])) },
  strict,
);

export const CreateBody = Type.Object(
  {
    name: Name,
    size: Bytes,
    reserved: Type.Optional(Type.Boolean()),
    sectorBytes: Type.Optional(Type.Enum([512, 4096])),
    writeProtected: Type.Optional(Type.Boolean()),
    removable: Type.Optional(Type.Boolean()),
    hostProtect: Type.Optional(Type.Boolean()),
    writeBack: Type.Optional(Type.Boolean()),
    sanitize: Type.Optional(Type.Boolean()),
  },
  strict,
);

const Redirect = Type.Object({ address: Rule, permanent: Type.Boolean() }, strict);

/** Exactly one change at a time; `force` only with `size`. */
export const ChangeBody = Type.Object(
  {
    name: Type.Optional(Name),
    size: Type.Optional(Bytes),
    force: Type.Optional(Type.Boolean()),
    writeProtected: Type.Optional(Type.Boolean()),
    hostProtect: Type.Optional(Type.Boolean()),
    writeBack: Type.Optional(Type.Boolean()),
    redirect: Type.Optional(Type.Union([Redirect, Type.Null()])),
  },
  strict,
);

const Flag = Type.Optional(Type.Enum(['true', 'false']));
/** `snapshots`: they are deleted with it. `purge`: it cannot be restored. */
export const RemoveQuery = Type.Object(
  { force: Type.Optional(Name), snapshots: Flag, purge: Flag },
  strict,
);
export const PowerBody = Type.Object({ state: Type.Enum(['failing', 'restored']) }, strict);
export const Power = Type.Object({
  state: Type.String(),
  disks: Type.Integer(),
  dirty: Type.Integer(),
});

export const UndeleteBody = Type.Object({ as: Type.Optional(Name) }, strict);
export const RuleBody = Type.Object(
  { host: Rule, readOnly: Type.Optional(Type.Boolean()), user: Type.Optional(Rule) },
  strict,
);
export const RuleQuery = Type.Object({ host: Rule, user: Type.Optional(Rule) }, strict);

/** What a name or secret may be is said by the refusal in chap.ts, which quotes no secret. */
const credential = { user: Rule, secret: Rule };
export const ChapBody = Type.Object(
  { ...credential, mutual: Type.Optional(Type.Object(credential, strict)) },
  strict,
);
export const ChapQuery = Type.Object(
  { user: Type.Optional(Rule), mutual: Type.Optional(Type.Enum(['true', 'false'])) },
  strict,
);
/** Names only: a secret is not even in the shape of an answer. */
const chapView = {
  users: Type.Array(Type.String()),
  mutual: Type.Union([Type.String(), Type.Null()]),
};
const AccessRule = Type.Object({
  host: Type.String(),
  readOnly: Type.Boolean(),
  user: Type.Union([Type.String(), Type.Null()]),
});

export const Space = Type.Object({
  logical: Type.Integer(),
  used: Type.Integer(),
  exclusive: Type.Integer(),
  shared: Type.Integer(),
  freed: Type.Integer(),
  freedWithSnapshots: Type.Optional(Type.Integer()),
});
const Flatten = Type.Object({
  position: Type.Integer(),
  size: Type.Integer(),
  bytesPerSecond: Type.Integer(),
  stopped: Type.Union([Type.String(), Type.Null()]),
});
const Origin = Type.Object({ snapshot: Type.String(), deleted: Type.Boolean() });

export const Disk = Type.Object({
  name: Type.String(),
  size: Type.Integer(),
  used: Type.Integer(),
  iqn: Type.String(),
  lun: Type.Integer(),
  naa: Type.String(),
  id: Type.String(),
  serial: Type.String(),
  sectorBytes: Type.Integer(),
  reserved: Type.Boolean(),
  writeProtected: Type.Boolean(),
  removable: Type.Boolean(),
  hostProtect: Type.Boolean(),
  writeBack: Type.Boolean(),
  sanitize: Type.Boolean(),
  redirect: Type.Union([Redirect, Type.Null()]),
  created: Type.String(),
  sessions: Type.Integer(),
  access: Type.Array(AccessRule),
  chap: Type.Object(chapView),
  snapshots: Type.Integer(),
  origin: Type.Union([Origin, Type.Null()]),
  flatten: Type.Union([Flatten, Type.Null()]),
  space: Type.Optional(Space),
  removed: Type.Optional(Type.String()),
  restorableUntil: Type.Optional(Type.String()),
});
export const DiskList = Type.Object({ disks: Type.Array(Disk) });

export const Access = Type.Object({ disk: Type.String(), hosts: Type.Array(AccessRule) });
/** `disk` is null for discovery. */
export const Chap = Type.Object({
  disk: Type.Union([Type.String(), Type.Null()]),
  ...chapView,
});

export const Session = Type.Object({
  id: Type.String(),
  initiator: Type.String(),
  address: Type.String(),
  user: Type.Union([Type.String(), Type.Null()]),
  disk: Type.Union([Type.String(), Type.Null()]),
  target: Type.Union([Type.String(), Type.Null()]),
  since: Type.String(),
  commands: Type.Integer(),
  bytesRead: Type.Integer(),
  bytesWritten: Type.Integer(),
});
export const SessionList = Type.Object({ sessions: Type.Array(Session) });
export const Kicked = Type.Object({ id: Type.String() });

const Path = Type.String({ minLength: 1, maxLength: limits.pathBytes });
export const AddDiskBody = Type.Object(
  {
    path: Path,
    size: Type.Optional(Bytes),
    wipe: Type.Optional(Type.Boolean()),
    replaces: Type.Optional(Path),
  },
  strict,
);
export const StoreDiskBody = Type.Object({ disk: Path }, strict);
export const StoreDiskQuery = Type.Object({ disk: Path }, strict);
