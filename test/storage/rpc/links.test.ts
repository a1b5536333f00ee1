/** One live channel for each server, whatever the network does; what was sent and what was not are told apart. */
import test from 'ava';
import { RpcError } from '#storage/rpc/failure.ts';
import { limits } from '#storage/rpc/limits.ts';
import { echo, SimServers } from '#test/kit/links.ts';

const soon = { deadlineMs: 1000 };
const patient = { deadlineMs: 60_000 };

test('death in flight: what was sent is unknown, and the next call has a new channel', async (t) => {
  const { clock, links, network } = await SimServers.start(1, 'a', 'b');
  await clock.until(links.a!.call('b', 'echo', echo(0), soon));
  network.delay('b', 'a', 20);
  const call = links.a!.call('b', 'echo', echo(1), patient);
  clock.after(5, () => network.reset('a', 'b'));
  const error = await t.throwsAsync(clock.until(call), { instanceOf: RpcError });
  t.deepEqual([error.reason, error.sent, error.code], ['closed', true, 'UNKNOWN_OUTCOME']);
  t.is((await clock.until(links.a!.call('b', 'echo', echo(2), soon))).body.number, 2);
});

test('calls that were not sent when a channel died go over the next one', async (t) => {
  const { clock, links, network, heard } = await SimServers.start(2, 'a', 'b');
  await clock.until(links.a!.call('b', 'echo', echo(0), soon));
  network.delay('b', 'a', 20);
  const calls = Array.from({ length: limits.rpcCalls + 5 }, (_, n) =>
    links.a!.call('b', 'echo', echo(n + 1), patient),
  );
  clock.after(5, () => network.reset('a', 'b'));
  const results = await clock.until(Promise.allSettled(calls));
  t.is(results.filter(({ status }) => status === 'rejected').length, limits.rpcCalls);
  t.is(results.filter(({ status }) => status === 'fulfilled').length, 5);
  t.is(new Set(heard.map(({ number }) => number)).size, heard.length);
});

test('nobody there: tried again with back-off until the deadline, then told as not sent', async (t) => {
  const servers = new SimServers(3, 'a', 'b');
  const links = await servers.boot('a');
  const { clock } = servers;
  const error = await t.throwsAsync(clock.until(links.call('b', 'echo', echo(1), soon)), {
    instanceOf: RpcError,
  });
  t.deepEqual([error.reason, error.sent], ['deadline', false]);
  const refused = links.call('b', 'echo', echo(1), { ...soon, whenFull: 'refuse' });
  t.is((await t.throwsAsync(clock.until(refused), { instanceOf: RpcError })).reason, 'closed');
  const later = links.call('b', 'echo', echo(2), patient);
  await servers.boot('b');
  t.is((await clock.until(later)).body.by, 'b');
});

test('simultaneous opens are settled: both sides use one channel, and no call is lost', async (t) => {
  for (let seed = 0; seed < 50; seed += 1) {
    const { clock, links, random, network } = await SimServers.start(seed, 'a', 'b');
    const gap = random.below(2);
    const one = links.a!.call('b', 'echo', echo(1), soon);
    const other = new Promise<unknown>((resolve, reject) => {
      clock.after(gap, () => {
        links.b!.call('a', 'echo', echo(2), soon).then(resolve, reject);
      });
    });
    await clock.until(Promise.all([one, other]));
    await clock.until(new Promise<void>((resolve) => clock.after(5000, resolve)));
    t.is(network.connections, 1, `seed ${seed}`);
    await clock.until(links.a!.call('b', 'echo', echo(3), soon));
    await clock.until(links.b!.call('a', 'echo', echo(4), soon));
    t.is(network.connections, 1, `seed ${seed}`);
  }
});

test('a channel that only one side still believes in goes when the other opens anew', async (t) => {
  const { clock, links, network } = await SimServers.start(4, 'a', 'b');
  await clock.until(links.a!.call('b', 'echo', echo(0), soon));
  // b loses it, and a does not hear of that.
  network.cut('b', 'a');
  network.loseEnd('b', 'a');
  await Promise.resolve();
  network.heal('b', 'a');
  await clock.until(links.b!.call('a', 'echo', echo(1), soon));
  t.is(network.connections, 1);
  await clock.until(links.a!.call('b', 'echo', echo(2), soon));
  t.is(network.connections, 1);
});

test('a server that was started anew is reached without its old channel', async (t) => {
  const servers = await SimServers.start(5, 'a', 'b');
  const { clock, network, links } = servers;
  await clock.until(links.a!.call('b', 'echo', echo(0), soon));
  network.cut('b', 'a');
  network.crash('b');
  network.heal('b', 'a');
  const again = await servers.boot('b');
  await clock.until(again.call('a', 'echo', echo(1), soon));
  t.is((await clock.until(links.a!.call('b', 'echo', echo(2), soon))).body.number, 2);
});

test('a one-way cut stalls the channel; it dies without a sign of life, and calls are told unknown', async (t) => {
  for (const [from, to] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const { clock, links, network } = await SimServers.start(6, 'a', 'b');
    await clock.until(links.a!.call('b', 'echo', echo(0), soon));
    network.cut(from, to);
    const call = links.a!.call('b', 'echo', echo(1), patient);
    const error = await t.throwsAsync(clock.until(call), { instanceOf: RpcError });
    t.is(error.code, 'UNKNOWN_OUTCOME');
    t.true(clock.now() < limits.rpcPingMs * (limits.rpcPings + 3));
    network.heal(from, to);
    t.is((await clock.until(links.a!.call('b', 'echo', echo(2), patient))).body.number, 2);
  }
});

test('a short cut only delays', async (t) => {
  const { clock, links, network } = await SimServers.start(7, 'a', 'b');
  await clock.until(links.a!.call('b', 'echo', echo(0), soon));
  network.cut('a', 'b');
  clock.after(3000, () => network.heal('a', 'b'));
  t.is((await clock.until(links.a!.call('b', 'echo', echo(1), patient))).body.number, 1);
});

test('a frozen server answers after it thaws, and its own calls are judged by its own clock', async (t) => {
  const { clock, links, network } = await SimServers.start(8, 'a', 'b');
  await clock.until(links.a!.call('b', 'echo', echo(0), soon));
  network.freeze('b');
  clock.after(3000, () => network.thaw('b'));
  t.is((await clock.until(links.a!.call('b', 'echo', echo(1), patient))).body.number, 1);
  t.true(clock.now() >= 3000);
});

test('who is no member is neither called nor listened to, from the moment it is none', async (t) => {
  const servers = await SimServers.start(9, 'a', 'b', 'c');
  const { clock, links, heard, members } = servers;
  await clock.until(links.c!.call('a', 'echo', echo(1), soon));
  const going = links.c!.call('a', 'echo', echo(2), soon);
  members.splice(members.indexOf('c'), 1);
  links.a!.recheck();
  await t.throwsAsync(clock.until(going));
  const out = links.a!.call('c', 'echo', echo(3), soon);
  t.is((await t.throwsAsync(out, { instanceOf: RpcError })).reason, 'stranger');
  const again = links.c!.call('a', 'echo', echo(4), soon);
  await t.throwsAsync(clock.until(again), { instanceOf: RpcError });
  t.deepEqual(
    heard.map(({ number }) => number),
    [1],
  );
});

test('closing ends what is in flight and takes no more', async (t) => {
  const { clock, links } = await SimServers.start(10, 'a', 'b');
  links.b!.serve('echo', () => new Promise(() => {}));
  const call = links.a!.call('b', 'echo', echo(1), patient);
  clock.after(100, () => void links.a!.close());
  t.true((await t.throwsAsync(clock.until(call), { instanceOf: RpcError })).sent);
  await t.throwsAsync(links.a!.call('b', 'echo', echo(2), patient), { instanceOf: RpcError });
});
