/** Faults of replication, each breaking one rule of the protocol; [Hn] as in docs/replication.md. */
import type { Fault } from './plant.ts';

const finder = 'cluster';

/** One line of one file. */
function fault(name: string, file: string, from: string, to: string): Fault {
  return { name, finder, replace: [{ file: `replica/${file}.ts`, from, to }] };
}

export const replicaFaults: readonly Fault[] = [
  fault(
    '[H1] a lease is granted to a server that is being removed',
    'member',
    ' || this.#removing.has(server)) return false;',
    ') return false;',
  ),
  fault(
    '[H2] a restart forgets the grants of before',
    'leases',
    '    for (const server of others) this.grant(server);\n',
    '',
  ),
  fault(
    '[H3] answers before the leases of a removed server ran out',
    'leases',
    'return Math.max(0, ...servers.map((server) => (this.#granted.get(server) ?? now) - now));',
    'return Math.min(0, servers.length);',
  ),
  fault(
    '[H3, H6] a change of unknown outcome counts as not done',
    'member',
    'while (this.#term.version <= from && !this.#isStopped()) {',
    'while (from < 0) {',
  ),
  fault(
    '[H4, H5] a restart does not raise the version',
    'member',
    'else await this.#change(registered, raised(configuration));',
    'else await this.#adopt(configuration);',
  ),
  fault(
    '[H7] busy marks do not become stale marks',
    'member',
    'await store.addStale(this.group, server, store.busy(this.group));',
    'await store.addStale(this.group, server, []);',
  ),
  fault(
    '[H8] what was busy at the server that comes back is not fetched',
    'joining',
    '[...call.busy, ...busy]',
    'busy',
  ),
  fault(
    '[H9] numbers of before the joining count',
    'copies',
    'const taken = this.#taken.get(chunk);',
    'const taken = this.#taken.get(chunk) ?? member.ports.store.number(chunk);',
  ),
  fault(
    '[H9] numbers are counters alone',
    'number',
    'return a.version !== b.version ? a.version - b.version : a.counter - b.counter;',
    'return a.counter - b.counter;',
  ),
  fault(
    '[H11] a server that is out goes on with its writes',
    'member',
    'if (!term.member) this.#parts.abandon();',
    '',
  ),
  fault(
    '[H12] a copy applies a write over a gap',
    'copies',
    "if (compareNumbers(previous, here) !== 0) return { kind: 'gap' };",
    'call.write = { ...call.write, previous: here };',
  ),
  fault(
    '[H12] admitted while a forward is unsettled',
    'joining',
    'while (this.#lives(session) && session.unsettled > 0) await member.pause(limits.committedMs);\n      if (!this.#lives(session) || session.missing.size > 0) return;',
    'if (!this.#lives(session)) return;',
  ),
  fault(
    '[H13] a write that is in flight is answered at once',
    'writes',
    "return (await operation.end) ? { kind: 'done' } : this.#redirect();",
    "return { kind: 'done' };",
  ),
  fault(
    '[H14] the arrival of the last write is remembered, not the highest',
    'arrivals',
    'const high = Math.max(arrival.high, latest?.high ?? arrival.high);',
    'const { high } = arrival;',
  ),
  fault(
    '[H15] a write that is not surely younger is applied',
    'arrivals',
    'arrival.low <= latest.high',
    'arrival.high < latest.low',
  ),
  fault(
    'a write of any age is applied',
    'arrivals',
    'return arrival.low < Math.max(became, this.#clock.now() - limits.lifetimeMs);',
    'return arrival.low < became - 1e9;',
  ),
  fault(
    'a write of before the coordinator became one is applied',
    'arrivals',
    'Math.max(became, this.#clock.now() - limits.lifetimeMs)',
    'this.#clock.now() - limits.lifetimeMs',
  ),
  fault(
    'a stamp of an earlier start of the server counts',
    'writes',
    'call.incarnation !== incarnation || ',
    '',
  ),
  fault(
    'nothing is remembered of overtaken writes',
    'writes',
    '    arrivals.applied(chunk, offset, data.length, call.arrival);\n',
    '',
  ),
  fault(
    'answered before the others have it',
    'writes',
    'if (!term.others.every((other) => operation.held.has(other))) return;',
    '',
  ),
  fault(
    'answered before it is durable here',
    'writes',
    'if (term.ended || !operation.local || ',
    'if (term.ended || ',
  ),
  fault(
    'a copy answers before it is durable there',
    'copies',
    'await this.#appending.get(key);',
    '',
  ),
  fault(
    'a chunk written while a server is out is not marked stale',
    'writes',
    'for (const server of term.out) await this.#mark(server, write.chunk);',
    '',
  ),
  fault(
    'stale marks are dropped when the joining begins',
    'joining',
    'new Set([...store.stale(member.group, from), ...lacking])',
    'new Set(lacking)',
  ),
  fault(
    'a server with empty disks gets only what was written since',
    'joining',
    'call.busy === null ? all() : [...call.busy, ...busy]',
    '[...(call.busy ?? []), ...busy]',
  ),
  fault(
    'a forward that failed is forgotten',
    'joining',
    'if (!good) session.missing.add(write.chunk);',
    'void good;',
  ),
  fault(
    'a chunk is copied without its lock',
    'joining',
    'const lock = await locks.acquire(chunk, 0, Number.POSITIVE_INFINITY, true);',
    'const lock = await locks.acquire(-chunk - 1, 0, 1, true);',
  ),
  fault(
    'admitted before everything was fetched',
    'joining',
    'if (chunk !== undefined) {\n        if',
    'if (chunk !== undefined && session.missing.size > 2) {\n        if',
  ),
  fault(
    'a copy reads what is not committed',
    'copies',
    'return entries?.some((entry) => entry.from < to && from < entry.to) ?? false;',
    'return entries === null && from > to;',
  ),
  fault(
    'the coordinator reads beside its writes',
    'reads',
    'await this.#ports.locks.acquire(chunk, offset, offset + length, false);',
    'await this.#ports.locks.acquire(-chunk - 1, offset, offset + length, false);',
  ),
  fault(
    'a read needs no lease',
    'leases',
    'return lease !== undefined && lease.version === version && now < lease.until;',
    'return lease === undefined || lease.version !== version || now < Number.POSITIVE_INFINITY;',
  ),
  fault('a lease is of any version', 'leases', ' && lease.version === version', ''),
  fault(
    'a lease is used from when it was answered, without a margin',
    'leases',
    'const until = asked + limits.leaseMs * (1 - limits.leaseMargin);',
    'const until = this.#clock.now() + limits.leaseMs + (asked - asked);',
  ),
  fault(
    'a read is answered by what was true before it waited',
    'reads',
    'return leased && member.mayAnswer(term) ?',
    'return leased || !leased ?',
  ),
  fault(
    'the copies are not made one after a restart',
    'settling',
    'for (const [chunk, number] of chunks) {',
    'for (const [chunk, number] of chunks.slice(0, 0)) {',
  ),
  fault(
    'the lower number is taken',
    'settling',
    'if (compareNumbers(number, store.number(chunk)) <= 0) return true;',
    'if (compareNumbers(number, store.number(chunk)) >= 0) return true;',
  ),
  fault(
    'what another may read is not durable here yet',
    'settling',
    '    await this.#member.ports.store.flush();\n',
    '',
  ),
  fault(
    'an older version is heard',
    'copies',
    '    if (call.version !== term.version) return this.#redirect();\n    if (call.session === null ?',
    '    if (call.session === null ?',
  ),
  fault(
    'a write is not looked for among the executed',
    'executed',
    "if (known.sequences.includes(sequence)) return 'executed';",
    "if (known.sequences.length > 1e9) return 'executed';",
  ),
  fault(
    'a sequence below the low-water mark is executed',
    'executed',
    "return sequence < known.lowest ? 'too old' : 'new';",
    "return 'new';",
  ),
  fault(
    'records are not part of what is fetched',
    'copies',
    'await member.ports.store.install(member.group, chunk, copy, false);',
    'await member.ports.store.install(member.group, chunk, { ...copy, executed: member.ports.store.executed(chunk) }, false);',
  ),
  fault(
    'writers do not lock each other out',
    'locks',
    '(a.exclusive || b.exclusive) && a.from < b.to && b.from < a.to;',
    'a.exclusive !== b.exclusive && a.from < b.to && b.from < a.to;',
  ),
  fault(
    'a server with other disks is still in sync',
    'member',
    'insync.some((each) => each.server === this.name && each.store === store.id)',
    'insync.some((each) => each.server === this.name && store.id !== "")',
  ),
  fault(
    'a server that is out serves',
    'member',
    "      if (!term.member) {\n        this.#stage = 'out';",
    "      if (!term.member) {\n        this.#stage = 'serving';",
  ),
  fault(
    'a change of configuration marks nothing',
    'member',
    'for (const server of term.out) {\n          await store.addStale',
    'for (const server of []) {\n          await store.addStale',
  ),
];
