/** A size means the same bytes to everyone, and an ambiguous one is refused with a reason. */
import test from 'ava';
import { formatSize, parseSize } from '#appliance/sizes.ts';

const GiB = 1024 ** 3;

const accepted: readonly (readonly [string, number])[] = [
  ['0', 0],
  ['4096', 4096],
  ['4096B', 4096],
  ['1K', 1024],
  ['512MiB', 512 * 1024 ** 2],
  ['512m', 512 * 1024 ** 2],
  ['10G', 10 * GiB],
  ['10GiB', 10 * GiB],
  ['10 GiB', 10 * GiB],
  ['1.5TiB', 1536 * GiB],
  ['2P', 2 * 1024 ** 5],
  // A fraction is rounded up to whole blocks: 0.1 GiB is 107374182.4 bytes.
  ['0.1G', 107376640],
  ['0.000000000001T', 4096],
];

for (const [text, bytes] of accepted) {
  test(`'${text}' is ${bytes} bytes`, (t) => t.is(parseSize(text), bytes));
}

const refused: readonly (readonly [string, RegExp])[] = [
  ['', /is not a size/],
  ['ten', /is not a size/],
  ['-1G', /is not a size/],
  ['1e9', /is not a size|unit/],
  ['0x10', /is not a size/],
  ['10GB', /powers of 1000 or of 1024; write GiB/],
  ['10kb', /write KiB/],
  ['1.5', /no fraction/],
  ['1.5B', /no fraction/],
  ['1iB', /unit 'iB' is unknown/],
  ['10X', /unit 'X' is unknown/],
  ['9P9', /is not a size/],
  ['9007199254740992', /too large/],
  ['99999P', /too large/],
];

for (const [text, message] of refused) {
  test(`'${text}' is refused`, (t) => {
    t.throws(() => parseSize(text), { name: 'SizeError', message });
  });
}

const shown: readonly (readonly [number, string])[] = [
  [0, '0 B'],
  [1023, '1023 B'],
  [4096, '4 KiB'],
  [10 * GiB, '10 GiB'],
  [1536 * GiB, '1.5 TiB'],
  [GiB + 1, '1.0 GiB'],
  // Rounded, so with a decimal; and never "1024.0 MiB".
  [GiB - 1, '1.0 GiB'],
];

for (const [bytes, text] of shown) {
  test(`${bytes} bytes are shown as ${text}`, (t) => t.is(formatSize(bytes), text));
}
