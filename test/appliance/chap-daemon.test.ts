/** With CHAP only who knows a secret gets in: by libiscsi, by the test initiator, in both directions. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Daemon } from '#test/kit/daemon.ts';
import { LoginRefused } from '#test/kit/initiator.ts';
import { within } from '#test/kit/process.ts';
import { run } from '#test/kit/run.ts';
import { logInByChap } from './chap-login.ts';
import { asOwner, daemonInfo, petal, storeSize } from './harness.ts';

const secret = 'secret-of-anna';
const own = 'secret-of-disk';
const cli = new URL('../../appliance/cli/main.ts', import.meta.url).pathname;

/** `petal chap set …` with the secrets on stdin. */
function setChap(daemon: Daemon, args: readonly string[], secrets: readonly string[]) {
  const input = `${secrets.join('\n')}\n`;
  const whole = [cli, '--data', daemon.directory, 'chap', 'set', ...args];
  return run(process.execPath, whole, { input, timeoutMs: 30_000 });
}

/** Runs a command at a terminal and types a line at each question. */
async function typeAt(command: string, lines: readonly string[]) {
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: 'pipe' });
  let shown = '';
  let typed = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    const questions = shown.split(': ').length - 1;
    if (questions > typed && typed < lines.length) child.stdin.write(`${lines[typed++]}\r`);
  });
  const status = await new Promise((resolve) => child.once('close', resolve));
  return { status, shown };
}

/** iscsi-inq logs in to the disk, iscsi-ls only to discovery. */
const inquire = (url: string) => run('iscsi-inq', [url], { timeoutMs: 30_000 });
const discover = (url: string) => run('iscsi-ls', [url], { timeoutMs: 30_000 });

const refusal = { instanceOf: LoginRefused, message: /2.*1/ } as const;

test('libiscsi gets in with the right secret, and in no other way', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const said = await setChap(daemon, ['disk0', 'anna', '--mutual', 'petal'], [secret, own]);
  t.is(said.status, 0, said.output);
  t.is(said.stdout, 'disk0 needs CHAP as anna; the target proves itself as petal\n');
  const { iqn } = await daemon.disk();
  const url = (login: string, query = '') =>
    `iscsi://${login}127.0.0.1:${daemon.port}/${iqn}/0${query}`;
  const right = `anna%${secret}@`;
  const table = [
    [url(right), 0],
    [url(right, `?target_user=petal&target_password=${own}`), 0],
    [url(''), 1],
    [url('anna%secret-of-anno@'), 1],
    [url(`bert%${secret}@`), 1],
    [url(`petal%${own}@`), 1],
    [url(right, '?target_user=petal&target_password=secret-of-disc'), 1],
    [url(right, `?target_user=other&target_password=${own}`), 1],
  ] as const;
  for (const [where, failed] of table) {
    const result = await inquire(where);
    t.is(result.status === 0 ? 0 : 1, failed, `${where}\n${result.output}`);
  }
  // Discovery has no CHAP of its own and shows the disk.
  t.true((await discover(`iscsi://127.0.0.1:${daemon.port}`)).stdout.includes(iqn));
});

test('discovery with CHAP shows nothing to who does not prove a user', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  t.is((await setChap(daemon, ['--discovery', 'anna'], [secret])).status, 0);
  await daemon.kill();
  await daemon.launch();
  const { iqn } = await daemon.disk();
  const portal = `127.0.0.1:${daemon.port}`;
  t.true((await discover(`iscsi://anna%${secret}@${portal}`)).stdout.includes(iqn));
  for (const login of ['', 'anna%secret-of-anno@']) {
    const result = await discover(`iscsi://${login}${portal}`);
    t.false(result.output.includes(iqn), result.output);
    t.not(result.status, 0);
  }
  // The disk itself is another matter.
  await (await daemon.login(await daemon.disk())).logout();
  const listed = await petal(daemon, 'chap', 'ls', '--discovery');
  t.is(listed.stdout, 'discovery needs CHAP as anna\n');
  t.is((await petal(daemon, 'chap', 'rm', '--discovery')).status, 0);
  t.is((await discover(`iscsi://${portal}`)).status, 0);
});

test('CHAP turned on ends sessions without it; a removed user ends his', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const disk = await daemon.disk();
  const before = await daemon.login(disk);
  await setChap(daemon, ['disk0', 'anna'], [secret]);
  t.not(await within(before.wire.ended, 10_000), 'late');
  await t.throwsAsync(daemon.login(disk), refusal);
  const login = { port: daemon.port, target: disk.iqn, user: 'anna', secret };
  await t.throwsAsync(logInByChap({ ...login, secret: 'secret-of-anno' }), refusal);
  await t.throwsAsync(logInByChap({ ...login, user: 'nobody' }), refusal);
  const anna = await logInByChap(login);
  await setChap(daemon, ['disk0', 'bert'], ['secret-of-bert']);
  const bert = await logInByChap({ ...login, user: 'bert', secret: 'secret-of-bert' });
  t.like(await daemon.petal('session', 'ls'), { 0: { user: 'anna' }, 1: { user: 'bert' } });
  await daemon.petal('chap', 'rm', 'disk0', 'anna');
  t.not(await within(anna.ended, 10_000), 'late');
  await t.throwsAsync(logInByChap(login), refusal);
  t.like(await daemon.petal('session', 'ls'), { 0: { user: 'bert' }, length: 1 });
  const last = await petal(daemon, 'chap', 'rm', 'disk0', 'bert');
  t.is(last.status, 1);
  t.regex(last.stderr, /'bert' is the last CHAP user/);
  bert.close();
  await daemon.petal('chap', 'rm', 'disk0');
  await (await daemon.login(disk)).logout();
});

test('secrets are kept over kill -9 and come out nowhere', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize, args: ['--log-level', 'trace'] });
  await setChap(daemon, ['disk0', 'anna', '--mutual', 'petal'], [secret, own]);
  await setChap(daemon, ['--discovery', 'anna'], [secret]);
  await daemon.kill();
  await daemon.launch();
  const { iqn } = await daemon.disk();
  (await logInByChap({ port: daemon.port, target: iqn, user: 'anna', secret })).close();
  await t.throwsAsync(
    logInByChap({ port: daemon.port, target: iqn, user: 'anna', secret: 'secret-of-anno' }),
    refusal,
  );
  const info = await daemonInfo(daemon);
  const texts = [daemon.log, await readFile(join(daemon.directory, 'daemon.json'), 'utf8')];
  for (const path of [
    'disks',
    'disks/disk0',
    'disks/disk0/chap',
    'discovery/chap',
    'status',
    'sessions',
  ]) {
    const answer = await asOwner(info, { path: `/api/v1/${path}` });
    t.is(answer.status, 200, path);
    texts.push(answer.text);
  }
  const refused = await asOwner(info, {
    method: 'POST',
    path: '/api/v1/disks/disk0/chap',
    payload: JSON.stringify({ user: 'anna', secret: 'secret-of-too-long' }),
  });
  t.is(refused.status, 400);
  texts.push(refused.text);
  for (const text of texts) t.false(text.includes('secret-of'), text);
});

test('a generated secret is shown once and works', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const made = (await daemon.petal('chap', 'set', 'disk0', 'anna', '--generate')) as {
    generated: { user: string; secret: string };
  };
  t.regex(made.generated.secret, /^[A-Za-z0-9_-]{16}$/);
  const { iqn } = await daemon.disk();
  (await logInByChap({ port: daemon.port, target: iqn, ...made.generated })).close();
  const again = await petal(daemon, 'chap', 'set', 'disk0', 'anna', '--generate');
  t.regex(again.stdout, /^user {4}anna\nsecret {2}\S{16}\nThis is shown only now\.\n$/m);
  await t.throwsAsync(
    logInByChap({ port: daemon.port, target: iqn, ...made.generated }),
    refusal,
    'the old one is no good any more',
  );
});

test('what cannot be a secret is refused before anything changes', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const table: readonly (readonly [string[], string[], number, RegExp])[] = [
    [['disk0', 'anna'], ['short'], 1, /12 to 16 characters/],
    [['disk0', 'anna'], [''], 2, /a line with the secret of anna$/m],
    [['disk0', 'anna'], [secret, own], 2, /a line with the secret of anna$/m],
    [['disk0', 'anna', '--mutual', 'petal'], [secret], 2, /then one with that of the target/],
    [['disk0', 'anna', '--mutual', 'petal'], [secret, secret], 1, /a secret of its own/],
    [['disk0', 'an na'], [secret], 1, /user name has/],
    [['disk0'], [secret], 2, /which USER/],
    [[], [secret], 2, /which DISK/],
    [['--discovery', 'disk0', 'anna'], [secret], 2, /takes no DISK/],
    [['disk1', 'anna'], [secret], 1, /did you mean 'disk0'/],
  ];
  for (const [args, secrets, status, message] of table) {
    const result = await setChap(daemon, args, secrets);
    t.is(result.status, status, result.output);
    t.regex(result.stderr, message);
  }
  t.is((await petal(daemon, 'chap', 'ls', 'disk0')).stdout, 'disk0 needs no CHAP\n');
});

test('at a terminal the secret is asked for twice and not shown', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  const command = `'${process.execPath}' '${cli}' --data '${daemon.directory}' chap set disk0 anna`;
  const differ = await typeAt(command, [secret, 'secret-of-anno']);
  t.is(differ.status, 2, differ.shown);
  t.regex(differ.shown, /not the same; nothing is changed/);
  const same = await typeAt(command, [`x\u007f${secret}`, secret]);
  t.is(same.status, 0, same.shown);
  t.regex(same.shown, /^Secret of anna: \s+The same again: \s+disk0 needs CHAP as anna\s+$/);
  for (const { shown } of [differ, same]) t.false(shown.includes('secret-of'), shown);
  const { iqn } = await daemon.disk();
  (await logInByChap({ port: daemon.port, target: iqn, user: 'anna', secret })).close();
});

test('hosts elsewhere: read-only, by user, and a change holds for living sessions', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize, args: ['--iscsi', '0.0.0.0:0'] });
  const host = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
  if (host === undefined) throw new Error('this test wants an IPv4 address beside loopback');
  const info = await daemonInfo(daemon);
  const port = Number((info.iscsi[1] ?? '').split(':').at(-1));
  const disk = await daemon.disk();
  const elsewhere = { host, port };
  const shown = async () => (await discover(`iscsi://${host}:${port}`)).stdout.includes(disk.iqn);
  t.false(await shown());
  await t.throwsAsync(daemon.login(disk, elsewhere), { instanceOf: LoginRefused });

  await daemon.petal('access', 'allow', 'disk0', host, '--read-only');
  t.true(await shown());
  const reader = await daemon.login(disk, elsewhere);
  await reader.settle();
  await reader.read(0, 8);
  await t.throwsAsync(reader.write(0, Buffer.alloc(512)), { message: /07\/27\/00/ });

  await daemon.petal('access', 'allow', 'disk0', host);
  t.not(await within(reader.wire.ended, 10_000), 'late', 'it has to log in anew to write');
  const writer = await daemon.login(disk, elsewhere);
  await writer.settle();
  await writer.write(0, Buffer.alloc(512, 1));

  await setChap(daemon, ['disk0', 'anna'], [secret]);
  await setChap(daemon, ['disk0', 'bert'], ['secret-of-bert']);
  await daemon.petal('access', 'allow', 'disk0', host, '--user', 'anna');
  await daemon.petal('access', 'deny', 'disk0', host);
  t.false(await shown(), 'deny takes every grant of the host');
  await daemon.petal('access', 'allow', 'disk0', host, '--user', 'anna');
  t.true(await shown(), 'whoever may prove a user sees it');
  const login = { ...elsewhere, target: disk.iqn, user: 'anna', secret };
  const anna = await logInByChap(login);
  await t.throwsAsync(
    logInByChap({ ...login, user: 'bert', secret: 'secret-of-bert' }),
    { instanceOf: LoginRefused },
    'a user whom no rule lets in from there',
  );
  await daemon.petal('access', 'deny', 'disk0', host, '--user', 'anna');
  t.not(await within(anna.ended, 10_000), 'late');
});
