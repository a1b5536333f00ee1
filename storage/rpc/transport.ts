/**
 * The port to the network between servers: connections that carry whole messages, in order, or die.
 *
 * A message is 1 B…`limits.rpcMessageBytes`. Nothing is retried here; a dead connection tells so once.
 */

export interface Channel {
  /** For people and logs: who is at the other end. */
  readonly peer: string;
  /** Queue a message. False: the peer is slow; send no more until `drained` is heard. */
  send(message: Uint8Array): boolean;
  close(): void;
}

export interface ChannelListener {
  message(message: Uint8Array): void;
  drained(): void;
  /** The channel has ended; nothing is heard after this. */
  closed(reason: Error | null): void;
}

export interface Transport {
  /** Resolves when connected; rejects when not within the implementation's time limit. */
  connect(address: string, listener: ChannelListener): Promise<Channel>;
  /** `accept` gives each newcomer its listener. Resolves to the bound address and a way to stop. */
  listen(
    address: string,
    accept: (channel: Channel) => ChannelListener,
  ): Promise<{ readonly address: string; close(): Promise<void> }>;
}
