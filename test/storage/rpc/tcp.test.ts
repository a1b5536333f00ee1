/** Messages over TCP arrive whole, in order, once, or the channel says why it died, once. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import test from 'ava';
import { realClock } from '#storage/base/clock.ts';
import { StorageError } from '#storage/base/errors.ts';
import { parseAddress } from '#storage/rpc/address.ts';
import { FrameReader, prefixBytes, writePrefix } from '#storage/rpc/frames.ts';
import { limits } from '#storage/rpc/limits.ts';
import { tcpTransport } from '#storage/rpc/tcp.ts';
import type { Channel, ChannelListener } from '#storage/rpc/transport.ts';
import { SeededRandom } from '#test/kit/random.ts';
import { ManualClock } from '#test/sim/manual-clock.ts';

class Heard implements ChannelListener {
  readonly messages: Uint8Array[] = [];
  readonly reasons: (Error | null)[] = [];
  drains = 0;
  #wake: () => void = () => {};

  message(message: Uint8Array): void {
    this.messages.push(message);
    this.#wake();
  }

  drained(): void {
    this.drains++;
    this.#wake();
  }

  closed(reason: Error | null): void {
    this.reasons.push(reason);
    this.#wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const transport = tcpTransport(realClock);

function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(prefixBytes + message.length);
  writePrefix(message.length, framed, 0);
  framed.set(message, prefixBytes);
  return framed;
}

async function listening(t: { teardown(fn: () => Promise<void>): void }) {
  const heard = new Heard();
  const channels: Channel[] = [];
  const listener = await transport.listen('127.0.0.1:0', (channel) => {
    channels.push(channel);
    return heard;
  });
  t.teardown(() => listener.close());
  return { heard, channels, address: listener.address, listener };
}

function raw(address: string): Promise<Socket> {
  const { host, port } = parseAddress(address);
  return new Promise((resolve) => {
    const socket = connect({ host, port }, () => resolve(socket));
  });
}

test('messages of every size go both ways, whole and in order', async (t) => {
  const { heard, channels, address } = await listening(t);
  const mine = new Heard();
  const channel = await transport.connect(address, mine);
  const random = new SeededRandom();
  const sizes = [1, 2, 3, 4, 5, 4096, 65_536, limits.rpcMessageBytes, 1];
  const sent = sizes.map((size) => random.fill(Buffer.alloc(size)));
  for (const message of sent) {
    const cut = Math.min(message.length, 100);
    const head = Buffer.from(message.subarray(0, cut));
    channel.send(head, message.subarray(cut));
    head.fill(0);
  }
  await heard.until(() => heard.messages.length === sent.length);
  t.true(heard.messages.every((message, index) => sent[index]!.equals(message)));
  channels[0]!.send(sent[5]!);
  await mine.until(() => mine.messages.length === 1);
  t.true(sent[5]!.equals(mine.messages[0]!));
  channel.close();
  channel.close();
  await heard.until(() => heard.reasons.length > 0);
  await mine.until(() => mine.reasons.length > 0);
  t.deepEqual([heard.reasons, mine.reasons], [[null], [null]]);
  t.false(channel.send(sent[0]!));
});

test('what was sent before an orderly close still arrives', async (t) => {
  const { heard, address } = await listening(t);
  const channel = await transport.connect(address, new Heard());
  for (let index = 0; index < 8; index++) channel.send(new Uint8Array(500_000).fill(index));
  channel.close();
  await heard.until(() => heard.reasons.length > 0);
  t.is(heard.messages.length, 8);
  t.deepEqual(heard.reasons, [null]);
});

test('a stream split anywhere gives the same messages', (t) => {
  const messages = [1, 7, 300, 2].map((size, index) => new Uint8Array(size).fill(index + 1));
  const stream = Buffer.concat(messages.map(frame));
  for (let first = 0; first <= stream.length; first++) {
    const second = Math.min(stream.length, first + 3);
    const reader = new FrameReader();
    const got: Uint8Array[] = [];
    const take = (message: Uint8Array): boolean => got.push(message) > 0;
    reader.push(stream.subarray(0, first), take);
    reader.push(stream.subarray(first, second), take);
    reader.push(stream.subarray(second), take);
    t.deepEqual(
      got.map((message) => Uint8Array.from(message)),
      messages,
    );
    t.false(reader.midway);
  }
});

test('a length of zero or too large ends the channel with a reason', async (t) => {
  for (const length of [0, limits.rpcMessageBytes + 1, 2 ** 32 - 1]) {
    const { heard, address } = await listening(t);
    const socket = await raw(address);
    socket.on('error', () => {});
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32LE(length);
    socket.write(
      Buffer.concat([Buffer.from(frame(new Uint8Array([1]))), prefix, Buffer.alloc(100)]),
    );
    await heard.until(() => heard.reasons.length > 0);
    t.is(heard.messages.length, 1);
    t.regex(heard.reasons[0]!.message, new RegExp(`${length} bytes`));
    socket.destroy();
  }
});

test('a connection cut in the middle of a message is an error, between messages an end', async (t) => {
  for (const [bytes, cut] of [
    [Buffer.from([9, 0, 0, 0, 1]), true],
    [Buffer.alloc(0), false],
  ] as const) {
    const { heard, address } = await listening(t);
    const socket = await raw(address);
    socket.end(bytes);
    await heard.until(() => heard.reasons.length > 0);
    t.is(heard.reasons[0] !== null, cut);
    t.is(heard.messages.length, 0);
    socket.destroy();
  }
});

test('a reset is told once', async (t) => {
  const { heard, address } = await listening(t);
  const socket = await raw(address);
  socket.write(frame(new Uint8Array([1])));
  await heard.until(() => heard.messages.length === 1);
  socket.resetAndDestroy();
  await heard.until(() => heard.reasons.length > 0);
  t.is(heard.reasons.length, 1);
});

test('a slow peer is told of, then drained; a sender who does not stop loses the channel', async (t) => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const mine = new Heard();
  const channel = await transport.connect(`127.0.0.1:${port}`, mine);
  const [socket] = await accepted;
  socket.on('error', () => {});
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  socket.pause();
  const message = new Uint8Array(limits.rpcMessageBytes);
  let sent = 0;
  while (channel.send(message)) sent++;
  t.true(sent < 64);
  socket.resume();
  await mine.until(() => mine.drains === 1);
  socket.pause();
  let error: Error | null | undefined;
  for (let index = 0; index < 64 && error === undefined; index++) {
    channel.send(message);
    await new Promise((resolve) => setImmediate(resolve));
    error = mine.reasons[0];
  }
  t.regex(error?.message ?? '', /too slow/);
});

test('nobody there is an error, silence is one after the time limit', async (t) => {
  const { address, listener } = await listening(t);
  await listener.close();
  const refused = transport.connect(address, new Heard());
  t.is((await t.throwsAsync(refused, { instanceOf: StorageError }))?.code, 'BUSY');
  const clock = new ManualClock();
  const there = await listening(t);
  // The time is over before the answer can be heard.
  const silent = tcpTransport(clock).connect(there.address, new Heard());
  clock.advance(limits.rpcConnectMs);
  t.is((await t.throwsAsync(silent, { instanceOf: StorageError }))?.code, 'BUSY');
});

test('a port that is taken is said so; closing a listener ends its channels', async (t) => {
  const { address, heard, listener } = await listening(t);
  const second = transport.listen(address, () => new Heard());
  t.is((await t.throwsAsync(second, { instanceOf: StorageError }))?.code, 'IN_USE');
  const mine = new Heard();
  const channel = await transport.connect(address, mine);
  channel.send(new Uint8Array(1));
  await heard.until(() => heard.messages.length === 1);
  await listener.close();
  await mine.until(() => mine.reasons.length === 1);
  t.is(heard.reasons.length, 1);
});

test('addresses', (t) => {
  t.deepEqual(parseAddress('127.0.0.1:80'), { host: '127.0.0.1', port: 80 });
  t.deepEqual(parseAddress('[::1]:0'), { host: '::1', port: 0 });
  t.deepEqual(parseAddress('node-a.example:3290'), { host: 'node-a.example', port: 3290 });
  for (const bad of [
    '',
    '80',
    'host',
    'host:',
    ':80',
    '::1:80',
    'host:65536',
    'host:-1',
    '[::1]',
  ]) {
    t.throws(() => parseAddress(bad), { instanceOf: StorageError });
  }
});

test('a message that is empty or too long is refused', async (t) => {
  const { address } = await listening(t);
  const channel = await transport.connect(address, new Heard());
  t.throws(() => channel.send(new Uint8Array(0)), { instanceOf: StorageError });
  const head = new Uint8Array(1);
  const payload = new Uint8Array(limits.rpcMessageBytes);
  t.throws(() => channel.send(head, payload), { instanceOf: StorageError });
  channel.close();
});
