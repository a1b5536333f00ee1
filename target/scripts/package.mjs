/**
 * What `npm pack` needs around it. In the source tree the package is used as it is, without a build;
 * the tarball holds JavaScript and declarations for a plain Node, and a manifest that points to them.
 *
 *   build    (prepack)   dist/ from the sources, then the published package.json; the tree's own is
 *                        kept as package.source.json
 *   restore  (postpack)  the tree's package.json again; dist/ goes
 *
 * Both may be run again after anything that went wrong. The sources cannot be used while a pack runs,
 * so tests pack a copy of this folder.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '..');
const manifest = join(folder, 'package.json');
const kept = join(folder, 'package.source.json');
const dist = join(folder, 'dist');

function restore() {
  if (existsSync(kept)) renameSync(kept, manifest);
  rmSync(dist, { recursive: true, force: true });
}

function build() {
  restore();
  execFileSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: folder, stdio: 'inherit' });
  const text = readFileSync(manifest, 'utf8');
  writeFileSync(kept, text);
  writeFileSync(`${manifest}.new`, `${JSON.stringify(published(JSON.parse(text)), null, 2)}\n`);
  renameSync(`${manifest}.new`, manifest);
}

/** The manifest of the tarball: no guard against publishing, no scripts, exports into dist/. */
function published({ private: _private, scripts: _scripts, ...rest }) {
  const exports = {};
  for (const [path, source] of Object.entries(rest.exports)) {
    const stem = source.replace(/^\.\//, './dist/').replace(/\.ts$/, '');
    exports[path] = { types: `${stem}.d.ts`, default: `${stem}.js` };
  }
  return { ...rest, exports };
}

const steps = { build, restore };
const step = steps[process.argv[2]];
if (step === undefined) {
  process.stderr.write('usage: package.mjs build|restore\n');
  process.exit(2);
}
step();
