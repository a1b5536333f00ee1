/** The gateway's JSON, as etcd 3.4 writes it; anything else is Malformed, and nothing but that. */
import test from 'ava';
import fc from 'fast-check';
import { decodeError, decodeTxn, decodeWatch, Malformed } from '#storage/cluster/etcd/codec.ts';

const header = '"header":{"cluster_id":"1","member_id":"2","revision":"7","raft_term":"2"}';

test('what is false, zero or empty is left out', (t) => {
  t.deepEqual(decodeTxn(`{${header}}`), { revision: 7n, succeeded: false, ranges: [] });
  const found = `{"response_range":{${header},"kvs":[{"key":"YQ==","mod_revision":"5","version":"1"}],"count":"1"}}`;
  const none = `{"response_range":{${header}}}`;
  const put = `{"response_put":{${header}}}`;
  t.deepEqual(decodeTxn(`{${header},"succeeded":true,"responses":[${found},${none},${put}]}`), {
    revision: 7n,
    succeeded: true,
    ranges: [
      { kvs: [{ key: 'a', value: new Uint8Array(0), modified: 5n }], more: false },
      { kvs: [], more: false },
      null,
    ],
  });
});

test('the lines of a watch', (t) => {
  const nothing = { canceled: false, compacted: 0n, fragment: false, events: [] };
  t.deepEqual(decodeWatch(`{"result":{${header},"created":true}}`), nothing);
  t.deepEqual(decodeWatch(`{"result":{${header},"canceled":true,"compact_revision":"6"}}`), {
    ...nothing,
    canceled: true,
    compacted: 6n,
  });
  const events =
    '[{"kv":{"key":"YQ==","mod_revision":"6","value":"AA=="}},{"type":"DELETE","kv":{"key":"Yg==","mod_revision":"7"}}]';
  t.deepEqual(decodeWatch(`{"result":{${header},"events":${events}}}`).events, [
    { deleted: false, kv: { key: 'a', value: new Uint8Array(1), modified: 6n } },
    { deleted: true, kv: { key: 'b', value: new Uint8Array(0), modified: 7n } },
  ]);
  t.throws(() => decodeWatch('{"error":{"grpc_code":14}}'), { instanceOf: Malformed });
});

test('errors of 3.4, of 3.5 and of others', (t) => {
  const text = 'etcdserver: mvcc: required revision has been compacted';
  t.deepEqual(decodeError(`{"error":"${text}","message":"${text}","code":11}`), {
    code: 11,
    message: text,
  });
  t.deepEqual(decodeError(`{"code":11,"message":"${text}","details":[]}`), {
    code: 11,
    message: text,
  });
  t.is(decodeError('<html>').code, -1);
  t.true(decodeError('x'.repeat(10_000)).message.length <= 200);
});

test('numbers beyond 2^53 stay whole', (t) => {
  const text = '{"header":{"revision":"9007199254740993"}}';
  t.is(decodeTxn(text).revision, 9007199254740993n);
});

const hostile = [
  '',
  '{',
  '[]',
  'null',
  '{}',
  '{"header":{}}',
  '{"header":{"revision":7}}',
  '{"header":{"revision":"-7"}}',
  '{"header":{"revision":"0"}}',
  '{"header":{"revision":"99999999999999999999"}}',
  `{${header},"succeeded":"true"}`,
  `{${header},"responses":{}}`,
  `{${header},"responses":[7]}`,
  `{${header},"responses":[{"response_range":[]}]}`,
  `{${header},"responses":[{"response_range":{"kvs":[null]}}]}`,
  `{${header},"responses":[{"response_range":{"kvs":[{"key":"YQ=="}]}}]}`,
  `{${header},"responses":[{"response_range":{"kvs":[{"key":"?","mod_revision":"1"}]}}]}`,
];

test('what etcd would not say is Malformed', (t) => {
  for (const text of hostile) t.throws(() => decodeTxn(text), { instanceOf: Malformed }, text);
  for (const text of ['', '{}', '{"result":[]}', '{"result":{"events":[{"type":"PUT"}]}}']) {
    t.throws(() => decodeWatch(text), { instanceOf: Malformed }, text);
  }
});

const names = ['header', 'revision', 'succeeded', 'responses', 'response_range', 'kvs', 'key'];
const more = ['result', 'events', 'kv', 'type', 'compact_revision', 'canceled', 'mod_revision'];
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom(null, true, 7, '7', 'YQ==', 'DELETE', ''),
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...names, ...more, '__proto__'), tie('tree')),
  ),
}));

test('no JSON makes the codec fail in another way', (t) => {
  fc.assert(
    fc.property(tree, (value) => {
      const text = JSON.stringify(value);
      for (const decode of [decodeTxn, decodeWatch]) {
        try {
          decode(text);
        } catch (error) {
          if (!(error instanceof Malformed)) throw error;
        }
      }
      decodeError(text);
    }),
  );
  t.pass();
});
