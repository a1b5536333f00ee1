/** A server that is asked for more than its peer fetches keeps a bounded amount, and loses nothing. */
import test from 'ava';
import { limits } from '#storage/rpc/limits.ts';
import { TestCluster } from '#test/kit/certificates.ts';
import { echo, testLinks } from '#test/kit/links.ts';

test('answers to a reader that stands still wait, bounded, and arrive in the end', async (t) => {
  const cluster = await TestCluster.make();
  const [served, calling] = [await cluster.member('b'), await cluster.member('a')];
  const server = testLinks({ self: 'b', transport: served, addressOf: () => 'none:1' });
  const mib = new Uint8Array(1024 * 1024);
  let going = 0;
  server.serve('echo', ({ body }) => {
    going += 1;
    return { body: { number: body.number, by: 'b' }, payload: mib };
  });
  const address = await server.listen('127.0.0.1:0');
  const client = testLinks({ self: 'a', transport: calling, addressOf: () => address });
  t.teardown(() => Promise.all([client.close(), server.close()]).then(() => {}));
  const calls = Array.from({ length: 40 }, (_, n) =>
    client.call('b', 'echo', echo(n, mib.length), { deadlineMs: 60_000 }),
  );
  let answered = 0;
  for (const [index, call] of calls.entries()) {
    const { body, payload } = await call;
    t.deepEqual([body.number, payload.length], [index, mib.length]);
    answered += 1;
    // What is asked for and not answered never exceeds what may be.
    t.true((going - answered) * mib.length <= limits.rpcCallBytes);
  }
});
