/** The log is JSON for machines and short lines for people, and never holds a secret. */

import { fileURLToPath } from 'node:url';
import test from 'ava';
import { forPeople } from '#appliance/log.ts';
import { run } from '#test/kit/run.ts';

const log = fileURLToPath(new URL('../../appliance/log.ts', import.meta.url));

async function logged(terminal: boolean, call: string): Promise<string> {
  const program = `import { makeLog } from '${log}'; makeLog('info', ${terminal}).${call};`;
  const result = await run(process.execPath, ['--input-type=module', '--eval', program]);
  if (result.status !== 0) throw new Error(result.output);
  return result.stderr;
}

for (const terminal of [true, false]) {
  test(`secrets are redacted, ${terminal ? 'for people' : 'for machines'}`, async (t) => {
    const secrets = `{ token: 'geheim', a: { token: 'geheim' }, headers: { authorization: 'geheim' } }`;
    const text = await logged(terminal, `info(${secrets}, 'hello')`);
    t.false(text.includes('geheim'), text);
    t.true(text.includes('[redacted]') && text.includes('hello'));
  });
}

test('a line for machines is one JSON object with level, time and message', async (t) => {
  const text = await logged(false, `warn({ disk: 'disk0' }, 'watch out')`);
  const line = JSON.parse(text) as Record<string, unknown>;
  t.like(line, { level: 'warn', disk: 'disk0', msg: 'watch out' });
  t.false(Number.isNaN(Date.parse(String(line.time))));
});

test('a line for people is short, and an error brings its stack', (t) => {
  const line = {
    level: 'info',
    time: '2026-11-21T03:04:05.678Z',
    disk: 'disk0',
    note: 'two words',
    msg: 'disk created',
  };
  t.is(
    forPeople(JSON.stringify(line)),
    '03:04:05 INFO  disk created disk=disk0 note="two words"\n',
  );
  const failed = { ...line, err: { message: 'why', stack: 'Error: why\n    at x' } };
  t.true(forPeople(JSON.stringify(failed)).endsWith('\nError: why\n    at x\n'));
});
