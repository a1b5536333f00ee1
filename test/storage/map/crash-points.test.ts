/** Every prefix of a recorded disk trace recovers to a state that the acknowledgements allow. */
import test from 'ava';
import * as software from '../../../storage/map/open.ts';
import { check, crashStore, record } from '../../sim/crash-points.ts';

const seed = 20_261_121;

test('every crash point of a trace of more than 1000 disk writes recovers', async (t) => {
  const recording = await record(software, { seed, operations: 4800 });
  t.true(recording.writes >= 1000, `${recording.writes} writes`);
  t.true(recording.checkpoints >= 10, `${recording.checkpoints} checkpoints`);
  t.true(recording.segmentsCleaned >= 10, `${recording.segmentsCleaned} segments cleaned`);
  t.true(recording.segmentsOpened >= 45, 'every segment was reused');
  const { states, reopened, violations } = await check(software, recording, { seed });
  t.log(`${states} states of ${recording.writes} writes, ${reopened} opened twice`);
  t.deepEqual(violations, []);
});

test('and of one of snapshots, clones, rollbacks, groups and removals', async (t) => {
  const recording = await record(software, {
    seed,
    operations: 1500,
    writes: 1000,
    size: 24 * 1024 * 1024,
    images: true,
    options: crashStore,
  });
  t.true(recording.segmentsCleaned >= 10, `${recording.segmentsCleaned} segments cleaned`);
  t.is(Object.values(recording.images).filter((count) => count >= 3).length, 6);
  const { states, modes, violations } = await check(software, recording, {
    seed,
    subsets: 3,
    ways: 1,
  });
  t.log(`${states} states of ${recording.writes} writes: ${JSON.stringify(modes)}`);
  t.true(modes.some > 50, `${modes.some} subsets`);
  t.deepEqual(violations, []);
});

test('a disk whose sync does nothing is caught', async (t) => {
  const recording = await record(software, { seed, operations: 300, syncDoesNothing: true });
  const { violations } = await check(software, recording, { seed, every: 7, untilFound: true });
  t.not(violations.length, 0);
});
