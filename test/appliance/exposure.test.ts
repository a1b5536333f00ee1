/** A disk is visible as its access list says at each moment; taking access away ends sessions. */
import test from 'ava';
import { MemoryReservationStore } from 'node-iscsi-target';
import { ChapSettings } from '#appliance/chap.ts';
import { Exposure, type TargetServer } from '#appliance/exposure.ts';
import type { DiskRecord, Volume } from '#storage/volume/volume.ts';

const iqn = 'iqn.2026-11.internal.petal:1a2b3c4d:disk0';

function recordWith(access: string, chap = ''): DiskRecord {
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
    attributes: { iqn, access, chap },
  };
}

/** Only what Exposure asks of a volume. */
const volumeOf = (record: DiskRecord) => ({ record, listen: () => () => {} }) as unknown as Volume;

type Options = Parameters<TargetServer['addTarget']>[0];

class FakeServer implements TargetServer {
  readonly targets = new Map<string, Options & { alias: string }>();
  readonly luns: number[] = [];
  readonly rechecked: string[] = [];

  addTarget(options: Options) {
    const target = { alias: '', ...options, scsi: { add: (lun: number) => this.#add(lun) } };
    this.targets.set(options.name, target);
    return target;
  }
  #add(lun: number): void {
    this.luns.push(lun);
  }
  async removeTarget(name: string): Promise<void> {
    this.targets.delete(name);
  }
  recheck(name: string): number {
    this.rechecked.push(name);
    return 3;
  }
  sessions = () => [];
  kick = () => false;
  logout = () => false;
}

function offered(access: string, chap = '') {
  const server = new FakeServer();
  const exposure = new Exposure({
    server,
    reservations: () => new MemoryReservationStore(),
    pool: () => ({ free: () => 0, used: () => 0, warnBelowBytes: 0 }),
    erase: async () => {},
    writeBack: async () => {},
  });
  exposure.add(volumeOf(recordWith(access, chap)), false);
  return { server, exposure, target: server.targets.get(iqn)! };
}

const stranger = {
  initiator: 'iqn.2026-11.com.example:x',
  address: '192.0.2.9',
  user: null,
} as const;

test('a disk is offered at LUN 0 to those whom its list admits now', (t) => {
  const { server, exposure, target } = offered('');
  t.deepEqual(server.luns, [0]);
  t.is(target.access(stranger), 'none');
  t.is(target.access({ ...stranger, address: '127.0.0.1' }), 'read-write');
  t.is(target.chap?.(), null);
  t.is(exposure.setGate(recordWith('192.0.2.0/24')), 3);
  t.is(target.access(stranger), 'read-write');
  exposure.setGate(recordWith('192.0.2.0/24;ro'));
  t.is(target.access(stranger), 'read-only');
  exposure.setGate(recordWith(''));
  t.is(target.access(stranger), 'none');
  t.deepEqual(server.rechecked, [iqn, iqn, iqn], 'living sessions are looked at each time');
});

test('with CHAP a rule for a user shows the disk, and admits that user alone', (t) => {
  const chap = ChapSettings.none.set({ user: 'anna', secret: 'secret-of-anna' }).format();
  const { exposure, target } = offered('192.0.2.0/24;user=anna', chap);
  t.is(target.access(stranger), 'read-write', 'in discovery; a login has to prove a user');
  t.is(target.access({ ...stranger, user: 'anna' }), 'read-write');
  t.is(target.access({ ...stranger, user: 'bert' }), 'none');
  t.is(target.chap?.()?.user('anna')?.secret, 'secret-of-anna');
  // CHAP taken away altogether: the rule asks for a proof that nobody can give.
  exposure.setGate(recordWith('192.0.2.0/24;user=anna'));
  t.is(target.chap?.(), null);
  t.is(target.access(stranger), 'none');
});

test('a disk with damaged CHAP settings is not offered', (t) => {
  t.throws(() => offered('', '{"version":1,"users":[]}'), { code: 'STORE_FAILED' });
});

test('a renamed disk has its new name as alias', (t) => {
  const { exposure, target } = offered('');
  t.is(target.alias, 'disk0');
  exposure.rename(recordWith(''), 'system');
  t.is(target.alias, 'system');
});

test('a disk taken away is no target any more and can be offered again', async (t) => {
  const { server, exposure } = offered('');
  const record = recordWith('');
  await exposure.remove(record);
  t.false(server.targets.has(iqn));
  exposure.add(volumeOf(record), false);
  t.true(server.targets.has(iqn));
});
