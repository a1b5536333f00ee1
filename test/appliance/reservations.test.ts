/** Reservations with APTPL are kept whole through a restart; a damaged record is never guessed at. */
import test from 'ava';
import fc from 'fast-check';
import type { Registration, ReservationState, ReservationStore } from 'node-iscsi-target';
import { limits } from '#appliance/limits.ts';
import {
  decodeReservations,
  encodeReservations,
  ReservationShelf,
} from '#appliance/reservations.ts';
import { StorageError } from '#storage/base/errors.ts';
import type { Directory } from '#storage/cluster/directory.ts';

const key = 'appliance/reservations/a';

/** A Directory of which only what the shelf uses is there. */
class FakeDirectory {
  readonly entries = new Map<string, Uint8Array>();
  failure: Error | null = null;

  async list(prefix: string) {
    const found = [...this.entries].filter(([name]) => name.startsWith(prefix));
    return { revision: 1n, entries: found.map(([key, value]) => ({ key, value, modified: 1n })) };
  }
  async commit(_compare: unknown, mutate: readonly { key: string; value: Uint8Array | null }[]) {
    if (this.failure !== null) throw this.failure;
    for (const { key, value } of mutate) {
      if (value === null) this.entries.delete(key);
      else this.entries.set(key, value);
    }
    return 1n;
  }
  open(isDisk: (id: string) => boolean = () => true): Promise<ReservationShelf> {
    const log = { warn: () => {} } as unknown as Parameters<typeof ReservationShelf.open>[1];
    return ReservationShelf.open(this as unknown as Directory, log, isDisk);
  }
}

const save = (store: ReservationStore, state: ReservationState): Promise<Error | null> =>
  new Promise((resolve) => store.save(state, resolve));

const port = { initiatorPort: 'iqn.2026-11.com.example:a,i,0x800000000001', relativePort: 1 };
const registration: Registration = { ...port, key: 0xabcdn };
const kept: ReservationState = {
  registrations: [registration],
  holder: { ...port, type: 5 },
  generation: 7,
  persist: true,
};

const ports = fc.record({
  initiatorPort: fc.stringMatching(/^iqn\.2026-11\.[a-z0-9.:-]{1,200},i,0x[0-9a-f]{12}$/),
  relativePort: fc.integer({ min: 1, max: 0xffff }),
});
const states: fc.Arbitrary<ReservationState> = fc.record({
  registrations: fc.array(
    fc.tuple(ports, fc.bigInt({ min: 1n, max: 2n ** 64n - 1n })).map(([p, key]) => ({ ...p, key })),
    { maxLength: 8 },
  ),
  holder: fc.option(
    fc.tuple(ports, fc.constantFrom(1, 3, 5, 6, 7, 8)).map(([p, type]) => ({ ...p, type })),
  ),
  generation: fc.integer({ min: 0, max: 0xffffffff }),
  persist: fc.constant(true),
});

test('every state is read back as it was written', (t) => {
  fc.assert(
    fc.property(states, (state) => {
      t.deepEqual(decodeReservations(key, encodeReservations(state)), state);
    }),
  );
});

const good = JSON.parse(Buffer.from(encodeReservations(kept)).toString()) as object;
const damaged: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['no JSON', '{'],
  ['null', 'null'],
  ['no version', JSON.stringify({ ...good, version: undefined })],
  ['a newer version', JSON.stringify({ ...good, version: 2 })],
  ['a negative generation', JSON.stringify({ ...good, generation: -1 })],
  ['no registrations', JSON.stringify({ ...good, registrations: null })],
  ['a registration without key', JSON.stringify({ ...good, registrations: [port] })],
  ['a key of zero', JSON.stringify({ ...good, registrations: [{ ...port, key: '0'.repeat(16) }] })],
  [
    'port zero',
    JSON.stringify({
      ...good,
      registrations: [{ ...port, key: '0123456789abcdef', relativePort: 0 }],
    }),
  ],
  ['a type that there is not', JSON.stringify({ ...good, holder: { ...port, type: 2 } })],
  ['a holder without port', JSON.stringify({ ...good, holder: { type: 1 } })],
  ['too much', JSON.stringify({ ...good, more: 'x'.repeat(limits.reservationBytes) })],
];

for (const [name, text] of damaged) {
  test(`a record with ${name} stops the start`, async (t) => {
    const directory = new FakeDirectory();
    directory.entries.set(key, Buffer.from(text));
    await t.throwsAsync(directory.open(), { code: 'STORE_FAILED', message: /reservations\/a/ });
  });
}

test('only what is to persist comes back after a restart', async (t) => {
  const directory = new FakeDirectory();
  const first = await directory.open();
  t.is(await save(first.of('a'), kept), null);
  t.is(await save(first.of('b'), { ...kept, persist: false }), null);
  t.false(first.of('b').load().persist);
  t.is(first.of('b').load().registrations.length, 1, 'in force while the process lives');
  const second = await directory.open();
  t.deepEqual(second.of('a').load(), { ...kept, generation: 0 });
  t.deepEqual(second.of('b').load().registrations, []);
  t.is(await save(second.of('a'), { ...kept, persist: false }), null);
  t.deepEqual((await directory.open()).of('a').load().registrations, []);
});

test('a start is a power on: the generation counts from zero again', async (t) => {
  const directory = new FakeDirectory();
  await save((await directory.open()).of('a'), kept);
  // SPC-4 6.15.2: PRGENERATION is set to zero by a power on, with APTPL and without.
  t.is((await directory.open()).of('a').load().generation, 0);
});

test('a state that cannot be kept is not in force', async (t) => {
  const directory = new FakeDirectory();
  const store = (await directory.open()).of('a');
  await save(store, kept);
  directory.failure = new StorageError('DISK_FAILED', 'gone');
  t.is(await save(store, { ...kept, generation: 8 }), directory.failure);
  // Not even to make it volatile: after a power loss it would be back.
  t.is(await save(store, { ...kept, persist: false }), directory.failure);
  t.deepEqual(store.load(), kept);
  directory.failure = null;
  const many = Array.from({ length: 1000 }, () => registration);
  const error = await save(store, { ...kept, registrations: many });
  t.like(error, { code: 'NO_SPACE' });
  t.deepEqual(store.load(), kept);
});

test('a purged disk leaves nothing, and what it left by a crash goes at the next start', async (t) => {
  const directory = new FakeDirectory();
  const shelf = await directory.open();
  await save(shelf.of('a'), kept);
  await save(shelf.of('b'), kept);
  await shelf.forget('a');
  t.deepEqual([...directory.entries.keys()], ['appliance/reservations/b']);
  await directory.open((id) => id !== 'b');
  t.is(directory.entries.size, 0);
});
