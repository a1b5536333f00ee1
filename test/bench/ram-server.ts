/**
 * A program of its own for the bench: one target with one RAM disk, and its URL on stdout.
 *
 *   ram-server.ts MEBIBYTES
 *
 * Its write cache is on (WCE), as the peer's is: a write is acknowledged from memory on both sides.
 */
import { IscsiServer, RamDevice } from '../../target/index.ts';

const bytes = Number(process.argv[2]) * 2 ** 20;
const name = 'iqn.2026-11.internal.petal:ram';
const server = new IscsiServer();
const target = server.addTarget({ name, access: () => 'read-write' });
target.scsi.add(0, new RamDevice({ bytes, capabilities: { writeBack: true } }));
const { host, port } = await server.listen({ host: '127.0.0.1', port: 0 });
console.log(`iscsi://${host}:${port}/${name}/0`);
