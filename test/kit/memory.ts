/** What this process (or worker) really holds: its memory after the collector has run. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export interface Held {
  /** Objects and strings, bytes. */
  readonly heap: number;
  /** What buffers lie in, bytes. */
  readonly buffers: number;
}

export async function heldAfterCollection(): Promise<Held> {
  // What the first run frees may free more, a turn of the event loop later.
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}
