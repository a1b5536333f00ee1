/** The bounds of the network between servers, each with its reason; relations are asserted at import. */
import assert from 'node:assert/strict';

export const limits = {
  /** A log segment and its headers: the largest thing that one server hands another at once. */
  rpcMessageBytes: 1024 * 1024 + 64 * 1024,
  /** Queued for a slow peer before `send` says false. */
  rpcHighWaterBytes: 1024 * 1024,
  /** Queued for a peer whose senders did not stop: the channel dies. */
  rpcBufferedBytes: 32 * 1024 * 1024,
  /** A message's body, all beside its payload: a thousand marks of chunks. */
  rpcBodyBytes: 64 * 1024,
  /** The text of an error that is sent. */
  rpcFailureLetters: 512,
  /** Calls of one side that the other works on at once: above what a server's disks do in parallel. */
  rpcCalls: 256,
  /** Their payloads, those of the answers included: eight whole segments. */
  rpcCallBytes: 8 * 1024 * 1024,
  /** Calls that wait for one of the above, or for a channel; more are refused. */
  rpcWaiting: 1024,
  /** Both sides have said which versions they speak. */
  rpcHelloMs: 5000,
  /** With calls in flight and nothing heard for so long, the other side is asked for a sign of life. */
  rpcPingMs: 2000,
  /** Asked so often without an answer: the channel dies. TCP itself would try for minutes. */
  rpcPings: 3,
  /** Between attempts to connect: from the first to the longest, doubling. */
  rpcRetryMsMin: 50,
  rpcRetryMsMax: 2000,
  /** A channel that another one replaced is closed when nothing has used it for so long. */
  rpcRetireMs: 1000,
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

// Requests stop at the high water; answers do not, and what can be asked for at once must fit.
assert(
  limits.rpcHighWaterBytes +
    limits.rpcMessageBytes +
    limits.rpcCallBytes +
    limits.rpcCalls * limits.rpcBodyBytes <
    limits.rpcBufferedBytes,
);
assert(limits.rpcMessageBytes <= limits.rpcCallBytes);
assert(limits.rpcGatherBytes < limits.rpcSlabBytes);
assert(limits.rpcMessageBytes < 2 ** 32);
