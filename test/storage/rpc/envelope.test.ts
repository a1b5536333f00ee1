/** What was damaged on its way is refused, never taken for something else. */
import test from 'ava';
import { StorageError } from '#storage/base/errors.ts';
import { bodyOf, headBytes, seal, Type, unseal } from '#storage/rpc/envelope.ts';

function sample(): Buffer {
  const body = Buffer.from('the body');
  const payload = Buffer.from('and its payload');
  const head = Buffer.concat([Buffer.alloc(headBytes), body]);
  seal(head, Type.request, 5, 77, 1234, payload);
  return Buffer.concat([head, payload]);
}

test('what is sealed is opened as it was', (t) => {
  const envelope = unseal(sample());
  const { type, number, call, leftMs, payload } = envelope;
  t.deepEqual([type, number, call, leftMs], [Type.request, 5, 77, 1234]);
  t.is(Buffer.from(bodyOf(envelope, 1).bytes(8)).toString(), 'the body');
  t.is(Buffer.from(payload).toString(), 'and its payload');
});

test('the bytes on the wire stay what they are', (t) => {
  const head = 'eef1ef275052020005000000' + '4d000000d2040000' + '080000000f000000';
  const content = Buffer.from('the bodyand its payload').toString('hex');
  t.is(sample().toString('hex'), head + content);
});

test('any change of any byte is refused', (t) => {
  const message = sample();
  for (let at = 0; at < message.length; at += 1) {
    for (const flip of [1, 2, 0x80, 0xff]) {
      const damaged = Buffer.from(message);
      damaged[at] = damaged[at]! ^ flip;
      const error = t.throws(() => unseal(damaged), { instanceOf: StorageError });
      t.is(error.code, 'CORRUPT');
    }
  }
});

test('cut or lengthened anywhere it is refused', (t) => {
  const message = sample();
  for (let length = 0; length < message.length; length += 1) {
    t.throws(() => unseal(message.subarray(0, length)), { instanceOf: StorageError });
  }
  t.throws(() => unseal(Buffer.concat([message, Buffer.alloc(1)])), { instanceOf: StorageError });
});

test('zeros are no message', (t) => {
  for (const length of [1, headBytes, 100]) {
    t.throws(() => unseal(new Uint8Array(length)), { instanceOf: StorageError });
  }
});
