/**
 * A disk that is slow, has a bad spot and tells what is done with it: filters over a RAM disk.
 * Reads of the first 4 KiB of the second MiB fail with MEDIUM ERROR; every write takes 2 ms.
 *
 *   node examples/filters.ts [port]
 */
import { IscsiServer, RamDevice, realClock } from 'node-iscsi-target';
import { DelayFilter, FaultFilter, TraceFilter } from 'node-iscsi-target/filters';

const MIB = 1024 * 1024;
const bad = new FaultFilter(new RamDevice({ bytes: 64 * MIB }), [
  { kinds: ['read'], range: { offset: MIB, length: 4096 }, code: 'mediumError' },
]);
const slow = new DelayFilter(bad, {
  clock: realClock,
  delayMs: ({ kind }) => (kind === 'write' ? 2 : 0),
});
const traced = new TraceFilter(slow, {
  ended: (number, call, error) => {
    const { kind, offset, length } = call;
    process.stdout.write(`${number} ${kind} ${offset}+${length} ${error?.code ?? 'ok'}\n`);
  },
});

const server = new IscsiServer();
const target = server.addTarget({
  name: 'iqn.2026-11.com.example:filters',
  access: (peer) => (peer.address === '127.0.0.1' ? 'read-write' : 'none'),
});
target.scsi.add(0, traced);
const { port } = await server.listen({ host: '127.0.0.1', port: Number(process.argv[2] ?? 3260) });
process.stdout.write(`iscsi://127.0.0.1:${port}/${target.name}/0\n`);
