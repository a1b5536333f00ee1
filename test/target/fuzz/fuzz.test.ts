/**
 * A fixed share of the fuzzing of `npm run fuzz`: no crash, no hang, nothing left behind, and no answer
 * that holds what is not its own.
 */
import test from 'ava';
import { emptyTally, runRound } from '#test/fuzz/round.ts';
import { runSocketRound } from '#test/fuzz/sockets.ts';

const SEED = 7143;
const ROUNDS = 440;
const SOCKET_ROUNDS = 20;

test('mutated PDUs and CDBs in memory do no harm', (t) => {
  const tally = emptyTally();
  for (let round = 0; round < ROUNDS; round++) runRound(SEED, round, tally);
  t.true(tally.cases >= 20_000, `${tally.cases} cases`);
  // A target that hung up on everything would do no harm either.
  t.true(tally.good > 1000, `${tally.good} commands ended with GOOD`);
  t.true(tally.answers > tally.cases / 2, `${tally.answers} answers`);
});

test('a round is the same each time, so that a failure can be played again', (t) => {
  const [once, again] = [emptyTally(), emptyTally()];
  for (let round = 0; round < 20; round++) runRound(SEED, round, once);
  for (let round = 0; round < 20; round++) runRound(SEED, round, again);
  t.deepEqual(again, once);
});

test('nor do they over sockets', async (t) => {
  const tally = emptyTally();
  for (let round = 0; round < SOCKET_ROUNDS; round++) await runSocketRound(SEED, round, tally);
  t.true(tally.cases >= 900, `${tally.cases} cases`);
  t.true(tally.answers > 100, `${tally.answers} answers`);
});
