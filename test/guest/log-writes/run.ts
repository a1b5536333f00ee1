/** Runs a job whose store lies on dm-log-writes in a guest, then judges the logs that it left. */
import { makeDirectory, removeDirectory } from '#test/kit/temp.ts';
import type { Bed } from '../bed.ts';
import { type GuestJob, type GuestResult, runGuest } from '../machine.ts';
import { environmentOf, judgeLogs, type LoggedOptions, makeDisks } from './job.ts';

/** Rejects when a log shows a violation; a job that failed in the guest is not judged. */
export async function runLogged(
  bed: Bed,
  options: LoggedOptions,
  note: (text: string) => void,
  job: GuestJob,
): Promise<GuestResult> {
  const directory = await makeDirectory('petal-logged-');
  try {
    const disks = await makeDisks(directory, options);
    const files = { ...job.files, environment: environmentOf(options) };
    const result = await runGuest(bed, { ...job, files, disks, restrict: true });
    if (result.status !== 0) return result;
    const summary = JSON.parse(result.files.get('summary.json')!.toString('utf8'));
    await judgeLogs(directory, options, summary, note);
    return result;
  } finally {
    await removeDirectory(directory);
  }
}
