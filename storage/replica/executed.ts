/**
 * Which writes of whom were executed on a chunk (at most once, replication.md, section 6, after RIFL). Values:
 * every change makes a new one, so that a copy of a chunk and its record share their fate.
 */

interface OfClient {
  /** Every sequence below is refused for ever. */
  readonly lowest: number;
  readonly sequences: readonly number[];
}

export type Executed = ReadonlyMap<string, OfClient>;

export const nothingExecuted: Executed = new Map();

export type Verdict = 'new' | 'executed' | 'too old';

export function judge(executed: Executed, client: string, sequence: number): Verdict {
  const known = executed.get(client);
  if (known === undefined) return 'new';
  if (known.sequences.includes(sequence)) return 'executed';
  return sequence < known.lowest ? 'too old' : 'new';
}

export function withExecuted(
  executed: Executed,
  client: string,
  sequence: number,
  lowest: number,
): Executed {
  const known = executed.get(client);
  const bound = Math.max(lowest, known?.lowest ?? 0);
  const sequences = [...(known?.sequences ?? []), sequence].filter((each) => each >= bound);
  return new Map([...executed, [client, { lowest: bound, sequences }]]);
}
