/** The judge of the simulation: what it must accept and what it must see. */
import test from 'ava';
import {
  judgeRegister,
  type RegisterRead,
  type RegisterWrite,
} from '#test/sim/cluster/registers.ts';

const never = Number.POSITIVE_INFINITY;
const write = (
  value: number,
  start: number,
  end: number,
  givenUp: number[] = [],
): RegisterWrite => ({
  ...{ value, start, end, givenUp },
});
const read = (value: number, start: number, end: number): RegisterRead => ({ value, start, end });

const stories: readonly {
  readonly name: string;
  readonly writes: readonly RegisterWrite[];
  readonly reads: readonly RegisterRead[];
  readonly good: boolean;
}[] = [
  {
    name: 'what was written is read',
    writes: [write(1, 0, 1)],
    reads: [read(1, 2, 3)],
    good: true,
  },
  { name: 'before it, nothing', writes: [write(1, 2, 3)], reads: [read(0, 0, 1)], good: true },
  { name: 'lost', writes: [write(1, 0, 1)], reads: [read(0, 2, 3)], good: false },
  {
    name: 'stale',
    writes: [write(1, 0, 1), write(2, 2, 3)],
    reads: [read(1, 4, 5)],
    good: false,
  },
  {
    name: 'either, while both are under way',
    writes: [write(1, 0, 9), write(2, 0, 9)],
    reads: [read(1, 10, 11)],
    good: true,
  },
  {
    name: 'backwards',
    writes: [write(1, 0, 9), write(2, 0, 9)],
    reads: [read(1, 10, 11), read(2, 12, 13)],
    good: false,
  },
  {
    name: 'without an answer it may have happened, late',
    writes: [write(1, 0, never), write(2, 2, 3)],
    reads: [read(2, 4, 5), read(1, 6, 7)],
    good: true,
  },
  {
    name: 'given up for a later one, it may not come back',
    writes: [write(1, 0, never), write(2, 2, 3, [1])],
    reads: [read(2, 4, 5), read(1, 6, 7)],
    good: false,
  },
  { name: 'never written', writes: [], reads: [read(5, 0, 1)], good: false },
  {
    name: 'read before it was sent',
    writes: [write(1, 5, 6)],
    reads: [read(1, 0, 1)],
    good: false,
  },
];

for (const { name, writes, reads, good } of stories) {
  test(name, (t) => {
    const wrong = judgeRegister(writes, reads);
    t.is(wrong === null, good, String(wrong));
  });
}
