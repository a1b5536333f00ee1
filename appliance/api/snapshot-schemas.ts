/** The shapes of snapshots, clones and differences in /api/v1; see schemas.ts for what holds of all of them. */
import Type from 'typebox';
import { limits } from '../limits.ts';
import { Bytes, ChapBody, Disk, Name, Rule, Space, strict } from './schemas.ts';

export const SpaceQuery = Type.Object(
  { space: Type.Optional(Type.Enum(['true', 'false'])) },
  strict,
);
export const SnapshotListQuery = Type.Object(
  { disk: Type.Optional(Name), space: Type.Optional(Type.Enum(['true', 'false'])) },
  strict,
);
export const SnapshotBody = Type.Object(
  {
    disks: Type.Array(Name, { minItems: 1, maxItems: 32 }),
    name: Type.Optional(Name),
  },
  strict,
);
/** Exactly one of them. */
export const SnapshotChangeBody = Type.Object(
  { name: Type.Optional(Name), template: Type.Optional(Type.Boolean()) },
  strict,
);
export const RollbackBody = Type.Object({ force: Type.Optional(Type.Boolean()) }, strict);
export const ExposeBody = Type.Object(
  {
    hosts: Type.Optional(Type.Array(Rule, { maxItems: limits.accessRules })),
    chap: Type.Optional(ChapBody),
  },
  strict,
);
export const UnexposeQuery = Type.Object(
  { force: Type.Optional(Type.Enum(['true', 'false'])) },
  strict,
);
/** `with`: a snapshot or a disk. Numbers are texts in a query. */
const Digits = Type.String({ pattern: '^[0-9]{1,16}$' });
export const DiffQuery = Type.Object(
  { with: Name, from: Type.Optional(Digits), limit: Type.Optional(Digits) },
  strict,
);
export const CloneBody = Type.Object(
  { from: Name, name: Name, reserved: Type.Optional(Type.Boolean()) },
  strict,
);
export const FlattenBody = Type.Object({ bytesPerSecond: Type.Optional(Bytes) }, strict);

export const Snapshot = Type.Object({
  name: Type.String(),
  id: Type.String(),
  created: Type.String(),
  size: Type.Integer(),
  used: Type.Integer(),
  sectorBytes: Type.Integer(),
  template: Type.Boolean(),
  group: Type.Union([Type.String(), Type.Null()]),
  clones: Type.Array(Type.String()),
  exposed: Type.Union([
    Type.Object({
      iqn: Type.String(),
      lun: Type.Integer(),
      naa: Type.String(),
      serial: Type.String(),
      sessions: Type.Integer(),
      hosts: Type.Array(Type.String()),
    }),
    Type.Null(),
  ]),
  space: Type.Optional(Space),
});
export const SnapshotList = Type.Object({ snapshots: Type.Array(Snapshot) });
export const Rollback = Type.Object({ disk: Disk, kept: Snapshot });
export const Diff = Type.Object({
  ranges: Type.Array(Type.Object({ offset: Type.Integer(), length: Type.Integer() })),
  next: Type.Union([Type.Integer(), Type.Null()]),
});

export const ExportQuery = Type.Object({ from: Type.Optional(Name) }, strict);
const Flag = Type.Optional(Type.Enum(['true', 'false']));
export const ImportQuery = Type.Object({ reserved: Flag, sanitize: Flag }, strict);
export const Imported = Type.Object({ disk: Disk, snapshot: Snapshot });
