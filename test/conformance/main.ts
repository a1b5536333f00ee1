/**
 * `npm run conformance`: iscsi-test-cu against this daemon (or tgt), skips split out.
 * Exit status 0 when at least PASS_FLOOR tests passed and none hung.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { PeerName, startPeer } from '../kit/peer.ts';
import { LUN_BYTES, PASS_FLOOR } from './floor.ts';
import { listSuites, runSuites } from './suites.ts';
import { count, markdown, suiteLine, TABLE_HEAD, verdict } from './table.ts';

const USAGE = `usage: npm run conformance -- [options]
  --suite NAME      only this suite (repeatable); the floor does not apply
  --peer tgt        run against tgt instead of this daemon
  --json FILE       every test's outcome
  --markdown FILE   the table for the docs
  --floor N         tests that have to pass (default ${PASS_FLOOR})`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', multiple: true },
      peer: { type: 'string', default: PeerName.petal },
      json: { type: 'string' },
      markdown: { type: 'string' },
      floor: { type: 'string', default: String(PASS_FLOOR) },
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
  const all = await listSuites();
  const chosen = values.suite ?? [...all.keys()];
  const suites = new Map(
    chosen.map((name) => {
      const tests = all.get(name);
      if (tests === undefined) throw new Error(`no suite "${name}" in iscsi-test-cu --list`);
      return [name, tests] as const;
    }),
  );
  const peer = await startPeer(values.peer, { sizeBytes: LUN_BYTES });
  try {
    console.log(TABLE_HEAD);
    const run = await runSuites(peer, suites, (outcomes) => console.log(suiteLine(outcomes)));
    for (const incident of run.incidents) console.log(`incident: ${incident}`);
    if (values.json !== undefined) await writeFile(values.json, JSON.stringify(run, null, 2));
    if (values.markdown !== undefined) await writeFile(values.markdown, markdown(run));
    console.log(`against ${run.peer}, ${Math.round(run.elapsedMs / 1000)} s`);
    console.log(verdict(run.outcomes));
    const { passed, hung } = count(run.outcomes);
    const floor = values.suite === undefined ? Number(values.floor) : 0;
    return passed >= floor && hung === 0 && run.incidents.length === 0 ? 0 : 1;
  } finally {
    await peer.stop();
  }
}

process.exitCode = await main();
