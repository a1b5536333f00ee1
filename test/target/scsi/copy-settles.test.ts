/**
 * Who must outwait what is inside a device waits for the calls of copies that another target commands: the
 * answer comes when the write has landed, and no other follows.
 */
import test from 'ava';
import type { LogicalUnit } from '../../../target/scsi/logical-unit.ts';
import type { Nexus } from '../../../target/scsi/nexus.ts';
import { Two, turn } from './two-targets.ts';

interface Row {
  readonly name: string;
  /** What is begun while a call of the copy is inside the far device. */
  readonly begin: (two: Two, holder: Nexus) => Promise<unknown>;
  readonly ends: string;
}

const rows: readonly Row[] = [
  {
    name: 'RESERVE, exclusive access',
    begin: (two, b) => two.reserveOut(b, 1, 3, 1),
    ends: '18',
  },
  {
    name: 'SANITIZE',
    begin: (two, b) => two.farRun('48 02', b),
    // It has ended by then: RAM is quick.
    ends: '02 0a/0d01',
  },
  {
    name: 'the removal of the LUN',
    begin: (two) => two.far.remove(0),
    ends: '02 0a/0d02',
  },
  {
    name: 'a reset of the far LUN',
    begin: (two) => new Promise<void>((done) => two.far.endCopies({ high: 0, low: 0 }, done)),
    ends: '02 0a/0d01',
  },
  {
    name: 'a reset of the far target',
    begin: (two) => new Promise<void>((done) => two.far.endCopies(null, done)),
    ends: '02 0a/0d01',
  },
];

for (const { name, begin, ends } of rows) {
  for (const back of [false, true]) {
    test(`${name} waits for a copy that ${back ? 'reads' : 'writes'} there`, async (t) => {
      const two = await Two.make({ there: { capabilities: { thin: false, sanitize: true } } });
      const holder = await two.enter('b');
      if (name.includes('exclusive')) t.is(await two.reserveOut(holder, 0, 0, 0, 1), '00');
      two.there.holdWrites = true;
      const copying = two.copy({ back });
      await two.inside(1);
      const before = two.there.log.length;
      const begun = begin(two, holder);
      let done = false;
      void begun.then(() => {
        done = true;
      });
      for (let i = 0; i < 5; i++) await turn();
      t.false(done, 'a call of the copy is inside the device');
      // What SANITIZE itself does is none of the copy's.
      two.there.holdWrites = false;
      two.there.release();
      await begun;
      t.is(await two.ended(copying), ends);
      if (name !== 'SANITIZE') t.is(two.there.log.length, before, 'and no other follows');
    });
  }
}

test('PREEMPT AND ABORT waits for the copy of the one it throws out', async (t) => {
  const two = await Two.make();
  const victim = await two.enter('a');
  const holder = await two.enter('b');
  t.is(await two.reserveOut(victim, 0, 0, 0, 2), '00');
  t.is(await two.reserveOut(victim, 1, 1, 2), '00');
  t.is(await two.reserveOut(holder, 0, 0, 0, 1), '00');
  two.there.holdWrites = true;
  const copying = two.copy();
  await two.inside(1);
  let answer = '';
  const preempting = two.reserveOut(holder, 5, 1, 1, 2).then((result) => {
    answer = result;
  });
  for (let i = 0; i < 5; i++) await turn();
  t.is(answer, '');
  const writes = two.there.log.length;
  two.there.release();
  await preempting;
  t.is(answer, '00');
  t.is(await two.ended(copying), '18');
  t.is(two.there.log.length, writes);
});

test('only the calls of before are waited for: copies that may go on hold nobody up', async (t) => {
  const two = await Two.make();
  const holder = await two.enter('b');
  two.there.holdWrites = true;
  const first = two.copy();
  const second = two.copy();
  while (two.there.waiting < 2) await turn();
  let answer = '';
  const registering = two.reserveOut(holder, 0, 0, 0, 1).then((result) => {
    answer = result;
  });
  await turn();
  t.is(answer, '');
  // The one ends its call and begins the next before the other has ended the call of before.
  for (let ended = 0; ended < 2; ended++) {
    two.there.release();
    while (two.there.waiting < 2) await turn();
  }
  await registering;
  t.is(answer, '00');
  t.is(two.there.waiting, 2, 'both copies are inside the device');
  t.is(await two.ended(first), '00');
  t.is(await two.ended(second), '00');
});

test('a copy that ends by itself leaves nothing behind', async (t) => {
  const two = await Two.make();
  for (const back of [false, true]) t.is(await two.ended(two.copy({ back })), '00');
  let idle = false;
  (two.far.route(0, 0) as LogicalUnit).visits.idle(() => {
    idle = true;
  });
  t.true(idle);
});
