/** Target names are unique for ever and legal iSCSI names; the NAA designator is of type 6. */
import test from 'ava';
import { normalName } from 'node-iscsi-target';
import { isIqnBase, naaHex, targetName } from '#appliance/names.ts';

const base = 'iqn.2026-11.internal.petal';

test('a target is named after base, installation and disk', (t) => {
  t.is(targetName(base, '1a2b3c4d', 'disk0', new Set()), `${base}:1a2b3c4d:disk0`);
});

test('a name that was ever given is not given again', (t) => {
  const taken = new Set<string>();
  for (const expected of ['vm', 'vm-2', 'vm-3']) {
    const name = targetName(base, '1a2b3c4d', 'vm', taken);
    t.is(name, `${base}:1a2b3c4d:${expected}`);
    taken.add(name);
  }
});

test('the longest target name is a legal iSCSI name', (t) => {
  const longest = `iqn.2026-11.${'a'.repeat(108)}`;
  t.true(isIqnBase(longest));
  const taken = new Set([`${longest}:1a2b3c4d:${'d'.repeat(63)}`]);
  const name = targetName(longest, '1a2b3c4d', 'd'.repeat(63), taken);
  t.is(normalName(name), name);
});

const bases: readonly (readonly [string, boolean])[] = [
  [base, true],
  ['iqn.2026-11.com.example:storage', true],
  ['iqn.2026-11.com.example:', false],
  ['iqn.2026-00.com.example', false],
  ['eui.02004567a425678d', false],
  ['petal', false],
  [`iqn.2026-11.${'a'.repeat(109)}`, false],
];

for (const [text, good] of bases) {
  test(`'${text.slice(0, 40)}' ${good ? 'may' : 'may not'} start target names`, (t) => {
    t.is(isIqnBase(text), good);
  });
}

test('NAA is 6 and the last 124 bits of the id', (t) => {
  t.is(naaHex('f123456789abcdef0123456789abcdef'), '6123456789abcdef0123456789abcdef');
});
