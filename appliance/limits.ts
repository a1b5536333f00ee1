/**
 * Every bound of appliance/, each with its reason. Relations between them are asserted below, at
 * import, so that a change that breaks one cannot start.
 */
import assert from 'node:assert/strict';

export const limits = {
  /** The largest API body is a disk with its options: a few hundred bytes. */
  apiBodyBytes: 16 * 1024,
  /** A request that takes longer to arrive is a slow-sender attack, not a person. */
  apiRequestTimeoutMs: 10_000,
  /** A stream on which nothing moves: its producer may be slow, but nobody waits for ever. */
  streamIdleMs: 10 * 60_000,
  /** Read ahead of whoever takes an export: one record. */
  streamAheadBytes: 256 * 1024,
  /** Idle keep-alive connections are dropped after this; the CLI makes one call and leaves. */
  apiKeepAliveMs: 5_000,
  /** More parallel connections than any console and script need; bounds file descriptors. */
  apiConnections: 64,
  /** The CLI gives up on a daemon that does not answer; removing a disk may drain sessions first. */
  cliTimeoutMs: 60_000,

  /** A transaction carries a disk's whole record, so its access list is kept small. */
  accessRules: 64,
  /** Persistent reservations of a disk, kept through power loss: hosts write them, and the Directory
   *  holds what administrators write too. Some 300 registrations with names of usual length. */
  reservationBytes: 48 * 1024,
  /** CHAP users of a disk or of discovery: one a host or a cluster. */
  chapUsers: 64,
  /** A path segment of the API: a disk's name (63) or id (32), with room for a clear refusal. */
  nameParameter: 128,
  /** RFC 7143 4.2.7.1: an iSCSI name is at most 223 bytes. */
  iscsiNameBytes: 223,
  /** Leaves room in an iSCSI name for the installation, the disk's name and a suffix. */
  iqnBaseLength: 120,
  /** Of the names of a disk and its snapshot, what an exposed one's target is called after: as long as one of them. */
  targetNamePart: 63,
  /** Ranges of a difference in one answer: some hundred kilobytes of JSON. */
  diffRanges: 4096,
  /** At which pace a disk is flattened unless told: half of what a slow disk does. */
  flattenBytesPerSecond: 64 * 1024 ** 2,
  /** The slowest pace: a terabyte in twelve days. */
  flattenBytesPerSecondMin: 1024 ** 2,
  /** Sizes are whole blocks of the log, so a fraction of a unit is rounded up to these. */
  sizeStep: 4096,
  /** Listening addresses of one kind. */
  portals: 16,

  /** How often the store's free space is held against the marks of hosts: soon enough to act on. */
  poolLookMs: 1_000,

  /** Facts about the machine change slowly and cost CPU to collect. */
  hostRefreshMs: 10 * 60_000,
  /** First collection waits until the start is over. */
  hostFirstMs: 2_000,
  /** A hung tool (a dead NFS mount, a dying disk) must not leave children behind. */
  hostTimeoutMs: 60_000,
  hostAnswerBytes: 4 * 1024 * 1024,

  /**
   * Ctrl-C under `npm start` and a SIGTERM through timeout(1) arrive twice, from the terminal or the
   * group and from the parent that passes it on; nobody presses a key twice so fast.
   */
  signalEchoMs: 300,
  /** A clean shutdown that takes longer has hung; the store survives being killed. */
  shutdownMs: 60_000,
  /** Cache for blocks read: smaller thrashes on one sequential stream. */
  cacheMinBytes: 16 * 1024 ** 2,
  /** Memory for write-back: smaller holds nothing long enough to die young. */
  writeBackMinBytes: 16 * 1024 ** 2,
  /** Disks of a store that can be named: as many as a store can have. */
  storePaths: 64,
  /** Bytes of a path: what Linux takes. */
  pathBytes: 4096,
} as const;

const installationDigits = 8;
/** As storage/volume/limits.ts says of names. */
const diskNameLength = 63;
const suffixDigits = 6;
assert(
  limits.iqnBaseLength + 1 + installationDigits + 1 + diskNameLength + suffixDigits <=
    limits.iscsiNameBytes,
  'a target name made of the longest parts fits RFC 7143',
);
assert(limits.cliTimeoutMs >= limits.apiRequestTimeoutMs);
