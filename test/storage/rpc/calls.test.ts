/** Calls over a simulated network: answered in any order, in bounds, within their deadlines, or told why not. */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { RpcError } from '#storage/rpc/failure.ts';
import { limits } from '#storage/rpc/limits.ts';
import { echo, SimServers } from '#test/kit/links.ts';

const soon = { deadlineMs: 1000 };

test('a call is answered, with its payload, by whom it asked', async (t) => {
  const { clock, links, heard } = await SimServers.start(1, 'a', 'b');
  const reply = await clock.until(links.a!.call('b', 'echo', echo(7, 4096), soon));
  t.deepEqual(reply.body, { number: 7, by: 'b' });
  t.is(reply.payload.length, 4096);
  t.deepEqual(heard, [{ at: 'b', from: 'a', number: 7 }]);
});

test('requests are handled in their order, answers come in any order', async (t) => {
  const { clock, links } = await SimServers.start(2, 'a', 'b');
  const handled: number[] = [];
  links.b!.serve('echo', ({ body }) => {
    handled.push(body.number);
    const wait = 100 - body.number;
    return new Promise((resolve) => {
      clock.after(wait, () => resolve({ body: { number: body.number, by: 'b' } }));
    });
  });
  const answered: number[] = [];
  const calls = Array.from({ length: 50 }, async (_, number) => {
    const { body } = await links.a!.call('b', 'echo', echo(number), soon);
    t.is(body.number, number);
    answered.push(number);
  });
  await clock.until(Promise.all(calls));
  t.deepEqual(
    handled,
    Array.from({ length: 50 }, (_, number) => number),
  );
  t.deepEqual(answered, [...handled].reverse());
});

test('an error of the handler is the error of the call; the channel lives on', async (t) => {
  const { clock, links } = await SimServers.start(3, 'a', 'b');
  links.b!.serve('echo', async () => {
    throw new StorageError('MISCOMPARE', 'differs', { offset: 512 });
  });
  const call = links.a!.call('b', 'echo', echo(1), soon);
  const error = await t.throwsAsync(clock.until(call), { instanceOf: StorageError });
  t.deepEqual([error.code, error.message, error.offset], ['MISCOMPARE', 'differs', 512]);
  t.deepEqual(
    (await clock.until(links.a!.call('b', 'late', { what: new Uint8Array(3) }, soon))).body,
    {},
  );
});

test('what nobody serves is refused by its own error', async (t) => {
  const { clock, links } = await SimServers.start(4, 'a', 'b');
  const call = links.a!.call('b', 'unserved', {}, soon);
  const error = await t.throwsAsync(clock.until(call), { instanceOf: RpcError });
  t.is(error.reason, 'unsupported');
  await clock.until(links.a!.call('b', 'echo', echo(1), soon));
});

test('a request outside its bounds is refused before anything is sent', async (t) => {
  const { clock, links, heard } = await SimServers.start(5, 'a', 'b');
  const long = { ...echo(1), name: 'x'.repeat(65) };
  const call = links.a!.call('b', 'echo', long, soon);
  t.is((await t.throwsAsync(clock.until(call), { instanceOf: StorageError })).code, 'INVALID');
  await clock.until(links.a!.call('b', 'echo', echo(2), soon));
  t.is(heard.length, 1);
});

test('an answer outside its bounds is an error of the call', async (t) => {
  const { clock, links } = await SimServers.start(6, 'a', 'b');
  links.b!.serve('echo', () => ({ body: { number: 1, by: 'x'.repeat(99) } }));
  const call = links.a!.call('b', 'echo', echo(1), soon);
  t.is((await t.throwsAsync(clock.until(call), { instanceOf: StorageError })).code, 'INVALID');
});

test('no more calls and bytes are in flight than the other side takes; the rest waits or is refused', async (t) => {
  const { clock, links } = await SimServers.start(7, 'a', 'b');
  let going = 0;
  let most = 0;
  const answers: (() => void)[] = [];
  links.b!.serve('echo', ({ body }) => {
    going += 1;
    most = Math.max(most, going);
    return new Promise((resolve) => {
      answers.push(() => {
        going -= 1;
        resolve({ body: { number: body.number, by: 'b' } });
      });
    });
  });
  await clock.until(links.a!.call('b', 'late', { what: new Uint8Array(0) }, soon));
  const late = { deadlineMs: 60_000 };
  const all = Array.from({ length: limits.rpcCalls + 100 }, (_, n) =>
    links.a!.call('b', 'echo', echo(n), late),
  );
  const refused = links.a!.call('b', 'echo', echo(0), { ...late, whenFull: 'refuse' });
  const error = await t.throwsAsync(clock.until(refused), { instanceOf: RpcError });
  t.deepEqual([error.reason, error.sent, error.code], ['full', false, 'BUSY']);
  clock.after(100, function answer() {
    for (const one of answers.splice(0)) one();
    if (going > 0 || answers.length === 0) clock.after(100, answer);
  });
  await clock.until(Promise.all(all));
  t.is(most, limits.rpcCalls);

  const mib = 1024 * 1024;
  most = 0;
  const large = Array.from({ length: 20 }, (_, n) =>
    links.a!.call('b', 'echo', echo(n, mib), late),
  );
  await clock.until(Promise.all(large));
  t.is(most, limits.rpcCallBytes / mib);
});

test('a deadline ends a call that was sent as unknown, one that waited as not sent', async (t) => {
  const { clock, links } = await SimServers.start(8, 'a', 'b');
  let cancelled = 0;
  links.b!.serve('echo', (request) => {
    request.onCancel = () => {
      cancelled += 1;
    };
    return new Promise(() => {});
  });
  const calls = Array.from({ length: limits.rpcCalls + 1 }, (_, n) =>
    links.a!.call('b', 'echo', echo(n), soon),
  );
  const results = await clock.until(Promise.allSettled(calls));
  const errors = results.map((result) => (result as PromiseRejectedResult).reason as RpcError);
  t.true(errors.every(({ reason }) => reason === 'deadline'));
  t.deepEqual([errors[0]!.sent, errors[0]!.code], [true, 'UNKNOWN_OUTCOME']);
  t.deepEqual([errors.at(-1)!.sent, errors.at(-1)!.code], [false, 'BUSY']);
  for (let steps = 0; steps < 5000 && cancelled < limits.rpcCalls; steps += 1) {
    clock.step();
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.is(cancelled, limits.rpcCalls);
});

test('a cancelled call that waits ends at once; of one that was sent the answer counts', async (t) => {
  const { clock, links, heard } = await SimServers.start(9, 'a', 'b');
  const early = new AbortController();
  const waiting = links.a!.call('b', 'echo', echo(1), { ...soon, signal: early.signal });
  early.abort();
  const error = await t.throwsAsync(waiting, { instanceOf: RpcError });
  t.deepEqual([error.reason, error.sent], ['cancelled', false]);
  links.b!.serve('echo', (request) => {
    return new Promise((_resolve, reject) => {
      request.onCancel = () => reject(new StorageError('BUSY', 'stopped'));
    });
  });
  const controller = new AbortController();
  const sent = links.a!.call('b', 'echo', echo(2), { ...soon, signal: controller.signal });
  clock.after(50, () => controller.abort());
  t.is((await t.throwsAsync(clock.until(sent), { instanceOf: StorageError })).message, 'stopped');
  t.true(clock.now() < 500);
  t.is(heard.length, 0);
});
