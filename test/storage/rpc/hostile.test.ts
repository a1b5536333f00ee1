/** A member that breaks the rules loses its channel; no handler sees what it sent, and the others are served. */
import test, { type ExecutionContext } from 'ava';
import { Writer } from '#storage/rpc/bytes.ts';
import { headBytes, seal, Type } from '#storage/rpc/envelope.ts';
import { limits } from '#storage/rpc/limits.ts';
import type { Channel } from '#storage/rpc/transport.ts';
import { writeHello } from '#storage/rpc/versions.ts';
import { echo, SimServers, testKinds } from '#test/kit/links.ts';

const nothing = new Uint8Array(0);

function message(type: Type, number: number, call: number, leftMs: number, body = nothing): Buffer {
  const head = Buffer.concat([Buffer.alloc(headBytes), body]);
  seal(head, type, number, call, leftMs, nothing);
  return head;
}

function hello(least = 1, most = 2): Buffer {
  const writer = new Writer(100);
  writer.reset(0, 0);
  const bounds = { calls: 10, callBytes: 1000 };
  writeHello(writer, { least, most, ...bounds, incarnation: 5n, opening: 1, seen: 0 });
  return message(Type.hello, 0, 0, 0, Buffer.from(writer.written()));
}

function request(call: number, reply = 0): Buffer {
  const writer = new Writer(1000);
  writer.reset(0, 2);
  testKinds.echo.request.write(writer, echo(call, reply));
  return message(Type.request, 1, call, 1000, Buffer.from(writer.written()));
}

/** Sends messages to a server and says whether it was cut off. */
async function sent(
  t: ExecutionContext,
  messages: Buffer[],
): Promise<{ cut: boolean; heard: number }> {
  const servers = await SimServers.start(1, 'a', 'b');
  const { clock, network, heard, links, members } = servers;
  members.push('evil');
  let cut = false;
  const { transport } = network.node('evil');
  const connected = transport.connect('b', {
    message: () => {},
    drained: () => {},
    closed: () => {
      cut = true;
    },
  });
  const channel: Channel = await clock.until(connected);
  for (const one of messages) channel.send(one);
  await clock.until(new Promise<void>((resolve) => clock.after(100, resolve)));
  const count = heard.length;
  t.is(
    (await clock.until(links.a!.call('b', 'echo', echo(9), { deadlineMs: 1000 }))).body.number,
    9,
  );
  return { cut, heard: count };
}

test('who keeps the rules is served', async (t) => {
  t.deepEqual(await sent(t, [hello(), request(1), request(2)]), { cut: false, heard: 2 });
});

const bad: Record<string, Buffer[]> = {
  'a request before the first message': [request(1)],
  'two first messages': [hello(), hello()],
  'versions that are none': [hello(0, 0)],
  'a call number twice': [hello(), request(1), request(1)],
  'a call number left out': [hello(), request(2)],
  'an answer that nobody asked for': [hello(), message(Type.result, 1, 1, 0)],
  'a body cut short': [hello(), message(Type.request, 1, 1, 1000, Buffer.alloc(3))],
  'a body that is too long': [hello(), message(Type.request, 3, 1, 1000, Buffer.alloc(3))],
  'bytes without sense': [hello(), Buffer.alloc(100, 7)],
};
for (const [what, messages] of Object.entries(bad)) {
  test(`${what} ends the channel`, async (t) => {
    const { cut, heard } = await sent(t, messages);
    t.true(cut);
    t.true(heard <= 1);
  });
}

test('more calls at once than are taken end the channel', async (t) => {
  const servers = await SimServers.start(2, 'b');
  const { clock, network, links, members } = servers;
  members.push('evil');
  let going = 0;
  links.b!.serve('echo', () => {
    going += 1;
    return new Promise(() => {});
  });
  let cut = false;
  const connected = network.node('evil').transport.connect('b', {
    message: () => {},
    drained: () => {},
    closed: () => {
      cut = true;
    },
  });
  const channel = await clock.until(connected);
  channel.send(hello());
  for (let call = 1; call <= limits.rpcCalls + 10; call += 1) channel.send(request(call));
  await clock.until(new Promise<void>((resolve) => clock.after(100, resolve)));
  t.true(cut);
  t.is(going, limits.rpcCalls);
});

test('who never says what it speaks is cut off', async (t) => {
  const servers = await SimServers.start(3, 'b');
  const { clock, network, members } = servers;
  members.push('evil');
  const cut = new Promise<void>((resolve) => {
    void network.node('evil').transport.connect('b', {
      message: () => {},
      drained: () => {},
      closed: () => resolve(),
    });
  });
  await clock.until(cut);
  t.true(clock.now() >= limits.rpcHelloMs);
});
