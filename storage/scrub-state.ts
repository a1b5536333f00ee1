/** How far scrubbing is, kept in the Directory: a pass of weeks survives restarts. */
import type { Log } from './base/log.ts';
import type { Directory } from './cluster/directory.ts';
import { neverScrubbed, type Scrubber, type ScrubState } from './log/scrub.ts';

const key = 'store/scrub';

/** Go on where the last run ended, and keep from now on how far it is. */
export async function keepScrubbing(
  scrubber: Scrubber,
  directory: Directory,
  periodMs: number,
  log: Log,
): Promise<void> {
  const entry = await directory.get(key);
  const known = entry === null ? neverScrubbed : parse(entry.value);
  if (known === null) log.warn({ key }, 'how far scrubbing was makes no sense; it begins anew');
  scrubber.save = async (state) => {
    await directory.commit([], [{ key, value: Buffer.from(JSON.stringify(state), 'utf8') }]);
  };
  scrubber.schedule(known ?? neverScrubbed, periodMs);
}

function parse(value: Uint8Array): ScrubState | null {
  try {
    const state = JSON.parse(Buffer.from(value).toString('utf8')) as Record<string, unknown>;
    const counts = ['next', 'segments', 'blocks', 'repaired', 'bad'] as const;
    const whole = counts.every(
      (name) => Number.isSafeInteger(state[name]) && Number(state[name]) >= 0,
    );
    const times = [state.begun, state.ended].every((at) => at === null || Number.isFinite(at));
    if (!whole || !times || Number(state.next) < 1) return null;
    return state as unknown as ScrubState;
  } catch {
    return null;
  }
}
