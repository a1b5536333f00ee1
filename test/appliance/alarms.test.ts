/** A store that is short of space says so in its status, with an exit status of its own, and once in the log. */
import test from 'ava';
import { AlarmLog, alarmsOf } from '#appliance/alarms.ts';
import type { Status } from '#appliance/status.ts';
import { MemoryDaemon } from './memory-daemon.ts';

const GiB = 2 ** 30;

test('from enough to low to full, and failed besides', (t) => {
  const codes = (free: number, warn: number, failed: string | null = null) =>
    alarmsOf({ capacity: 10 * GiB, free, failed }, warn).map(({ code }) => code);
  t.deepEqual(codes(2 * GiB, 2 * GiB), []);
  t.deepEqual(codes(2 * GiB - 1, 2 * GiB), ['LOW_SPACE']);
  t.deepEqual(codes(0, 2 * GiB), ['STORE_FULL']);
  t.deepEqual(codes(GiB, 0), [], 'switched off');
  t.deepEqual(codes(0, 0, 'dead'), ['STORE_FAILED', 'STORE_FULL']);
});

test('the log hears of the beginning and of the end, once each', (t) => {
  const said: string[] = [];
  const note = (facts: object, message: string) => {
    said.push(`${JSON.stringify(facts)} ${message}`);
  };
  const alarms = new AlarmLog({ info: note, warn: note, error: note, fatal: note });
  const low = [{ code: 'LOW_SPACE', message: 'little is left' }] as const;
  for (const now of [[], low, low, [], []]) alarms.look(now);
  t.deepEqual(said, ['{"alarm":"LOW_SPACE"} little is left', '{"alarm":"LOW_SPACE"} is over']);
});

test('petal status shows over-commit and the alarm, and ends with 4', async (t) => {
  const daemon = await MemoryDaemon.forTest(t, 1024);
  const status = (await daemon.say('status')).stdout;
  t.regex(status, /\npromised +10 GiB to hosts, 256000 % of what can be filled\n/);
  const host = await daemon.login(daemon.verbs.disks.show('disk0'));
  await host.settle();
  await host.write(0, Buffer.alloc(900 * 4096, 1));
  const low = await daemon.say('status');
  t.is(low.status, 4, low.output);
  t.regex(low.stdout, /\nALARM +496 KiB of 4 MiB are free: thin disks refuse new data\n/);
  const json = await daemon.say('--json', 'status');
  t.is(json.status, 4);
  const { alarms, store } = JSON.parse(json.stdout) as Status;
  t.deepEqual(
    alarms.map(({ code }) => code),
    ['STORE_FULL'],
  );
  t.like(store, { provisioned: 10 * GiB, overcommit: 2560 });
});
