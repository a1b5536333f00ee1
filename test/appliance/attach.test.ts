/** A volume behind the SCSI port: what it is called, what its errors mean, what hosts hear. */
import test from 'ava';
import { DeviceErrorCode } from 'node-iscsi-target';
import { AttachedDisk, deviceError } from '#appliance/attach.ts';
import { StorageError, type StorageErrorCode } from '#storage/base/errors.ts';
import type { Done } from '#storage/map/blocks.ts';
import type { DiskRecord, Volume, VolumeListener } from '#storage/volume/volume.ts';

const record: DiskRecord = {
  id: 'f123456789abcdef0123456789abcdef',
  ref: 1,
  name: 'disk0',
  size: 1024 ** 2,
  sectorBytes: 512,
  physicalSectorBytes: 4096,
  reserved: false,
  created: 0,
  removed: null,
  attributes: {},
};

const plain = {
  writeProtected: false,
  removable: false,
  hostProtect: false,
  pool: { free: () => 0, used: () => 0, warnBelowBytes: 0 },
  erase: async () => {},
};

/** Holds every call until the test completes it. */
class HeldVolume implements Volume {
  record = record;
  readonly held: Done[] = [];
  listener: VolumeListener | null = null;

  readNow = () => false;
  read(...args: [number, number, Uint8Array, number, Done]): void {
    this.held.push(args[4]);
  }
  write(_offset: number, _data: Uint8Array, done: Done): void {
    this.held.push(done);
  }
  flush(done: Done): void {
    this.held.push(done);
  }
  unmap(_offset: number, _length: number, done: Done): void {
    this.held.push(done);
  }
  writeZeroes(_offset: number, _length: number, _mayUnmap: boolean, done: Done): void {
    this.held.push(done);
  }
  compareAndWrite(_offset: number, _compare: Uint8Array, _write: Uint8Array, done: Done): void {
    this.held.push(done);
  }
  allocation = () => ({ mapped: true, length: 4096 });
  locate(_offset: number, _length: number, done: Done): void {
    this.held.push(done);
  }
  listen(listener: VolumeListener): () => void {
    this.listener = listener;
    return () => {
      this.listener = null;
    };
  }
}

/** Code, as an error of a read, as an error of a write. */
const meanings: readonly (readonly [StorageErrorCode, DeviceErrorCode, DeviceErrorCode])[] = [
  ['NO_SPACE', 'noSpace', 'noSpace'],
  ['MEDIUM_ERROR', 'mediumError', 'mediumError'],
  ['CORRUPT', 'mediumError', 'mediumError'],
  ['DISK_FAILED', 'failed', 'writeError'],
  ['BUSY', 'busy', 'busy'],
  ['CONFLICT', 'busy', 'busy'],
  ['UNKNOWN_OUTCOME', 'busy', 'busy'],
  ['MISCOMPARE', 'miscompare', 'miscompare'],
  ['NOT_FOUND', 'failed', 'failed'],
  ['INVALID', 'failed', 'failed'],
  ['IN_USE', 'failed', 'failed'],
  ['EXISTS', 'failed', 'failed'],
  ['TOO_NEW', 'failed', 'failed'],
];

for (const [code, reading, writing] of meanings) {
  test(`${code} is ${reading} to a reader, ${writing} to a writer`, (t) => {
    const error = new StorageError(code, 'why');
    t.is(deviceError(error, false).code, reading);
    t.is(deviceError(error, true).code, writing);
    t.is(deviceError(error, true).message, 'why');
  });
}

test('a miscompare says where', (t) => {
  const error = deviceError(new StorageError('MISCOMPARE', 'other', { offset: 77 }), true);
  t.is(error.code, DeviceErrorCode.miscompare);
  t.is(error.miscompareOffset, 77);
});

test('identity and capabilities follow from the record', (t) => {
  const volume = new HeldVolume();
  const disk = new AttachedDisk(volume, plain);
  t.is(Buffer.from(disk.identity.naa).toString('hex'), '6123456789abcdef0123456789abcdef');
  t.is(disk.identity.serial, record.id);
  t.true(disk.identity.vendor.length <= 8 && disk.identity.product.length <= 16);
  t.true(disk.identity.revision.length >= 1 && disk.identity.revision.length <= 4);
  t.is(disk.sectors, 2048);
  t.true(disk.capabilities.thin);
  volume.record = { ...record, reserved: true, sectorBytes: 4096 };
  const thick = new AttachedDisk(volume, plain);
  t.false(thick.capabilities.thin);
  t.is(thick.sectors, 256);
});

test('calls in flight complete each its own caller, in any order', (t) => {
  const volume = new HeldVolume();
  const disk = new AttachedDisk(volume, plain);
  const ended: string[] = [];
  const caller = (name: string) => ({
    complete: (error: { code: string } | null) => void ended.push(`${name} ${error?.code ?? 'ok'}`),
  });
  const bytes = new Uint8Array(512);
  disk.write(0, bytes, false, caller('a'));
  disk.write(512, bytes, true, caller('b'));
  disk.read(0, 512, bytes, 0, caller('c'));
  const [a, b, c] = volume.held as [Done, Done, Done];
  b.complete(new StorageError('DISK_FAILED', 'gone'));
  c.complete(new StorageError('DISK_FAILED', 'gone'));
  disk.compareAndWrite(0, bytes, bytes, caller('d'));
  volume.held.at(-1)!.complete(null);
  a.complete(null);
  t.deepEqual(ended, ['b writeError', 'c failed', 'd ok', 'a ok']);
});

test('a caller that calls again from its completion is served', (t) => {
  const volume = new HeldVolume();
  const disk = new AttachedDisk(volume, plain);
  const ended: string[] = [];
  disk.flush({
    complete() {
      ended.push('first');
      disk.flush({ complete: () => void ended.push('second') });
    },
  });
  volume.held[0]!.complete(null);
  volume.held[1]!.complete(null);
  t.deepEqual(ended, ['first', 'second']);
});

test('hosts hear of a new size, and of nothing after close', (t) => {
  const volume = new HeldVolume();
  const disk = new AttachedDisk(volume, plain);
  const heard: string[] = [];
  disk.listen({ changed: (change) => void heard.push(change) });
  volume.record = { ...record, size: 2 * record.size };
  volume.listener?.changed('size');
  t.deepEqual(heard, ['capacity']);
  t.is(disk.sectors, 4096);
  disk.close();
  t.is(volume.listener, null);
});

test('write protection shows in the capabilities, and is said once', (t) => {
  const disk = new AttachedDisk(new HeldVolume(), {
    ...plain,
    writeProtected: true,
    removable: true,
  });
  t.like(disk.capabilities, { readOnly: true, removable: true });
  const heard: string[] = [];
  disk.listen({ changed: (change) => void heard.push(change) });
  disk.setWriteProtected(true);
  t.deepEqual(heard, []);
  disk.setWriteProtected(false);
  t.like(disk.capabilities, { readOnly: false, removable: true });
  t.deepEqual(heard, ['capabilities']);
});
