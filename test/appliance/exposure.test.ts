/** A disk is visible as its access list says at each moment; taking access away ends sessions. */
import test from 'ava';
import type { SessionInfo } from 'node-iscsi-target';
import { Exposure, type TargetServer } from '#appliance/exposure.ts';
import type { DiskRecord, Volume } from '#storage/volume/volume.ts';

const iqn = 'iqn.2026-11.internal.petal:1a2b3c4d:disk0';

function recordWith(access: string): DiskRecord {
  return {
    id: '0123456789abcdef0123456789abcdef',
    ref: 1,
    name: 'disk0',
    size: 1024 ** 2,
    sectorBytes: 512,
    physicalSectorBytes: 4096,
    reserved: false,
    created: 0,
    removed: null,
    attributes: { iqn, access },
  };
}

/** Only what Exposure asks of a volume. */
const volumeOf = (record: DiskRecord) => ({ record, listen: () => () => {} }) as unknown as Volume;

type Access = Parameters<TargetServer['addTarget']>[0]['access'];

class FakeServer implements TargetServer {
  readonly targets = new Map<string, Access>();
  readonly luns: number[] = [];
  readonly kicked: number[] = [];
  readonly open: SessionInfo[] = [];

  addTarget(options: { name: string; access: Access }) {
    this.targets.set(options.name, options.access);
    return { scsi: { add: (lun: number) => void this.luns.push(lun) } };
  }
  async removeTarget(name: string): Promise<void> {
    this.targets.delete(name);
  }
  sessions = () => this.open;
  kick(id: number): boolean {
    this.kicked.push(id);
    return true;
  }
  logIn(id: number, address: string, target: string | null = iqn): void {
    this.open.push({
      id,
      initiator: `iqn.2026-11.com.example:${id}`,
      isid: '000000000000',
      target,
      address,
      since: 0,
      digests: { header: false, data: false },
      commands: 0,
      bytesRead: 0,
      bytesWritten: 0,
      state: 'open',
    });
  }
}

test('a disk is offered at LUN 0 to those whom its list admits now', (t) => {
  const server = new FakeServer();
  const exposure = new Exposure(server);
  exposure.add(volumeOf(recordWith('')));
  t.deepEqual(server.luns, [0]);
  const access = server.targets.get(iqn)!;
  const stranger = { initiator: 'iqn.2026-11.com.example:x', address: '192.0.2.9' };
  t.is(access(stranger), 'none');
  t.is(access({ ...stranger, address: '127.0.0.1' }), 'read-write');
  exposure.setAccess(recordWith('192.0.2.0/24'));
  t.is(access(stranger), 'read-write');
  exposure.setAccess(recordWith(''));
  t.is(access(stranger), 'none');
});

test('taking access away ends the sessions that leaned on it, and no others', (t) => {
  const server = new FakeServer();
  const exposure = new Exposure(server);
  exposure.add(volumeOf(recordWith('192.0.2.0/24 iqn.2026-11.com.example:2')));
  server.logIn(1, '192.0.2.9');
  server.logIn(2, '192.0.2.9');
  server.logIn(3, '127.0.0.1');
  server.logIn(4, '192.0.2.9', 'iqn.2026-11.internal.petal:1a2b3c4d:other');
  server.logIn(5, '192.0.2.9', null);
  t.is(exposure.setAccess(recordWith('iqn.2026-11.com.example:2')), 1);
  t.deepEqual(server.kicked, [1]);
});

test('a disk taken away is no target any more and can be offered again', async (t) => {
  const server = new FakeServer();
  const exposure = new Exposure(server);
  const record = recordWith('');
  exposure.add(volumeOf(record));
  await exposure.remove(record);
  t.false(server.targets.has(iqn));
  exposure.add(volumeOf(record));
  t.true(server.targets.has(iqn));
});
