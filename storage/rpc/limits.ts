/** The bounds of the network between servers, each with its reason; relations are asserted at import. */
import assert from 'node:assert/strict';

export const limits = {
  /** A log segment and its headers: the largest thing that one server hands another at once. */
  rpcMessageBytes: 1024 * 1024 + 64 * 1024,
  /** Queued for a slow peer before `send` says false. */
  rpcHighWaterBytes: 1024 * 1024,
  /** Queued for a peer whose senders did not stop: the channel dies. */
  rpcBufferedBytes: 16 * 1024 * 1024,
  /** Messages up to this size are gathered into one write; above, a copy costs more than a write. */
  rpcGatherBytes: 16 * 1024,
  /** What gathers: some ten writes of 4 KiB. */
  rpcSlabBytes: 64 * 1024,
  /** Accepted channels of one listener: far above the servers of a cluster, small in memory. */
  rpcChannels: 256,
  /** Connections that have not proved who they are, together and from one address: a handshake takes milliseconds. */
  rpcStrangers: 64,
  rpcStrangersOfOneAddress: 8,
  /** As long as TCP needs for three attempts on a network that loses packets. */
  rpcConnectMs: 5000,
  /** What is queued at an orderly end goes out within this time, or not at all. */
  rpcCloseMs: 5000,
} as const;

assert(limits.rpcHighWaterBytes + limits.rpcMessageBytes < limits.rpcBufferedBytes);
assert(limits.rpcGatherBytes < limits.rpcSlabBytes);
assert(limits.rpcMessageBytes < 2 ** 32);
