/**
 * `npm run conformance`: iscsi-test-cu in every configuration (or against tgt), skips split out.
 * Exit status 0 when at least PASS_FLOOR tests passed, none failed beyond the named deviations, none
 * hung, and nothing died.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { PeerName, startPeer } from '../kit/peer.ts';
import { type Configuration, configurations } from './configurations.ts';
import { LUN_BYTES, PASS_FLOOR } from './floor.ts';
import { runConfigurations } from './runs.ts';
import { listSuites } from './suites.ts';
import { configurationLine, count, markdown, suiteLine, TABLE_HEAD, verdict } from './table.ts';

const USAGE = `usage: npm run conformance -- [options]
  --configuration NAME  only this one (repeatable): ${configurations.map(({ name }) => name).join(', ')}
  --suite NAME          only this suite (repeatable)
  --peer tgt            run against tgt instead, everything once
  --json FILE           every test's outcome
  --markdown FILE       the tables for the docs
  --floor N             tests that have to pass (default ${PASS_FLOOR}; 0 with any of the above)`;

const tgt: Configuration = {
  name: 'tgt',
  about: 'tgt with a thin file-backed LUN',
  suites: null,
  start: () => startPeer(PeerName.tgt, { sizeBytes: LUN_BYTES }),
};

function chosen<T>(
  names: readonly string[] | undefined,
  all: readonly T[],
  nameOf: (one: T) => string,
): T[] {
  if (names === undefined) return [...all];
  return names.map((name) => {
    const found = all.find((one) => nameOf(one) === name);
    if (found === undefined)
      throw new Error(`there is no "${name}"; there are: ${all.map(nameOf).join(', ')}`);
    return found;
  });
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      configuration: { type: 'string', multiple: true },
      suite: { type: 'string', multiple: true },
      peer: { type: 'string', default: PeerName.petal },
      json: { type: 'string' },
      markdown: { type: 'string' },
      floor: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.peer !== PeerName.petal && values.peer !== PeerName.tgt) {
    throw new Error(`--peer is petal or tgt, not "${values.peer}"`);
  }
  const against = values.peer === PeerName.tgt ? [tgt] : configurations;
  const chosenConfigurations = chosen(values.configuration, against, ({ name }) => name);
  const suites = new Map(chosen(values.suite, [...(await listSuites())], ([name]) => name));
  const whole = values.configuration === undefined && values.suite === undefined;
  const floor = Number(values.floor ?? (whole && against === configurations ? PASS_FLOOR : 0));
  const started = performance.now();
  const run = await runConfigurations(chosenConfigurations, suites, {
    begin: ({ name, about }) => console.log(`\n${name}: ${about}\n${TABLE_HEAD}`),
    suite: (outcomes) => console.log(suiteLine(outcomes)),
  });
  console.log('\n| configuration | passed | failed | skipped | hung | of |');
  for (const each of run.runs) console.log(configurationLine(each.configuration, each.outcomes));
  for (const incident of run.incidents) console.log(`incident: ${incident}`);
  for (const { suite, test, deviation } of run.merged) {
    if (deviation !== null) console.log(`deviation: ${suite}.${test}: ${deviation.source}`);
  }
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(run, null, 2));
  if (values.markdown !== undefined) {
    const first = chosenConfigurations[0]?.name ?? '';
    await writeFile(values.markdown, markdown(run.merged, first));
  }
  console.log(`${Math.round((performance.now() - started) / 1000)} s`);
  console.log(verdict(run.merged));
  const { passed, failed, hung } = count(run.merged);
  const sound = failed === 0 && hung === 0 && run.incidents.length === 0;
  // What a peer fails is for the table, not for this command.
  return passed >= floor && (sound || against !== configurations) ? 0 : 1;
}

process.exitCode = await main();
