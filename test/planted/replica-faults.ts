/** Faults of replication, each breaking one rule of the protocol; [Hn] as in docs/replication.md. */
import type { Fault } from './plant.ts';

const finder = 'cluster';

/** One line of one file. */
function fault(name: string, file: string, from: string, to: string): Fault {
  return { name, finder, replace: [{ file: `replica/${file}.ts`, from, to }] };
}

export const replicaFaults: readonly Fault[] = [
  fault(
    '[H4, H5] a restart does not raise the version',
    'member',
    'else await this.#change(registered, raised(configuration));',
    'else await this.#adopt(configuration);',
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
    '[H13] a write that is in flight is answered at once',
    'writes',
    "return (await operation.end) ? { kind: 'done' } : this.#ports.member.redirect;",
    "return { kind: 'done' };",
  ),
  fault(
    'answered before the others have it',
    'writes',
    'if (!term.others.every((other) => operation.held.has(other))) return;',
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
    'a chunk is copied without its lock',
    'joining',
    'const lock = await locks.acquire(chunk, 0, Number.POSITIVE_INFINITY, true);',
    'const lock = await locks.acquire(-chunk - 1, 0, 1, true);',
  ),
  fault(
    'the coordinator reads beside its writes',
    'reads',
    'await this.#ports.locks.acquire(chunk, offset, offset + length, false);',
    'await this.#ports.locks.acquire(-chunk - 1, offset, offset + length, false);',
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
];
