/** The Transport over bare TCP: nobody is identified, so no server of a cluster listens with it. */
import { connect } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { socketTransport } from './socket-transport.ts';
import type { Transport } from './transport.ts';

export function tcpTransport(clock: Clock): Transport {
  return socketTransport(clock, {
    open: ({ host, port }, ready) => connect({ host, port, noDelay: true }, ready),
    accept: (accepted, ready) => ready(accepted),
    identify: (_socket, address) => address,
    opened: () => {},
  });
}
