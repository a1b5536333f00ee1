/**
 * What `npm pack` makes of the package is whole and works elsewhere: installed from the tarball on a
 * plain Node, with no TypeScript, the README's example serves a disk, and its types are right.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Initiator } from '#test/kit/initiator.ts';
import { runOk } from '#test/kit/run.ts';
import { serve } from '#test/kit/served.ts';
import { makeDirectory, removeDirectory } from '#test/kit/temp.ts';
import { root } from '#test/kit/tree.ts';

const modules = join(root, 'node_modules');
const tools = { PATH: `${join(modules, '.bin')}:${process.env.PATH}` };
/** What is not source: not copied to where the package is packed. */
const left = /\/(?:node_modules|dist)$|\.tgz$/;

interface Manifest {
  readonly private?: boolean;
  readonly scripts?: unknown;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
}

let directory: string;
let source: string;
let consumer: string;
let packed: string[];
const installed = (...names: string[]) =>
  join(consumer, 'node_modules', 'node-iscsi-target', ...names);
const manifest = (): Manifest => JSON.parse(readFileSync(installed('package.json'), 'utf8'));

test.before(async () => {
  directory = await makeDirectory();
  source = join(directory, 'source');
  consumer = join(directory, 'consumer');
  cpSync(join(root, 'target'), source, { recursive: true, filter: (name) => !left.test(name) });
  symlinkSync(modules, join(directory, 'node_modules'));
  const result = await runOk('npm', ['pack', '--json', '--pack-destination', directory], {
    cwd: source,
    env: tools,
  });
  const [info] = JSON.parse(result.stdout.slice(result.stdout.indexOf('[\n'))) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = info.files.map(({ path }) => path).sort();
  mkdirSync(consumer);
  // The checksum module comes from where it is installed already, so that no network is needed.
  const native = readdirSync(join(modules, '@node-rs')).map((name) => `@node-rs/${name}`);
  const dependencies: Record<string, string> = {
    'node-iscsi-target': `file:../${info.filename}`,
  };
  for (const name of native) dependencies[name] = `file:${join(modules, name)}`;
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ type: 'module', dependencies }));
  const flags = ['--offline', '--install-links', '--no-audit', '--no-fund', '--no-package-lock'];
  await runOk('npm', ['install', ...flags], { cwd: consumer, env: tools });
});

test.after.always(() => removeDirectory(directory));

test('it holds what it should and no source', (t) => {
  const beside = packed.filter((path) => !path.startsWith('dist/'));
  t.deepEqual(beside, ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']);
  for (const path of packed.filter((one) => one.startsWith('dist/'))) {
    t.regex(path, /\.(?:js|d\.ts)$/);
  }
  t.true(packed.includes('dist/index.js') && packed.includes('dist/index.d.ts'));
  t.is(
    readFileSync(join(root, 'target', 'LICENSE'), 'utf8'),
    readFileSync(join(root, 'LICENSE'), 'utf8'),
  );
});

test('packing leaves the source as it was', (t) => {
  const own = (folder: string) => readFileSync(join(folder, 'package.json'), 'utf8');
  t.is(own(source), own(join(root, 'target')));
  t.false(existsSync(join(source, 'dist')));
  t.false(existsSync(join(source, 'package.source.json')));
});

test('it may be published, and every export resolves to JavaScript and to types', async (t) => {
  const { exports, ...rest } = manifest();
  t.is(rest.private, undefined);
  t.is(rest.scripts, undefined);
  const tree = JSON.parse(readFileSync(join(root, 'target', 'package.json'), 'utf8')) as Manifest;
  t.deepEqual(Object.keys(exports), Object.keys(tree.exports));
  for (const [path, entry] of Object.entries(exports)) {
    t.true(existsSync(installed(entry.types)), entry.types);
    const name = path.replace(/^\./, 'node-iscsi-target');
    const here = (await import(join(root, 'target', String(tree.exports[path])))) as object;
    const script = `import * as all from '${name}'; console.log(JSON.stringify(Object.keys(all)))`;
    const { stdout } = await runOk(process.execPath, ['--input-type=module', '-e', script], {
      cwd: consumer,
    });
    t.deepEqual(JSON.parse(stdout), Object.keys(here), name);
  }
});

/** The first example of the README, on any free port. */
function example(): string {
  const text = readFileSync(installed('README.md'), 'utf8');
  const code = /```ts\n([\s\S]*?)```/.exec(text)?.[1];
  if (code?.includes('port: 3260') !== true) throw new Error('the README has no such example');
  return code.replace('port: 3260', 'port: 0');
}

test('the example of the README serves a disk on a plain Node', async (t) => {
  writeFileSync(join(consumer, 'ram.js'), example());
  const served = await serve(['--no-strip-types', 'ram.js'], consumer);
  t.teardown(async () => {
    await served.stop('SIGKILL');
  });
  const initiator = await Initiator.login({ port: served.port, target: served.target });
  await initiator.settle();
  const data = Buffer.alloc(64 * 1024, 0x77);
  await initiator.write(4096, data);
  t.deepEqual(await initiator.read(4096, 128), data);
  await initiator.logout();
});

test('its types check under strict rules, and refuse what is wrong', async (t) => {
  const types = join(consumer, 'node_modules', '@types');
  mkdirSync(types, { recursive: true });
  symlinkSync(join(modules, '@types', 'node'), join(types, 'node'));
  const options = {
    strict: true,
    noEmit: true,
    module: 'nodenext',
    target: 'esnext',
    types: ['node'],
  };
  const check = async (name: string, code: string): Promise<void> => {
    writeFileSync(join(consumer, name), code);
    const config = { compilerOptions: options, files: [name] };
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify(config));
    await runOk('tsc', ['-p', '.'], { cwd: consumer, env: tools });
  };
  const filter = `import { FaultFilter } from 'node-iscsi-target/filters';\n`;
  const use = `new FaultFilter(new RamDevice({ bytes: 512 }), [{ code: 'busy' }]);\n`;
  await t.notThrowsAsync(check('right.ts', filter + example() + use));
  const wrong = `${filter}${example()}${use.replace('busy', 'no such code')}`;
  await t.throwsAsync(check('wrong.ts', wrong), { message: /TS2322/ });
});
