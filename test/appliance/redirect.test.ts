/** Hosts of a disk that is redirected end up where it is served now; with "off" they are served here again. */
import test from 'ava';
import { IscsiServer, RamDevice } from 'node-iscsi-target';
import { Daemon } from '#test/kit/daemon.ts';
import { until } from '#test/kit/process.ts';
import { run } from '#test/kit/run.ts';
import { petal, storeSize } from './harness.ts';

/** libiscsi follows 01/01 and gives up with 01/02. */
const moved = { temporary: /RAM DISK/, permanent: /Target moved permanently/ };

for (const [kind, expected] of Object.entries(moved)) {
  test(`a ${kind} redirection, as libiscsi sees it`, async (t) => {
    const daemon = await Daemon.forTest(t, { storeSize });
    const disk = await daemon.disk();
    const elsewhere = new IscsiServer();
    t.teardown(() => elsewhere.close());
    elsewhere
      .addTarget({ name: disk.iqn, access: () => 'read-write' })
      .scsi.add(0, new RamDevice({ bytes: 2 ** 20 }));
    const { port } = await elsewhere.listen({ host: '127.0.0.1', port: 0 });
    const product = async () =>
      (await run('iscsi-inq', [`iscsi://127.0.0.1:${daemon.port}/${disk.iqn}/0`])).output;
    t.regex(await product(), /VIRTUAL DISK/);
    const living = await daemon.login(disk);
    await living.settle();
    const flags = kind === 'permanent' ? ['--permanent'] : [];
    await daemon.petal('disk', 'redirect', 'disk0', `127.0.0.1:${port}`, ...flags);
    await until('the living session has gone', 30_000, async () => {
      const { sessions } = JSON.parse(JSON.stringify(await daemon.disk())) as { sessions: number };
      return sessions === 0;
    });
    t.regex(await product(), expected);
    await daemon.kill();
    await daemon.launch();
    t.regex(await product(), expected, 'after a restart, too');
    await daemon.petal('disk', 'redirect', 'disk0', 'off');
    t.regex(await product(), /VIRTUAL DISK/);
  });
}

test('what is no address is refused, and changes nothing', async (t) => {
  const daemon = await Daemon.forTest(t, { storeSize });
  for (const wrong of ['192.0.2.1', '0.0.0.0:3260', '192.0.2.1:0', '[::]:1', 'a b:1', '']) {
    const said = await petal(daemon, 'disk', 'redirect', 'disk0', wrong);
    t.not(said.status, 0, wrong);
  }
  t.like(await daemon.disk(), { redirect: null });
});
