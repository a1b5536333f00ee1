/** Temporary directories and free ports: whatever a test makes, it makes here and takes away. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The part of ava's `t` that cleaning up needs. */
export interface Cleanup {
  teardown(fn: () => void | Promise<void>): void;
}

/** A new directory below TMPDIR; the caller removes it with `removeDirectory`. */
export function makeDirectory(prefix = 'petal-test-'): Promise<string> {
  return mkdtemp(join(tmpdir(), prefix));
}

export function removeDirectory(directory: string): Promise<void> {
  return rm(directory, { recursive: true, force: true, maxRetries: 3 });
}

/** A new directory that goes when the test has ended. */
export async function temporaryDirectory(t: Cleanup): Promise<string> {
  const directory = await makeDirectory();
  t.teardown(() => removeDirectory(directory));
  return directory;
}

/**
 * A TCP port of 127.0.0.1 that was free a moment ago, for programs that cannot be told "any".
 * Someone else may take it meanwhile; the caller checks who answers.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no TCP address'));
        else resolve(address.port);
      });
    });
  });
}
