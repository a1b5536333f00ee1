/** A mistyped name finds the near one, and a foreign word finds nothing. */
import test from 'ava';
import { nearest } from '#appliance/suggest.ts';

const known = ['disk0', 'database', 'vm-images', 'web'];

const cases: readonly (readonly [string, string | null])[] = [
  ['dsk0', 'disk0'],
  ['disk1', 'disk0'],
  ['databse', 'database'],
  ['vmimages', 'vm-images'],
  ['wbe', 'web'],
  ['mail', null],
  ['x', null],
  ['', null],
];

for (const [word, expected] of cases) {
  test(`'${word}' is near ${expected ?? 'nothing'}`, (t) => t.is(nearest(word, known), expected));
}
