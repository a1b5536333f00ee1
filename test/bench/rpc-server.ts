/**
 * The other side of the RPC bench, in a process of its own: 4 KiB for whoever asks, as calls and as
 * bare messages, over TLS and over TCP. Told its certificate, tells its addresses; then its CPU time.
 */
import { realClock } from '#storage/base/clock.ts';
import { silentLog } from '#storage/base/log.ts';
import { realRandom } from '#storage/base/random.ts';
import { Links } from '#storage/rpc/links.ts';
import { kinds, protocol } from '#storage/rpc/messages.ts';
import { tcpTransport } from '#storage/rpc/tcp.ts';
import { type Credentials, TlsTransport } from '#storage/rpc/tls.ts';
import type { Channel, ChannelListener, Transport } from '#storage/rpc/transport.ts';

export interface Addresses {
  readonly calls: string;
  readonly bare: string;
}

const block = Buffer.alloc(4096, 'data');

/** Whatever comes is answered by a block. */
function bare(channel: Channel): ChannelListener {
  return {
    message: () => channel.send(block),
    drained: () => {},
    closed: () => {},
  };
}

async function serve(transport: Transport): Promise<Addresses> {
  const links = new Links({
    clock: realClock,
    random: realRandom,
    log: silentLog,
    transport,
    table: kinds,
    versions: protocol,
    self: 'server',
    addressOf: () => 'none:1',
  });
  links.serve('read', () => ({
    body: { outcome: 'done', configuration: null },
    payload: block,
  }));
  const calls = await links.listen('127.0.0.1:0');
  const { address } = await transport.listen('127.0.0.1:0', bare);
  return { calls, bare: address };
}

process.on('message', async (message: Credentials | 'usage') => {
  if (message === 'usage') {
    process.send!(process.cpuUsage());
    return;
  }
  const tls = new TlsTransport(realClock, message, () => null);
  process.send!({ tls: await serve(tls), tcp: await serve(tcpTransport(realClock)) });
});
process.on('disconnect', () => process.exit());
