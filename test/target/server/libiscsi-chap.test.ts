/** libiscsi, an initiator that is not ours, proves itself and has the target prove itself over TCP. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { IscsiServer, RamDevice } from '../../../target/index.ts';
import { MUTUAL, policy, SECRET, USER } from '../session/chap-kit.ts';
import { INITIATOR, MIB, NAME } from '../session/kit.ts';

const run = promisify(execFile);

async function serve(redirectTo?: number): Promise<{ server: IscsiServer; port: number }> {
  const server = new IscsiServer({
    limits: { logoutRequestMs: 1 },
    discoveryChap: () => policy,
  });
  const target = server.addTarget({
    name: NAME,
    chap: () => policy,
    access: ({ user }) => (user === USER ? 'read-write' : 'none'),
    redirect: () =>
      redirectTo === undefined ? null : { address: `127.0.0.1:${redirectTo}`, permanent: false },
  });
  target.scsi.add(0, new RamDevice({ bytes: 8 * MIB }));
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return { server, port };
}

/** The standard INQUIRY data as iscsi-inq prints them; rejects when it cannot log in. */
async function inquiry(port: number, user: string, query = ''): Promise<string> {
  const url = `iscsi://${user}127.0.0.1:${port}/${NAME}/0${query}`;
  return (await run('iscsi-inq', ['-i', INITIATOR, url], { timeout: 20_000 })).stdout;
}

test('CHAP', async (t) => {
  const { server, port } = await serve();
  const mutual = `?target_user=${MUTUAL.name}&target_password=${MUTUAL.secret}`;
  t.regex(await inquiry(port, `${USER}%${SECRET}@`), /RAM DISK/);
  t.regex(await inquiry(port, `${USER}%${SECRET}@`, mutual), /RAM DISK/, 'both ways');
  await t.throwsAsync(inquiry(port, `${USER}%wrong-password@`));
  await t.throwsAsync(inquiry(port, ''));
  await t.throwsAsync(
    inquiry(
      port,
      `${USER}%${SECRET}@`,
      `?target_user=${MUTUAL.name}&target_password=not-the-secret`,
    ),
    undefined,
    'the target has another secret: the initiator goes',
  );
  const ls = async (user: string) =>
    (await run('iscsi-ls', ['-i', INITIATOR, `iscsi://${user}127.0.0.1:${port}`])).stdout;
  t.true((await ls(`${USER}%${SECRET}@`)).includes(NAME), 'discovery');
  await t.throwsAsync(ls(''));
  await server.close();
});

test('a redirected login ends where it was sent, with its proof', async (t) => {
  const there = await serve();
  const here = await serve(there.port);
  t.regex(await inquiry(here.port, `${USER}%${SECRET}@`), /RAM DISK/);
  await here.server.close();
  await there.server.close();
});
