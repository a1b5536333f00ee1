/**
 * The walls between the layers hold (docs/architecture.md, "Layers and walls").
 */
import test from 'ava';
import { resolve, sources } from '#test/kit/tree.ts';

/** Inside storage/ imports go to the same room or to one further right, never to the left. */
const ranks = ['volume', 'replica', 'map', 'log', 'cluster', 'disk', 'rpc', 'base'];
/** Rooms that know nothing of one another although they share a side of the order. */
const strangers: readonly [string, string][] = [
  ['volume', 'log'],
  ['volume', 'disk'],
  ['map', 'cluster'],
  ['log', 'cluster'],
  ['map', 'rpc'],
  ['log', 'rpc'],
  ['disk', 'rpc'],
];

const room = (path: string): string => path.split('/')[1]!;

test('target/ imports nothing from outside its folder but node: and its declared packages', (t) => {
  for (const file of sources('target')) {
    for (const specifier of file.imports) {
      const to = resolve(file, specifier);
      const ours = to?.startsWith('target/') ?? false;
      const allowed = ours || specifier.startsWith('node:') || specifier === '@node-rs/crc32';
      t.true(allowed || exampleImport(file.path, specifier), `${file.path} imports ${specifier}`);
    }
  }
});

function exampleImport(path: string, specifier: string): boolean {
  return path.startsWith('target/examples/') && /^node-iscsi-target(?:\/filters)?$/.test(specifier);
}

test('storage/ reaches neither target/ nor appliance/', (t) => {
  for (const file of sources('storage')) {
    for (const specifier of file.imports) {
      const to = resolve(file, specifier);
      t.true(to === null || to.startsWith('storage/'), `${file.path} imports ${specifier}`);
    }
  }
});

test('inside storage/ imports go downwards only', (t) => {
  for (const file of sources('storage')) {
    const from = ranks.indexOf(room(file.path));
    if (from < 0) continue; // storage/server.ts composes all rooms
    for (const specifier of file.imports) {
      const to = resolve(file, specifier);
      if (to === null) continue;
      const rank = ranks.indexOf(room(to));
      t.true(rank >= from, `${file.path} imports upwards: ${specifier}`);
      const barred = strangers.some(([a, b]) => a === room(file.path) && b === room(to));
      t.false(barred && !portOnly(to), `${file.path} reaches past its neighbour: ${specifier}`);
    }
  }
});

/** A room's port file may be named by anyone above it. */
function portOnly(path: string): boolean {
  return ['storage/disk/disk.ts', 'storage/cluster/directory.ts', 'storage/map/blocks.ts'].includes(
    path,
  );
}

test('only appliance/ and test/ see both target/ and storage/', (t) => {
  for (const file of sources('target', 'storage')) {
    for (const specifier of file.imports) {
      t.false(specifier.includes('appliance'), `${file.path} imports ${specifier}`);
      t.false(specifier.includes('test/'), `${file.path} imports ${specifier}`);
    }
  }
});

/** Files that are the real side of a port: the only ones that may touch the world. */
const adapters = [
  'storage/base/clock.ts',
  'storage/base/random.ts',
  'storage/cluster/etcd/http.ts',
  'storage/disk/file.ts',
  'storage/disk/create.ts',
  'storage/disk/helper.ts',
  'storage/disk/locate.ts',
  'storage/disk/lock.ts',
  'storage/disk/signature.ts',
  'storage/rpc/socket-channel.ts',
  'storage/rpc/socket-transport.ts',
  'storage/rpc/tcp.ts',
  'storage/rpc/tls.ts',
  'target/clock.ts',
  'target/portal.ts',
];

const world: readonly [RegExp, string][] = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, 'a clock'],
  [/\bset(?:Timeout|Interval|Immediate)\(/, 'a timer'],
  [/\bMath\.random\(/, 'chance'],
  [/from 'node:(?:fs|fs\/promises|net|dgram|http|https|tls|child_process|os)'/, 'the system'],
];

test('outside the real side of a port nothing in target/ and storage/ touches time, chance or the system', (t) => {
  for (const file of sources('target', 'storage')) {
    if (adapters.includes(file.path) || file.path.startsWith('target/examples/')) continue;
    const code = withoutComments(file.text);
    for (const [pattern, what] of world) {
      t.false(pattern.test(code), `${file.path} touches ${what}; use the port`);
    }
  }
});

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
