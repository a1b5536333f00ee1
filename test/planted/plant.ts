/**
 * Plants a fault: storage/ is copied to a temporary place, a few lines of the copy are replaced,
 * and the copy is put to the test in a process of its own. Production code has no switches; a
 * replacement that no longer applies is an error.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Fault {
  /** The rule that it breaks. */
  readonly name: string;
  /** What is expected to find it: see `finders.ts`. */
  readonly finder: string;
  readonly replace: readonly {
    readonly file: string;
    readonly from: string;
    readonly to: string;
  }[];
}

export interface Outcome {
  readonly found: boolean;
  readonly how: string;
}

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Run the fault's finder on a copy that has the fault. */
export async function plant(fault: Fault): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), 'petal-planted-'));
  try {
    cpSync(join(root, 'storage'), join(directory, 'storage'), { recursive: true });
    cpSync(join(root, 'package.json'), join(directory, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
    for (const { file, from, to } of fault.replace) {
      const path = join(directory, 'storage', file);
      const parts = readFileSync(path, 'utf8').split(from);
      if (parts.length !== 2) {
        throw new Error(
          `"${fault.name}" no longer applies: ${file} has it ${parts.length - 1} times`,
        );
      }
      writeFileSync(path, parts.join(to));
    }
    return await run(join(directory, 'storage', 'map', 'open.ts'), fault.finder);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function run(software: string, finder: string): Promise<Outcome> {
  const script = join(root, 'test', 'planted', 'finders.ts');
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [script, software, finder],
      { timeout: 120_000 },
      (error, out, err) => {
        if (error === null) {
          resolve(JSON.parse(out) as Outcome);
          return;
        }
        // An assertion of the software itself counts: it ends the process before harm is done.
        const assertion = /AssertionError[^\n]*/.exec(err);
        if (assertion !== null) resolve({ found: true, how: assertion[0] });
        else reject(new Error(`the finder failed: ${err}`, { cause: error }));
      },
    );
  });
}
