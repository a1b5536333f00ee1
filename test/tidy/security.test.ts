/** docs/security.md names a test for every class of attack, and each of these files is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { root } from '#test/kit/tree.ts';

const document = readFileSync(join(root, 'docs/security.md'), 'utf8');
const rows = document
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .slice(2)
  .map((line) => line.split('|').slice(1, -1));

test('every class of attack has its tests, and they exist', (t) => {
  t.true(rows.length >= 13, `${rows.length} rows`);
  for (const [attack, , tests] of rows) {
    const files = [...(tests ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
    t.true(files.length > 0, `${attack} has no test`);
    for (const file of files) {
      t.regex(file, /^test\/.+\.test\.ts$/, attack);
      t.true(existsSync(join(root, file)), `${attack}: there is no ${file}`);
    }
  }
});

test('the promises of the README lead there', (t) => {
  t.regex(readFileSync(join(root, 'README.md'), 'utf8'), /\(docs\/security\.md\)/);
});
