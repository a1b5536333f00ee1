/** What is wrong with flags or file is said in one line, with where and what is allowed; exit 2. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { readConfig } from '#appliance/config.ts';
import { run } from '#test/kit/run.ts';
import { temporaryDirectory } from '#test/kit/temp.ts';

const petald = fileURLToPath(new URL('../../appliance/bin/petald', import.meta.url));

const wrongFlags: readonly (readonly [string[], RegExp])[] = [
  [['--bogus'], /unknown option '--bogus'/],
  [['extra'], /too many arguments/],
  [['--api'], /argument missing/],
  [['--api', '3280'], /^petald: --api: '3280' is not allowed; allowed: HOST:PORT/],
  [['--api', '127.0.0.1:99999'], /--api: .*allowed: HOST:PORT/],
  [['--iscsi', '127.0.0.1:1', '--iscsi', '::1:2'], /--iscsi: '::1:2' is not allowed/],
  [['--store-size', '10GB'], /--store-size: '10GB' is not allowed; allowed: a size like/],
  [['--cache-size', '1M'], /--cache-size: '1M' is not allowed; .*at least 16 MiB/],
  [['--iqn-base', 'petal'], /--iqn-base: 'petal' is not allowed; allowed: iqn\.YYYY-MM/],
  [['--store', '/a', '--store', '/a'], /--store: '\/a' is given twice/],
  [['--layout', 'parity:9'], /--layout: 'parity:9' is not allowed; allowed: single, striped/],
  [['--rebuild-share', '0%'], /--rebuild-share: '0%' is not allowed; allowed: 1% to 99%/],
  [['--log-level', 'loud'], /--log-level: 'loud' is not allowed; allowed: trace, debug/],
];

for (const [args, message] of wrongFlags) {
  test(`petald ${args.join(' ')}`, async (t) => {
    const directory = await temporaryDirectory(t);
    const result = await run(petald, ['--data', directory, ...args], { timeoutMs: 20_000 });
    t.is(result.status, 2, result.output);
    t.regex(result.stderr, message);
    t.is(result.stdout, '');
    t.notRegex(result.stderr, /\n\s+at /, 'no stack');
  });
}

const wrongFiles: readonly (readonly [string, RegExp])[] = [
  ['{ "api": ', /petald\.json: not valid JSON/],
  ['', /petald\.json: not valid JSON/],
  ['[]', /petald\.json: must hold a JSON object/],
  ['7', /petald\.json: must hold a JSON object/],
  ['{ "apii": "127.0.0.1:1" }', /petald\.json: unknown key 'apii'; allowed: iscsi, api, store/],
  ['{ "wipe": "true" }', /petald\.json: unknown key 'wipe'/],
  ['{ "api": 3280 }', /petald\.json: api must be string; api takes HOST:PORT/],
  ['{ "iscsi": "127.0.0.1:3260" }', /iscsi must be array; iscsi takes a list of texts/],
  ['{ "iscsi": [] }', /petald\.json: iscsi must NOT have fewer than 1 items/],
  ['{ "iscsi": [3260] }', /petald\.json: iscsi\/0 must be string; iscsi takes a list/],
  ['{ "logLevel": "loud" }', /logLevel must be equal to one of.*takes trace, debug/],
  ['{ "api": "nowhere" }', /petald\.json: api: 'nowhere' is not allowed; allowed: HOST:PORT/],
  ['{ "storeSize": "10GB" }', /petald\.json: storeSize: '10GB' is not allowed/],
];

for (const [index, [text, message]] of wrongFiles.entries()) {
  test(`file ${index}: ${text}`, async (t) => {
    const directory = await temporaryDirectory(t);
    await writeFile(join(directory, 'petald.json'), text);
    const result = await run(petald, ['--data', directory], { timeoutMs: 20_000 });
    t.is(result.status, 2, result.output);
    t.regex(result.stderr, message);
    t.is(result.stderr.trimEnd().split('\n').length, 1, result.stderr);
    t.true(result.stderr.includes(directory), 'the file is named');
  });
}

test('a data directory that cannot be made is said so', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'file'), '');
  for (const data of [join(directory, 'file', 'data'), '/proc/petal']) {
    const result = await run(petald, ['--data', data], { timeoutMs: 20_000 });
    t.is(result.status, 2, result.output);
    t.regex(result.stderr, /^petald: --data: cannot make /);
  }
});

test('flags win over the file, the file over defaults', async (t) => {
  const directory = await temporaryDirectory(t);
  const file = {
    api: '127.0.0.1:1',
    iscsi: ['127.0.0.1:2', '[::1]:3'],
    storeSize: '1GiB',
    store: 'sub/disk',
    logLevel: 'warn',
  };
  await writeFile(join(directory, 'petald.json'), JSON.stringify(file));
  t.like(readConfig(['--data', directory]), {
    dataDirectory: directory,
    api: { host: '127.0.0.1', port: 1 },
    storeSizeBytes: 1024 ** 3,
    // Relative to the file it stands in, not to wherever petald was started.
    stores: [join(directory, 'sub/disk')],
    warnFreeShare: 0.2,
    cacheBytes: 256 * 1024 ** 2,
    iqnBase: 'iqn.2026-11.internal.petal',
    logLevel: 'warn',
    wipe: false,
  });
  const flags = ['--data', directory, '--api', '127.0.0.1:9', '--iscsi', '127.0.0.1:8', '--wipe'];
  const config = readConfig(flags);
  t.like(config, { api: { host: '127.0.0.1', port: 9 }, wipe: true });
  t.deepEqual('exit' in config ? null : config.iscsi, [
    { host: '127.0.0.1', port: 8, portalGroup: 1 },
  ]);
});

test('without flags and file the defaults hold, on loopback', async (t) => {
  const directory = join(await temporaryDirectory(t), 'deep', 'data');
  t.deepEqual(readConfig(['--data', directory]), {
    dataDirectory: directory,
    iscsi: [{ host: '127.0.0.1', port: 3260, portalGroup: 1 }],
    api: { host: '127.0.0.1', port: 3280 },
    stores: [join(directory, 'store.petal')],
    layout: null,
    rebuildShare: 0.3,
    scrubDays: 30,
    storeSizeBytes: null,
    warnFreeShare: 0.2,
    cacheBytes: 256 * 1024 ** 2,
    writeBackBytes: 256 * 1024 ** 2,
    iqnBase: 'iqn.2026-11.internal.petal',
    logLevel: 'info',
    wipe: false,
  });
});

test('help shows every default, version the version; both end with 0', async (t) => {
  const help = await run(petald, ['--help'], { timeoutMs: 20_000 });
  t.is(help.status, 0);
  for (const text of ['127.0.0.1:3260', '127.0.0.1:3280', '256MiB', 'lesser of 20 GiB', 'Exit']) {
    t.true(help.stdout.includes(text), text);
  }
  const version = await run(petald, ['--version'], { timeoutMs: 20_000 });
  t.is(version.status, 0);
  t.regex(version.stdout, /^petald \d+\.\d+\.\d+\n$/);
});
