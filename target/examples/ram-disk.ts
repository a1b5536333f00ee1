/**
 * The ten lines of the README: a RAM disk of 256 MiB for hosts of this machine.
 *
 *   node examples/ram-disk.ts [port]
 */
import { IscsiServer, RamDevice } from 'node-iscsi-target';

const server = new IscsiServer();
const target = server.addTarget({
  name: 'iqn.2026-11.com.example:ram',
  access: (peer) => (peer.address === '127.0.0.1' ? 'read-write' : 'none'),
});
target.scsi.add(0, new RamDevice({ bytes: 256 * 1024 * 1024 }));
const { port } = await server.listen({ host: '127.0.0.1', port: Number(process.argv[2] ?? 3260) });
process.stdout.write(`iscsi://127.0.0.1:${port}/${target.name}/0\n`);
