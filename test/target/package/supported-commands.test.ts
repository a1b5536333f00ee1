/** The page of supported commands says what the dispatch table says. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { commands } from '../../../target/scsi/dispatch.ts';
import { page, pagePath } from '../../tools/supported-commands.ts';

test('docs/supported-commands.md is what the dispatch table generates', (t) => {
  t.is(
    readFileSync(pagePath, 'utf8'),
    page(),
    'run: node test/tools/supported-commands.ts --write',
  );
});

test('the page has one row for each command, with its code and its source', (t) => {
  const rows = page()
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  t.is(rows.length, commands.length);
  commands.forEach(({ name, opcode, source }, index) => {
    const row = rows[index]!;
    t.true(row.includes(`\`${opcode.toString(16).padStart(2, '0')}`), row);
    t.true(row.includes(` ${name} `) && row.includes(` ${source} `), row);
    t.not(source, '');
  });
});
