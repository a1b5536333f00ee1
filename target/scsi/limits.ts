/**
 * Every bound of scsi/, with its reason. What an initiator must know of them is in VPD page B0h,
 * which is made from these numbers, so what is announced is what is enforced.
 */
import { strict as assert } from 'node:assert';

const KiB = 1024;
const MiB = 1024 * KiB;

export const scsiLimits = {
  /** Flat space addressing ends here (SAM-5 4.7.4). */
  lun: 16383,

  /** One READ, WRITE, VERIFY with data, ORWRITE: what a session may have to hold for one command.
   *  Linux, Windows and ESXi split above what VPD B0h says; 4 MiB is beyond what they send. */
  transferBytes: 4 * MiB,
  /** Optimal transfer length: one segment of the log below, and iSCSI's usual MaxBurstLength order. */
  optimalTransferBytes: MiB,

  /** COMPARE AND WRITE: hosts lock with one sector; 64 KiB is one chunk of the store, so one atomic
   *  call. The field of VPD B0h is one byte, so also at most 255 blocks. */
  compareBytes: 64 * KiB,
  compareBlocks: 255,

  /** Blocks one UNMAP may name in total, and its descriptors (VPD B0h): 512 MiB of 512-byte sectors
   *  keeps the round trips few and a command well below a host's timer. */
  unmapBlocks: 1024 * 1024,
  unmapDescriptors: 256,

  /** WRITE SAME: zeros are cheap, a pattern is real writing, and a command of it must not hold up the
   *  others for long. 32768 sectors, so that the 10-byte form can name all of it. */
  writeSameBytes: 16 * MiB,

  /** One call to the device for a long pattern write or verify. Also the size of a scratch buffer. */
  pieceBytes: 256 * KiB,
  /** One call of `unmap` or `writeZeroes`; metadata work, so larger, but an abort is seen in between. */
  zeroPieceBytes: 16 * MiB,
  /** Scratch buffers of one logical unit: long commands beyond that take turns (1 MiB in all). */
  scratchBuffers: 4,
  /** Pieces that completed at once before a long command lets others run: well under 10 ms. */
  piecesPerTurn: 8,
  /** Tries of one ORWRITE piece against writers that change the blocks in between; then BUSY. */
  orWriteTries: 64,

  /** Unit attentions kept per nexus and unit. There are fewer kinds than that, and a kind is queued
   *  once, so nothing is lost; the bound is for the day someone adds kinds. */
  attentions: 24,

  /** Registrations of persistent reservations per unit: 256 hosts with some paths each. Also bounds
   *  READ KEYS and READ FULL STATUS (256 × 280 bytes). */
  registrations: 512,
  /** PERSISTENT RESERVE OUT parameter list: 28 bytes and, with SPEC_I_PT, TransportIDs (up to 248 bytes
   *  each with the longest IQN; usually 64), so a cluster's nodes in one command. */
  reserveOutBytes: 8192,
  /** EXTENDED COPY: what one command may name. VMFS clones with a few segments of 4 to 16 MiB; the list
   *  lengths are what these counts come to, and 512 MiB a command stays below a host's timer. */
  copyCscds: 8,
  copySegments: 16,
  copyDescriptorBytes: 8 * 32 + 16 * 28,
  copySegmentBytes: 32 * MiB,
  /** EXTENDED COPY parameter list that is taken in at all, so that the sense can say what is wrong. */
  copyListBytes: 4096,
  /** Ended copies whose status is kept, per nexus and unit; the oldest goes. */
  copyRecords: 32,

  /** ROD tokens that live at once, in all and of one initiator. Windows has one or two a copy and forgets
   *  them; the bound is what a write to a disk with tokens has to look through, a few microseconds. */
  rodTokens: 256,
  rodTokensPerInitiator: 64,
  /** Tokens that ended, kept so that a host is told why: 512 bytes each. */
  rodEnded: 512,
  /** POPULATE TOKEN and WRITE USING TOKEN: ranges of one command (Windows sends up to 64), bytes at most
   *  and at best. Windows takes 64 MiB when nothing is said and never more than 256 MiB. */
  rodRanges: 64,
  rodBytes: 256 * MiB,
  rodOptimalBytes: 64 * MiB,
  /** Inactivity timeouts of tokens, seconds: enough for a copy engine between two of its steps. */
  rodTimeoutSeconds: 30,
  rodTimeoutMostSeconds: 600,
  /** A WRITE USING TOKEN that the host waits for ends after so long with what it has done, and the host
   *  goes on from there: Windows gives up after four seconds. */
  rodForegroundMs: 3000,
  /** WRITE USING TOKEN and POPULATE TOKEN with IMMED=1 under way in one unit; more are answered BUSY. */
  rodBackground: 8,

  /** Groups in one SET TARGET PORT GROUPS: more than any target has portals. */
  setPortGroups: 64,
  /** Thin provisioning is told of in sets of so much: fine enough for any pool, and 4 PiB fit the field. */
  thresholdSetBytes: MiB,
  /** MODE SELECT parameter list: header, block descriptor, and each page once; generous. */
  modeSelectBytes: 1024,
  /** GET LBA STATUS: descriptors in one answer, and calls to the device to merge neighbours. */
  lbaStatusDescriptors: 256,
  lbaStatusCalls: 1024,
} as const;

const l = scsiLimits;
assert(l.compareBytes <= l.transferBytes);
assert(
  2 * l.compareBytes <= l.pieceBytes,
  'ORWRITE keeps the old and the new piece in one scratch',
);
assert(l.optimalTransferBytes <= l.transferBytes);
assert(l.pieceBytes % 4096 === 0 && l.zeroPieceBytes % 4096 === 0 && l.compareBytes % 4096 === 0);
assert(l.unmapDescriptors * 16 + 8 <= 0xffff, 'the list length is a 16-bit field');
assert(l.transferBytes / 512 <= 0xffff, 'a READ(10) can ask for the maximum');
assert(l.writeSameBytes / 512 <= 0xffff, 'a WRITE SAME(10) can ask for the maximum');
assert(l.copyDescriptorBytes + 16 <= l.copyListBytes);
assert(536 + 16 * l.rodRanges <= l.copyListBytes);
assert(l.rodTokensPerInitiator <= l.rodTokens && l.rodOptimalBytes <= l.rodBytes);
assert(l.rodTimeoutSeconds <= l.rodTimeoutMostSeconds);
assert(l.copySegmentBytes * l.copySegments <= 512 * MiB);
