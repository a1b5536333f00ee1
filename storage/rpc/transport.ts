/**
 * The port to the network between servers: connections that carry whole messages, in order, or die.
 *
 * A message is 1 B…`limits.rpcMessageBytes`. Nothing is retried here; a dead connection tells so once.
 */

export interface Channel {
  /** Who is at the other end: the id that the transport has proved, else an address for people. */
  readonly peer: string;
  /**
   * Queue a message of one or two parts. `head` may be used again at once; `payload` is the channel's
   * and does not change any more. Leaves when the current input has been handled. False: the peer is
   * slow (or gone); send no more until `drained` is heard.
   */
  send(head: Uint8Array, payload?: Uint8Array): boolean;
  /** What was sent still goes out; with a reason nothing does, and the listener is told the reason. */
  close(reason?: Error): void;
}

export interface ChannelListener {
  /** The bytes are the listener's to keep. */
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
