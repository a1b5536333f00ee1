/**
 * A copy reaches a unit of another target only where its initiator could log in as it is: by the rules,
 * and with CHAP by having proved the very secret that the other target asks for. All else is not there.
 */
import test from 'ava';
import { realClock } from '../../../target/clock.ts';
import { type Commander, reach } from '../../../target/copy-reach.ts';
import { RamDevice } from '../../../target/index.ts';
import type { LogicalUnit } from '../../../target/scsi/logical-unit.ts';
import { ChapProof } from '../../../target/session/chap-exchange.ts';
import { type Access, Target, type TargetOptions } from '../../../target/target.ts';

const MiB = 2 ** 20;
const nobody: Commander = {
  initiator: 'iqn.2026-11.test:host',
  address: '192.0.2.1',
  proof: null,
  nexus: { readOnly: false },
};

function targetOf(name: string, options: Partial<TargetOptions> = {}, naa?: Uint8Array): Target {
  const port = { portalGroup: 1, relativePort: 1 };
  const whole: TargetOptions = { name, access: () => 'read-write', ...options };
  const target = new Target(whole, name, port, realClock);
  const identity = naa === undefined ? {} : { identity: { naa } };
  target.scsi.add(0, new RamDevice({ bytes: MiB, ...identity }));
  return target;
}

const mapOf = (...targets: Target[]): Map<string, Target> =>
  new Map(targets.map((each) => [each.name, each]));

const unitOf = (target: Target): LogicalUnit => target.scsi.route(0, 0) as LogicalUnit;
const naaOf = (target: Target): Uint8Array => unitOf(target).device.identity.naa;

const chap =
  (secret: string, readOnly = false): NonNullable<TargetOptions['chap']> =>
  () => ({ user: (name) => (name === 'anna' ? { secret, readOnly } : null) });

interface Row {
  readonly name: string;
  readonly home?: Partial<TargetOptions>;
  readonly other: Partial<TargetOptions>;
  /** What was proved at the login: the user, and the secret of then. */
  readonly proved?: readonly [string, string];
  /** `none`: not there. */
  readonly expected: Access;
}

const open = 'secret-of-anna';
const rows: readonly Row[] = [
  { name: 'no CHAP anywhere, admitted', other: {}, expected: 'read-write' },
  { name: 'not admitted', other: { access: () => 'none' }, expected: 'none' },
  { name: 'admitted to read', other: { access: () => 'read-only' }, expected: 'read-only' },
  { name: 'CHAP there, none here', other: { chap: chap(open) }, expected: 'none' },
  {
    name: 'the same user and secret at both',
    home: { chap: chap(open) },
    other: { chap: chap(open) },
    proved: ['anna', open],
    expected: 'read-write',
  },
  {
    name: 'the same user with another secret',
    home: { chap: chap(open) },
    other: { chap: chap('another-secret') },
    proved: ['anna', open],
    expected: 'none',
  },
  {
    name: 'a user that may only read there',
    home: { chap: chap(open) },
    other: { chap: chap(open, true) },
    proved: ['anna', open],
    expected: 'read-only',
  },
  {
    name: 'a user that is not known there',
    home: { chap: () => ({ user: () => ({ secret: open }) }) },
    other: { chap: chap(open) },
    proved: ['bert', open],
    expected: 'none',
  },
  {
    name: 'CHAP here, none there',
    home: { chap: chap(open) },
    other: {},
    proved: ['anna', open],
    expected: 'read-write',
  },
  {
    name: 'a rule by user where no user is asked for: nobody was proved there',
    home: { chap: chap(open) },
    other: { access: ({ user }) => (user === null ? 'none' : 'read-write') },
    proved: ['anna', open],
    expected: 'none',
  },
  {
    name: 'a secret that was changed at both since the login',
    home: { chap: chap('changed-secret') },
    other: { chap: chap('changed-secret') },
    proved: ['anna', open],
    expected: 'none',
  },
  {
    name: 'a secret that was changed here since the login',
    home: { chap: chap('changed-secret') },
    other: { chap: chap(open) },
    proved: ['anna', open],
    expected: 'none',
  },
  {
    name: 'the user was removed here since the login',
    home: { chap: () => ({ user: () => null }) },
    other: { chap: chap(open) },
    proved: ['anna', open],
    expected: 'none',
  },
  {
    name: 'a secret that no login would take',
    home: { chap: chap('short') },
    other: { chap: chap('short') },
    proved: ['anna', 'short'],
    expected: 'none',
  },
  {
    name: 'the proved user is not admitted there',
    home: { chap: chap(open) },
    other: { chap: chap(open), access: ({ user }) => (user === 'anna' ? 'none' : 'read-write') },
    proved: ['anna', open],
    expected: 'none',
  },
  {
    name: 'a rule by user',
    home: { chap: chap(open) },
    other: { chap: chap(open), access: ({ user }) => (user === 'anna' ? 'read-write' : 'none') },
    proved: ['anna', open],
    expected: 'read-write',
  },
];

for (const { name, home = {}, other, proved, expected } of rows) {
  test(name, (t) => {
    const here = targetOf('iqn.2026-11.test:here', home);
    const there = targetOf('iqn.2026-11.test:there', other);
    const who = { ...nobody, proof: proved === undefined ? null : new ChapProof(...proved) };
    const all = mapOf(here, there);
    for (const known of [undefined, unitOf(there)]) {
      const found = reach(here, all, who, naaOf(there), known);
      if (expected === 'none') t.is(found, null);
      else t.deepEqual(found, { unit: unitOf(there), readOnly: expected === 'read-only' });
    }
  });
}

test('rules see the initiator and the address of the session', (t) => {
  const asked: unknown[] = [];
  const here = targetOf('iqn.2026-11.test:here');
  const there = targetOf('iqn.2026-11.test:there', {
    access: (peer) => {
      asked.push(peer);
      return 'none';
    },
  });
  t.is(reach(here, mapOf(here, there), nobody, naaOf(there)), null);
  t.deepEqual(asked, [{ initiator: nobody.initiator, address: nobody.address, user: null }]);
});

test('a hidden target is not there', (t) => {
  const here = targetOf('iqn.2026-11.test:here');
  const there = targetOf('iqn.2026-11.test:there');
  there.hide();
  t.is(reach(here, mapOf(here, there), nobody, naaOf(there)), null);
  t.is(reach(here, mapOf(here, there), nobody, naaOf(there), unitOf(there)), null);
});

test('a unit that was taken away, or whose target was, is not there, though it is known', (t) => {
  const here = targetOf('iqn.2026-11.test:here');
  const there = targetOf('iqn.2026-11.test:there');
  const known = unitOf(there);
  t.is(reach(here, mapOf(here), nobody, known.device.identity.naa, known), null);
  void there.scsi.remove(0);
  t.is(reach(here, mapOf(here, there), nobody, known.device.identity.naa, known), null);
  there.scsi.add(0, known.device);
  t.is(reach(here, mapOf(here, there), nobody, naaOf(there), known), null, 'another unit');
});

test('of two units with one identity the own is meant, as the session may use it', (t) => {
  const here = targetOf('iqn.2026-11.test:here');
  const twin = targetOf('iqn.2026-11.test:twin', {}, naaOf(here));
  const reader = { ...nobody, nexus: { readOnly: true } };
  for (const known of [undefined, unitOf(here)]) {
    const found = reach(here, mapOf(twin, here), reader, naaOf(here), known);
    t.deepEqual(found, { unit: unitOf(here), readOnly: true });
  }
  here.scsi.add(1, unitOf(twin).device);
  const second = here.scsi.route(0x10000, 0) as LogicalUnit;
  t.is(
    reach(here, mapOf(here), nobody, naaOf(here), second)?.unit,
    second,
    'the one that was found',
  );
});

test('of two media with one designator none is meant, but for who may use only one of them', (t) => {
  const rules: { access: Access } = { access: 'read-write' };
  const here = targetOf('iqn.2026-11.test:here');
  const one = targetOf('iqn.2026-11.test:one');
  const twin = targetOf('iqn.2026-11.test:twin', { access: () => rules.access }, naaOf(one));
  const all = mapOf(here, twin, one);
  t.is(reach(here, all, nobody, naaOf(one)), null);
  rules.access = 'none';
  t.is(reach(here, all, nobody, naaOf(one))?.unit, unitOf(one));
});

test('one medium at two targets may be written where either lets it', (t) => {
  const here = targetOf('iqn.2026-11.test:here');
  const one = targetOf('iqn.2026-11.test:one', { access: () => 'read-only' });
  const two = targetOf('iqn.2026-11.test:two');
  void two.scsi.remove(0);
  two.scsi.add(0, unitOf(one).device);
  for (const all of [mapOf(here, one, two), mapOf(two, here, one)]) {
    t.deepEqual(reach(here, all, nobody, naaOf(one)), { unit: unitOf(two), readOnly: false });
  }
});
