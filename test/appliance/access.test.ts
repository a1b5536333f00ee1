/** A host on loopback sees every disk; any other sees one only through a rule that fits it. */
import test from 'ava';
import { AccessList, type AccessRule, normalRule } from '#appliance/access.ts';

const normal: readonly (readonly [string, string | null])[] = [
  ['iqn.2026-11.internal.Petal:Host-1', 'iqn.2026-11.internal.petal:host-1'],
  ['iqn.1993-08.org.debian:01:abcdef', 'iqn.1993-08.org.debian:01:abcdef'],
  ['iqn.2026-11.com.example', 'iqn.2026-11.com.example'],
  ['eui.02004567A425678D', 'eui.02004567a425678d'],
  ['naa.52004567BA64678D', 'naa.52004567ba64678d'],
  ['naa.62004567BA64678D0123456789ABCDEF', 'naa.62004567ba64678d0123456789abcdef'],
  ['192.0.2.7', '192.0.2.7/32'],
  ['192.0.2.7/24', '192.0.2.0/24'],
  ['10.255.255.255/9', '10.128.0.0/9'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8::1', '2001:db8::1/128'],
  ['2001:db8:ffff:1::1/33', '2001:db8:8000::/33'],
  ['::/0', '::/0'],
  ['::ffff:192.0.2.7', '192.0.2.7/32'],
  ['::ffff:c000:207/120', '192.0.2.0/24'],
  // Neither a name nor an address.
  ['', null],
  ['host', null],
  ['*', null],
  ['iqn.2026-13.com.example', null],
  ['iqn.26-11.com.example', null],
  ['iqn.2026-11.com.example:a b', null],
  ['iqn.2026-11.com.example:a/b', null],
  ['iqn.2026-11.com.example:a\nb', null],
  [`iqn.2026-11.com.example:${'x'.repeat(200)}`, null],
  ['eui.02004567A425678', null],
  ['naa.52004567BA64678D0', null],
  ['192.0.2.7/33', null],
  ['192.0.2.7/-1', null],
  ['192.0.2.7/24/24', null],
  ['192.0.2.7/', null],
  ['192.0.2', null],
  ['192.0.2.256', null],
  ['2001:db8::/129', null],
  ['fe80::1%eth0', null],
  ['::ffff:0:0/90', null],
];

for (const [index, [text, rule]] of normal.entries()) {
  test(`rule ${index}, '${text.slice(0, 60)}', is ${rule ?? 'refused'}`, (t) => {
    t.is(normalRule(text), rule);
  });
}

test('a rule in normal form is its own normal form', (t) => {
  for (const [, rule] of normal) if (rule !== null) t.is(normalRule(rule), rule);
});

const plain = (host: string): AccessRule => ({ host, readOnly: false, user: null });
const rules = ['iqn.2026-11.com.example:a', '192.0.2.0/24', '2001:db8:1::/48'].map(plain);

/** Initiator, address, whether the list above admits it, whether an empty one does. */
const peers: readonly (readonly [string, string, boolean, boolean])[] = [
  ['iqn.2026-11.com.example:z', '127.0.0.1', true, true],
  ['iqn.2026-11.com.example:z', '127.9.8.7', true, true],
  ['iqn.2026-11.com.example:z', '::1', true, true],
  ['iqn.2026-11.com.example:z', '::ffff:127.0.0.1', true, true],
  ['iqn.2026-11.com.example:a', '198.51.100.1', true, false],
  ['IQN.2026-11.COM.EXAMPLE:A', '198.51.100.1', true, false],
  ['iqn.2026-11.com.example:ab', '198.51.100.1', false, false],
  ['iqn.2026-11.com.example', '198.51.100.1', false, false],
  ['iqn.2026-11.com.example:z', '192.0.2.255', true, false],
  ['iqn.2026-11.com.example:z', '::ffff:192.0.2.255', true, false],
  ['iqn.2026-11.com.example:z', '192.0.3.0', false, false],
  ['iqn.2026-11.com.example:z', '2001:db8:1:ffff::9', true, false],
  ['iqn.2026-11.com.example:z', '2001:db8:1::9%eth0', true, false],
  ['iqn.2026-11.com.example:z', '2001:db8:2::9', false, false],
  ['iqn.2026-11.com.example:z', '::7f00:1', false, false],
  // An initiator cannot call itself an address range.
  ['192.0.2.0/24', '198.51.100.1', false, false],
  ['iqn.2026-11.com.example:z', 'nonsense', false, false],
  ['iqn.2026-11.com.example:z', '', false, false],
];

for (const [initiator, address, listed, unlisted] of peers) {
  test(`${initiator} at '${address}'`, (t) => {
    const peer = { initiator, address, user: null };
    t.is(new AccessList(rules).admits(peer), listed ? 'read-write' : 'none');
    t.is(new AccessList([]).admits(peer), unlisted ? 'read-write' : 'none');
  });
}

const mixed: readonly AccessRule[] = [
  { host: '192.0.2.0/24', readOnly: true, user: null },
  { host: '192.0.2.7/32', readOnly: false, user: null },
  { host: 'iqn.2026-11.com.example:a', readOnly: false, user: 'anna' },
  { host: '198.51.100.0/24', readOnly: true, user: 'anna' },
];

/** Initiator's last letter, address, proved user; what it may do; what before any proof. */
const modes = [
  ['z', '192.0.2.8', null, 'read-only', 'read-only'],
  ['z', '192.0.2.7', null, 'read-write', 'read-write'],
  ['a', '192.0.2.8', null, 'read-only', 'read-write'],
  ['a', '192.0.2.8', 'anna', 'read-write', 'read-write'],
  ['a', '192.0.2.8', 'Anna', 'read-only', 'read-write'],
  ['a', '203.0.113.1', 'anna', 'read-write', 'read-write'],
  ['a', '203.0.113.1', null, 'none', 'read-write'],
  ['z', '198.51.100.1', 'anna', 'read-only', 'read-only'],
  ['z', '198.51.100.1', 'bert', 'none', 'read-only'],
  ['z', '203.0.113.1', 'anna', 'none', 'none'],
  ['z', '127.0.0.1', null, 'read-write', 'read-write'],
] as const;

for (const [letter, address, user, mode, unproved] of modes) {
  test(`${letter} at ${address} as ${user} may ${mode}`, (t) => {
    const peer = { initiator: `iqn.2026-11.com.example:${letter}`, address, user };
    t.is(new AccessList(mixed).admits(peer), mode);
    t.is(new AccessList(mixed).admits(peer, true), unproved);
  });
}

test('a list survives being stored', (t) => {
  for (const list of [new AccessList(rules), new AccessList(mixed)]) {
    t.deepEqual(AccessList.parse(list.toString()).rules, list.rules);
  }
  t.is(new AccessList(rules).toString(), rules.map(({ host }) => host).join(' '));
  t.deepEqual(AccessList.parse(undefined).rules, []);
  t.deepEqual(AccessList.parse('').rules, []);
});

test('a stored rule that cannot be read grants nothing', (t) => {
  const broken = '10.0.0.0/8;rw 10.0.0.0/8;ro;ro 10.0.0.0/8;user= 10.0.0.0/8;user=a;b ;ro';
  const list = AccessList.parse(`0.0.0.0/zero 10.0.0.1/8 all ${broken} 192.0.2.0/24`);
  t.deepEqual(list.rules, [plain('192.0.2.0/24')]);
  const peer = { initiator: 'iqn.2026-11.com.example:z', address: '10.0.0.1', user: null };
  t.is(list.admits(peer), 'none');
});
