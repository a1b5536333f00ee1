/**
 * A name that the owner gives cannot put a line, a key or a path into what hosts are told: it is
 * refused when it is given. What hosts call themselves is refused at login.
 */
import test from 'ava';
import { decodeKeys } from '../../kit/pdu.ts';
import { Host, INITIATOR, loginStatus, NAME, pdu, text, world } from '../session/kit.ts';

const controls = ['\0', '\n', '\r', '\r\n', '\t', '\x1b[2J', '\x7f', '\u0085', '\u2028', '\u2029'];
const pieces = [
  ...controls,
  '/',
  '../',
  ' ',
  '\\',
  '"',
  "'",
  '<',
  '%0a',
  '\u00e4',
  '\u200b',
  '\ud800',
];

test('a target name with such a character is refused', (t) => {
  const { server } = world();
  for (const piece of pieces) {
    for (const name of [`${NAME}${piece}`, `${NAME}${piece}x`, `iqn.2026-11.te${piece}st:disk`]) {
      t.throws(() => server.addTarget({ name, access: () => 'read-write' }), {
        instanceOf: RangeError,
      });
    }
  }
});

test('an alias with a control character is refused, when it is given and when it is changed', async (t) => {
  const { server, target } = world();
  for (const [i, piece] of controls.entries()) {
    const alias = `disk${piece}TargetAddress=192.0.2.66:3260,1`;
    const name = `${NAME}-${i}`;
    t.throws(() => server.addTarget({ name, alias, access: () => 'read-write' }), {
      instanceOf: RangeError,
    });
    t.is(server.target(name), undefined);
    t.throws(() => Object.assign(target, { alias }), { instanceOf: RangeError });
  }
  t.throws(() => Object.assign(target, { alias: 'ü'.repeat(128) }), { instanceOf: RangeError });
  target.alias = `${'ü'.repeat(120)} disk`;
  const reply = await new Host(server).login();
  t.deepEqual(
    decodeKeys(reply.data).filter(([key]) => key === 'TargetAlias'),
    [['TargetAlias', target.alias]],
  );
});

test('an initiator name with such a character is no name, nor is an alias of it told to anyone', async (t) => {
  const lines: string[] = [];
  const say = (object: object, message: string) => lines.push(JSON.stringify([object, message]));
  const { server } = world({ log: { info: say, warn: say, error: say } });
  for (const piece of [...controls.filter((piece) => piece !== '\0'), ' ', '\u00e4', '\u200b']) {
    const host = new Host(server);
    const reply = await host.login({ InitiatorName: `${INITIATOR}${piece}root` });
    t.is(loginStatus(reply), '0200', JSON.stringify(piece));
    host.handler.closed();
  }
  const nul = await new Host(server).login({ InitiatorName: `${INITIATOR}\0X-y=1` });
  t.is(loginStatus(nul), '0000', 'a NUL ends the value: another key follows');
  t.is(server.sessions()[0]?.initiator, INITIATOR);
  t.true(
    lines.every((line) => !/\\[nr]|\\u00/.test(line)),
    lines.join('\n'),
  );
});

test('SendTargets gives each name and each address a line of its own, and nothing else', async (t) => {
  const { server } = world();
  for (let i = 0; i < 50; i++)
    server.addTarget({ name: `${NAME}-${i}`, alias: 'ü "a" /b', access: () => 'read-write' });
  const host = new Host(server);
  await host.enter({ SessionType: 'Discovery' });
  const data = text({ SendTargets: 'All' });
  host.send(pdu(0x44, { tag: 1, w20: 0xffffffff, w24: host.cmdSn, data }));
  const [reply] = await host.receive();
  const told = decodeKeys(reply!.data);
  t.is(told.length, 102);
  for (const [key, value] of told) {
    t.true(key === 'TargetName' || key === 'TargetAddress');
    t.regex(value, /^[\x21-\x7e]+$/);
  }
});
