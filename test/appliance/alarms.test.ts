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
  const daemon = await MemoryDaemon.forTest(t, '--warn-free', '90%');
  const fine = await daemon.say('status');
  t.is(fine.status, 0, fine.output);
  t.regex(fine.stdout, /\npromised +10 GiB to hosts, \d{5} % of what can be filled\n/);
  const host = await daemon.login(daemon.verbs.disks.show('disk0'));
  await host.settle();
  for (let at = 0; at < 8; at++) {
    // Hosts are warned, too: the command that is told of it is sent again.
    const write = () => host.write(at * 2048, Buffer.alloc(2 ** 20, 1));
    await write().catch(write);
  }
  const low = await daemon.say('status');
  t.is(low.status, 4, low.output);
  t.regex(low.stdout, /\nALARM +[\d.]+ MiB of [\d.]+ MiB are free, less than [\d.]+ MiB\n/);
  const json = await daemon.say('--json', 'status');
  t.is(json.status, 4);
  const { alarms, store } = JSON.parse(json.stdout) as Status;
  t.deepEqual(
    alarms.map(({ code }) => code),
    ['LOW_SPACE'],
  );
  t.is(store.provisioned, 10 * GiB);
  t.true(store.overcommit > 100);
});
