/** HOST:PORT is understood or refused as a whole, and printed so that it can be read again. */
import test from 'ava';
import { bindsLoopback, formatAddress, isLoopback, parseAddress } from '#appliance/addresses.ts';

const good: readonly (readonly [string, string, number])[] = [
  ['127.0.0.1:3260', '127.0.0.1', 3260],
  ['0.0.0.0:0', '0.0.0.0', 0],
  ['[::1]:3260', '::1', 3260],
  ['[2001:db8::1]:65535', '2001:db8::1', 65535],
  ['[fe80::1%eth0]:3260', 'fe80::1%eth0', 3260],
  ['storage.example.org:80', 'storage.example.org', 80],
  ['localhost:3260', 'localhost', 3260],
];

for (const [text, host, port] of good) {
  test(`${text} is an address`, (t) => {
    const address = parseAddress(text);
    t.deepEqual(address, { host, port });
    t.is(formatAddress({ host, port }), text);
  });
}

const bad = [
  '',
  '3260',
  ':3260',
  '127.0.0.1',
  '127.0.0.1:',
  '127.0.0.1:65536',
  '127.0.0.1:-1',
  '127.0.0.1:0x10',
  '127.0.0:3260',
  '256.0.0.1:3260',
  '::1:3260',
  '[::1]',
  '[127.0.0.1]:3260',
  '[::g]:3260',
  'a b:3260',
  'http://127.0.0.1:3260',
];

for (const text of bad) {
  test(`'${text}' is no address`, (t) => t.is(parseAddress(text), null));
}

test('loopback is 127/8 and ::1, also mapped, and nothing else', (t) => {
  for (const host of ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1']) {
    t.true(isLoopback(host), host);
    t.true(bindsLoopback(host), host);
  }
  for (const host of ['128.0.0.1', '126.255.255.255', '::2', '::ffff:10.0.0.1', '0.0.0.0', '::']) {
    t.false(isLoopback(host), host);
    t.false(bindsLoopback(host), host);
  }
});
