/**
 * Each filter changes what it says and nothing else, over the whole port, and filters stack.
 */
import test from 'ava';
import {
  CallFilter,
  DelayFilter,
  type DeviceCall,
  type DeviceCallKind,
  FaultFilter,
  type FaultRule,
  Filter,
  ReadOnlyFilter,
  TraceFilter,
} from '../../../target/filters/index.ts';
import {
  type BlockDevice,
  type Completion,
  type DeviceChange,
  type DeviceError,
  RamDevice,
} from '../../../target/index.ts';
import { ManualClock } from '../session/kit.ts';

const PIECE = 64 * 1024;
const ram = () => new RamDevice({ bytes: 16 * PIECE });

/** The code of the error, 'ok', or 'later' while the call has not ended; ended twice is a failure. */
function outcome(start: (done: Completion) => void): { readonly now: string } {
  let result = 'later';
  start({
    complete(error: DeviceError | null) {
      if (result !== 'later') throw new Error('ended twice');
      result = error?.code ?? 'ok';
    },
  });
  return {
    get now() {
      return result;
    },
  };
}

const sector = (fill: number) => new Uint8Array(512).fill(fill);
const calls: Readonly<
  Record<DeviceCallKind, (device: BlockDevice, offset: number, done: Completion) => void>
> = {
  read: (device, offset, done) => device.read(offset, 512, new Uint8Array(512), 0, done),
  write: (device, offset, done) => device.write(offset, sector(7), false, done),
  flush: (device, _offset, done) => device.flush(done),
  unmap: (device, offset, done) => device.unmap(offset, 512, done),
  writeZeroes: (device, offset, done) => device.writeZeroes(offset, 512, true, done),
  compareAndWrite: (device, offset, done) =>
    device.compareAndWrite(offset, sector(0), sector(9), done),
};
const kinds = Object.keys(calls) as DeviceCallKind[];
const run = (device: BlockDevice, kind: DeviceCallKind, offset = 0): string =>
  outcome((done) => calls[kind](device, offset, done)).now;

function byteAt(device: BlockDevice, offset: number): number {
  const into = new Uint8Array(512);
  device.read(offset, 512, into, 0, { complete: () => {} });
  return into[0]!;
}

/** One of each, set so that it lets everything through. */
const transparent: Readonly<Record<string, (next: BlockDevice) => BlockDevice>> = {
  plain: (next) => new Filter(next),
  fault: (next) => new FaultFilter(next),
  delay: (next) => new DelayFilter(next, { clock: new ManualClock(), delayMs: 0 }),
  trace: (next) => new TraceFilter(next, { ended: () => {} }),
  'all of them': (next) =>
    new TraceFilter(
      new DelayFilter(new FaultFilter(next), { clock: new ManualClock(), delayMs: 0 }),
      { ended: () => {} },
    ),
};
for (const [name, make] of Object.entries(transparent)) {
  test(`${name}: what is not changed goes through`, (t) => {
    const below = ram();
    const device = make(below);
    t.is(device.identity, below.identity);
    t.is(device.capabilities, below.capabilities);
    t.deepEqual(
      [device.sectorBytes, device.physicalSectorBytes, device.sectors],
      [below.sectorBytes, below.physicalSectorBytes, below.sectors],
    );
    for (const kind of kinds.filter((one) => one !== 'compareAndWrite')) {
      t.is(run(device, kind, PIECE), 'ok', kind);
    }
    t.is(run(device, 'compareAndWrite', 2 * PIECE), 'ok');
    t.is(run(device, 'compareAndWrite', 2 * PIECE), 'miscompare');
    t.is(byteAt(below, 2 * PIECE), 9);
    const into = new Uint8Array(600);
    t.true(device.readNow(2 * PIECE, 512, into, 8));
    t.deepEqual([into[7], into[8], into[519], into[520]], [0, 9, 9, 0]);
    t.deepEqual(device.allocation(0, 3 * PIECE), below.allocation(0, 3 * PIECE));
  });

  test(`${name}: changes of the device below are told above, until one stops listening`, (t) => {
    const below = ram();
    const device = make(below);
    const heard: DeviceChange[] = [];
    const stop = device.listen({ changed: (change) => heard.push(change) });
    below.resize(8 * PIECE);
    below.setCapabilities({ writeBack: true });
    stop();
    below.resize(4 * PIECE);
    t.deepEqual(heard, ['capacity', 'capabilities']);
    t.is(device.sectors, below.sectors);
    t.true(device.capabilities.writeBack);
  });
}

/** [rule, the kind and offset of calls, what each of six calls in a row gives]. */
const schedules: readonly [string, FaultRule, DeviceCallKind, number, string][] = [
  ['every call', { code: 'mediumError' }, 'read', 0, 'EEEEEE'],
  ['the third on', { code: 'failed', skip: 2 }, 'write', 0, '..EEEE'],
  ['only the n-th', { code: 'busy', skip: 3, times: 1 }, 'flush', 0, '...E..'],
  ['each second', { code: 'writeError', every: 2 }, 'write', 0, 'E.E.E.'],
  [
    'each third of the rest, twice',
    { code: 'busy', skip: 1, every: 3, times: 2 },
    'unmap',
    0,
    '.E..E.',
  ],
  ['another kind', { code: 'noSpace', kinds: ['write', 'unmap'] }, 'read', 0, '......'],
  ['the kind', { code: 'noSpace', kinds: ['write', 'writeZeroes'] }, 'writeZeroes', 0, 'EEEEEE'],
  [
    'the last byte of the call in the range',
    { code: 'mediumError', range: { offset: 1023, length: 1 } },
    'read',
    512,
    'EEEEEE',
  ],
  [
    'just before the range',
    { code: 'mediumError', range: { offset: 1024, length: 512 } },
    'read',
    512,
    '......',
  ],
  [
    'just behind the range',
    { code: 'mediumError', range: { offset: 0, length: 512 } },
    'read',
    512,
    '......',
  ],
  [
    'a flush touches every range',
    { code: 'writeError', range: { offset: 4096, length: 1 } },
    'flush',
    0,
    'EEEEEE',
  ],
];
for (const [name, rule, kind, offset, expected] of schedules) {
  test(`fault: ${name}`, (t) => {
    const device = new FaultFilter(ram(), [rule]);
    const got = [...expected].map(() => run(device, kind, offset));
    t.deepEqual(
      got,
      [...expected].map((letter) => (letter === 'E' ? rule.code : 'ok')),
    );
    t.is(device.faults, [...expected].filter((letter) => letter === 'E').length);
  });
}

test('fault: a call that fails is not carried out below, unless only its answer is lost', (t) => {
  const below = ram();
  const device = new FaultFilter(below, [{ code: 'writeError', times: 1 }]);
  t.is(run(device, 'write'), 'writeError');
  t.is(byteAt(below, 0), 0);
  device.add({ code: 'writeError', times: 1, carriedOut: true });
  t.is(run(device, 'write'), 'writeError');
  t.is(byteAt(below, 0), 7);
});

test('fault: the quick path does not run around a rule, and is back when the rule is gone', (t) => {
  const device = new FaultFilter(ram());
  const into = new Uint8Array(512);
  const remove = device.add({
    code: 'mediumError',
    kinds: ['read'],
    range: { offset: 0, length: 512 },
  });
  t.false(device.readNow(0, 512, into, 0));
  t.true(device.readNow(512, 512, into, 0));
  remove();
  t.true(device.readNow(0, 512, into, 0));
  device.add({ code: 'failed' });
  t.false(device.readNow(512, 512, into, 0));
  device.clear();
  t.true(device.readNow(512, 512, into, 0));
});

test('fault: the first rule that is due decides', (t) => {
  const device = new FaultFilter(ram(), [
    { code: 'busy', skip: 1, times: 1 },
    { code: 'noSpace', kinds: ['write'] },
  ]);
  t.deepEqual(
    [1, 2, 3].map(() => run(device, 'write')),
    ['noSpace', 'busy', 'noSpace'],
  );
});

const senseless: readonly FaultRule[] = [
  { code: 'busy', skip: -1 },
  { code: 'busy', every: 0 },
  { code: 'busy', times: 0 },
  { code: 'busy', times: 1.5 },
  { code: 'busy', range: { offset: 0, length: 0 } },
  { code: 'busy', range: { offset: -1, length: 5 } },
  { code: 'miscompare' },
  { code: 'miscompare', kinds: ['read', 'compareAndWrite'] },
];
for (const rule of senseless) {
  test(`fault: a rule that can never work is refused: ${JSON.stringify(rule)}`, (t) => {
    t.throws(() => new FaultFilter(ram(), [rule]), { instanceOf: RangeError });
  });
}

test('delay: each call ends when its time has come, not before, and once', (t) => {
  const clock = new ManualClock();
  const device = new DelayFilter(ram(), { clock, delayMs: 5000 });
  const pending = kinds.map((kind) => outcome((done) => calls[kind](device, PIECE, done)));
  clock.advance(4000);
  t.true(pending.every(({ now }) => now === 'later'));
  t.is(device.waiting, kinds.length);
  clock.advance(1000);
  t.true(pending.every(({ now }) => now === 'ok'));
  t.is(device.waiting, 0);
});

test('delay: the caller may reuse the data of a write at once', (t) => {
  const clock = new ManualClock();
  const below = ram();
  const device = new DelayFilter(below, { clock, delayMs: 1000 });
  const data = sector(3);
  const write = outcome((done) => device.write(0, data, false, done));
  data.fill(0xee);
  clock.advance(1000);
  t.is(write.now, 'ok');
  t.is(byteAt(below, 0), 3);
});

test('delay: by call, and reads on the quick path are delayed too', (t) => {
  const clock = new ManualClock();
  const device = new DelayFilter(ram(), {
    clock,
    delayMs: ({ kind, offset }) => (kind === 'read' && offset === 0 ? 1000 : 0),
  });
  const into = new Uint8Array(512);
  t.false(device.readNow(0, 512, into, 0));
  t.true(device.readNow(512, 512, into, 0));
  t.is(run(device, 'write'), 'ok');
  t.is(run(device, 'read'), 'later');
});

test('delay: errors come late as well', (t) => {
  const clock = new ManualClock();
  const failing = new FaultFilter(ram(), [{ code: 'mediumError' }]);
  const device = new DelayFilter(failing, { clock, delayMs: 1000 });
  const read = outcome((done) => calls.read(device, 0, done));
  t.is(read.now, 'later');
  clock.advance(1000);
  t.is(read.now, 'mediumError');
});

test('trace: every call with its fields, its number and its result', (t) => {
  const clock = new ManualClock();
  const lines: string[] = [];
  const faulty = new FaultFilter(ram(), [{ code: 'noSpace', kinds: ['unmap'] }]);
  const slow = new DelayFilter(faulty, {
    clock,
    delayMs: ({ kind }) => (kind === 'write' ? 1000 : 0),
  });
  const show = ({ kind, offset, length, fua, mayUnmap }: DeviceCall): string =>
    `${kind} ${offset}+${length}${fua ? ' fua' : ''}${mayUnmap ? ' may unmap' : ''}`;
  const device = new TraceFilter(slow, {
    started: (number, call) => lines.push(`${number} ${show(call)}`),
    ended: (number, call, error) => lines.push(`${number} ${call.kind}: ${error?.code ?? 'ok'}`),
  });
  device.write(512, sector(1), true, { complete: () => {} });
  run(device, 'unmap', PIECE);
  run(device, 'writeZeroes', 1024);
  run(device, 'flush');
  device.readNow(0, 512, new Uint8Array(512), 0);
  clock.advance(1000);
  t.deepEqual(lines, [
    '1 write 512+512 fua',
    '2 unmap 65536+512',
    '2 unmap: noSpace',
    '3 writeZeroes 1024+512 may unmap',
    '3 writeZeroes: ok',
    '4 flush 0+0',
    '4 flush: ok',
    '5 read 0+512',
    '5 read: ok',
    '1 write: ok',
  ]);
});

test('trace: a read that the quick path does not answer is not told twice', (t) => {
  let ended = 0;
  const slow = new DelayFilter(ram(), { clock: new ManualClock(), delayMs: 1 });
  const device = new TraceFilter(slow, { ended: () => ended++ });
  t.false(device.readNow(0, 512, new Uint8Array(512), 0));
  t.is(ended, 0);
});

test('read-only: says so, refuses every change, reads and flushes', (t) => {
  const below = ram();
  below.write(0, sector(5), false, { complete: () => {} });
  const device = new ReadOnlyFilter(below);
  t.true(device.capabilities.readOnly);
  t.deepEqual(
    { ...device.capabilities, readOnly: false, sanitize: false },
    {
      ...below.capabilities,
      sanitize: false,
    },
  );
  for (const kind of ['write', 'unmap', 'writeZeroes', 'compareAndWrite'] as const) {
    t.is(run(device, kind), 'readOnly', kind);
  }
  t.is(byteAt(below, 0), 5);
  t.is(byteAt(device, 0), 5);
  t.is(run(device, 'flush'), 'ok');
  below.setCapabilities({ sanitize: true, writeBack: true });
  t.deepEqual([device.capabilities.sanitize, device.capabilities.writeBack], [false, true]);
});

test('one that is written by a user stacks with the others', (t) => {
  class NoFlush extends CallFilter {
    protected override call(
      call: DeviceCall,
      done: Completion,
      pass: (done: Completion) => void,
    ): void {
      if (call.kind === 'flush') done.complete(null);
      else pass(done);
    }
  }
  const device = new NoFlush(new FaultFilter(ram(), [{ code: 'failed', kinds: ['flush'] }]));
  t.is(run(device, 'flush'), 'ok');
  t.is(run(device, 'write'), 'ok');
});
