/** Servers of different versions talk in the highest that both speak, or say why not. */
import test from 'ava';
import { RpcError } from '#storage/rpc/failure.ts';
import { common, type Versions } from '#storage/rpc/versions.ts';
import { echo, SimServers } from '#test/kit/links.ts';

const soon = { deadlineMs: 1000 };
const table: [Versions, Versions, number | null][] = [
  [{ least: 1, most: 1 }, { least: 1, most: 1 }, 1],
  [{ least: 1, most: 2 }, { least: 1, most: 1 }, 1],
  [{ least: 1, most: 3 }, { least: 2, most: 5 }, 3],
  [{ least: 2, most: 3 }, { least: 3, most: 3 }, 3],
  [{ least: 2, most: 2 }, { least: 1, most: 1 }, null],
  [{ least: 1, most: 1 }, { least: 3, most: 9 }, null],
];

for (const [ours, theirs, version] of table) {
  const said = `${ours.least}–${ours.most} and ${theirs.least}–${theirs.most}`;
  test(`${said}: ${version ?? 'refused'}`, async (t) => {
    const servers = new SimServers(1, 'a', 'b');
    const links = await servers.boot('a', ours);
    await servers.boot('b', theirs);
    const call = links.call('b', 'echo', echo(1), soon);
    if (version === null) {
      const error = await t.throwsAsync(servers.clock.until(call), { instanceOf: RpcError });
      t.deepEqual([error.reason, error.sent, error.code], ['version', false, 'INVALID']);
      t.regex(
        error.message,
        new RegExp(`${ours.least}–${ours.most}.*${theirs.least}–${theirs.most}`),
      );
      t.is(servers.heard.length, 0);
    } else {
      t.is((await servers.clock.until(call)).body.number, 1);
      t.is(links.version('b'), version);
      t.is(common(theirs, ours), version);
    }
  });
}

test('a kind that the version does not have is refused, and the channel lives on', async (t) => {
  const servers = new SimServers(2, 'a', 'b');
  const links = await servers.boot('a', { least: 1, most: 2 });
  await servers.boot('b', { least: 1, most: 1 });
  await servers.clock.until(links.call('b', 'echo', echo(1), soon));
  const call = links.call('b', 'late', { what: new Uint8Array(1) }, soon);
  const error = await t.throwsAsync(servers.clock.until(call), { instanceOf: RpcError });
  t.deepEqual([error.reason, error.sent], ['unsupported', false]);
  t.is((await servers.clock.until(links.call('b', 'echo', echo(2), soon))).body.number, 2);
});
