/** A LUN that comes or goes is told at once by an Async Message, event 0 with its sense data (RFC 7143 11.9.1). */
import test from 'ava';
import { RamDevice } from '../../../target/index.ts';
import { Host, world } from './kit.ts';

test('every session of the target hears of it, and of nothing else of other targets', async (t) => {
  const { server, target } = world();
  const elsewhere = server.addTarget({
    name: 'iqn.2026-11.test:other',
    access: () => 'read-write',
  });
  const hosts = [new Host(server), new Host(server)];
  await hosts[0]!.enter({}, 1);
  await hosts[1]!.enter({}, 2);
  elsewhere.scsi.add(0, new RamDevice({ bytes: 512 }));
  for (const host of hosts) t.deepEqual(await host.receive(), []);
  const changes = [
    () => target.scsi.add(5, new RamDevice({ bytes: 512 })),
    () => target.scsi.remove(5),
  ];
  for (const change of changes) {
    change();
    for (const host of hosts) {
      const [event, ...others] = await host.receive();
      t.deepEqual(others, []);
      t.is(event?.op, 0x32);
      t.is(event?.head[36], 0, 'a SCSI event');
      t.is(event?.head.readUInt32BE(16), 0xffffffff);
      t.is(event?.data.readUInt16BE(0), 18);
      t.is(event?.data.length, 20);
      t.is(event?.data[2 + 2], 0x06);
      t.is(event?.data.readUInt16BE(2 + 12), 0x3f0e);
    }
  }
});
