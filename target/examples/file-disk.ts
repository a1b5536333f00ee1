/**
 * A file as a disk, with durable writes, until SIGINT or SIGTERM.
 *
 *   node examples/file-disk.ts FILE [MiB, when the file is new] [port]
 */
import { IscsiServer } from 'node-iscsi-target';
import { FileDevice } from './file-device.ts';

const [path, mebibytes = '256', wanted = '3260'] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write('usage: file-disk.ts FILE [MiB] [port]\n');
  process.exit(2);
}
const device = await FileDevice.open(path, Number(mebibytes) * 1024 * 1024);
const server = new IscsiServer();
const target = server.addTarget({
  name: 'iqn.2026-11.com.example:file',
  access: (peer) => (peer.address === '127.0.0.1' ? 'read-write' : 'none'),
});
target.scsi.add(0, device);
const { port } = await server.listen({ host: '127.0.0.1', port: Number(wanted) });
process.stdout.write(`iscsi://127.0.0.1:${port}/${target.name}/0\n`);

const stop = async (): Promise<void> => {
  await server.close();
  await device.close();
  process.exit(0);
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
