/**
 * The source tree as the style gate sees it: files, their imports, and where those lead.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

export const root = join(import.meta.dirname, '..', '..');

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Import specifiers as written. */
  readonly imports: readonly string[];
}

const importPattern = /(?:^|\n)\s*(?:import|export)\s[^'";]*?from\s+['"]([^'"]+)['"]/g;
const sidePattern = /(?:^|\n)\s*import\s+['"]([^'"]+)['"]/g;
const dynamicPattern = /import\(\s*['"]([^'"]+)['"]/g;
const urlPattern = /new URL\(\s*['"](\.[^'"]+\.ts)['"]/g;

/** All .ts files below the given top-level folders, node_modules left out. */
export function sources(...folders: string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
      .map((name) => read(join(folder, name))),
  );
}

function read(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const imports = [importPattern, sidePattern, dynamicPattern, urlPattern].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => match[1]!),
  );
  return { path, text, imports };
}

/** Where an import leads, relative to the root, or null when it leaves the tree (a package). */
export function resolve(file: SourceFile, specifier: string): string | null {
  if (specifier.startsWith('.')) return normalize(join(dirname(file.path), specifier));
  if (specifier.startsWith('#')) return normalize(specifier.slice(1));
  if (specifier === 'node-iscsi-target') return 'target/index.ts';
  return null;
}

/** Path of a file relative to the root. */
export const fromRoot = (path: string): string => relative(root, path);
