/*
 * What ESXi sends for hardware acceleration: the probe, ATS and two hosts that contend for a lock, Zero, Delete,
 * Clone, and a pool without room.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "two-hosts.h"

int rounds = 300;
#define LOCK_LBA 4096

struct contender { int done; uint32_t said; };

static void on_compared(struct iscsi_context *iscsi, int status, void *data, void *private_data) {
  struct contender *mine = private_data;
  struct scsi_task *task = data;
  (void)iscsi;
  mine->done = 1;
  mine->said = (uint32_t)(status & 0xff) << 24;
  if (status == SCSI_STATUS_CHECK_CONDITION) {
    mine->said |= (uint32_t)task->sense.key << 16 | (uint32_t)(task->sense.ascq & 0xffff);
  }
  scsi_free_scsi_task(task);
}

/* Both hosts send COMPARE AND WRITE for the free lock of each round at once; exactly one may have it. */
static void contend(void) {
  unsigned char image[2][2 * SECTOR], lock[SECTOR] = { 0 };
  int won[2] = { 0, 0 };
  static const int host[2] = { A1, B2 };
  expect(GOOD, write_bytes(A1, LOCK_LBA, SECTOR, 0), A1);
  for (uint32_t round = 1; round <= (uint32_t)rounds; round++) {
    struct contender run[2] = { { 0, 0 }, { 0, 0 } };
    for (int turn = 0; turn < 2; turn++) {
      int i = (int)(round + (uint32_t)turn) % 2; /* each is first in half of the rounds */
      uint32_t number = htonl(round);
      memcpy(image[i], lock, SECTOR);
      memset(image[i] + SECTOR, 'a' + i, SECTOR);
      memcpy(image[i] + SECTOR, &number, sizeof(number));
      if (iscsi_compareandwrite_task(path[host[i]], LUN, LOCK_LBA, image[i], 2 * SECTOR, SECTOR, 0, 0, 0, 0, 0,
                                     on_compared, &run[i]) == NULL) {
        fail("cannot queue COMPARE AND WRITE");
      }
    }
    while (!run[0].done || !run[1].done) {
      struct pollfd poll_fds[2];
      for (int i = 0; i < 2; i++) {
        poll_fds[i] = (struct pollfd){ .fd = iscsi_get_fd(path[host[i]]),
                                       .events = (short)iscsi_which_events(path[host[i]]) };
      }
      if (poll(poll_fds, 2, 1000 * COMMAND_SECONDS) <= 0) fail("round %u: no answer", round);
      for (int turn = 0; turn < 2; turn++) {
        int i = (int)(round + (uint32_t)turn) % 2;
        if (poll_fds[i].revents && iscsi_service(path[host[i]], poll_fds[i].revents) < 0) {
          fail("round %u: %s", round, iscsi_get_error(path[host[i]]));
        }
      }
    }
    attend();
    int winner = run[0].said == GOOD ? 0 : 1;
    if (run[winner].said != GOOD || run[1 - winner].said != MISCOMPARE) {
      fail("round %u: %08x and %08x", round, run[0].said, run[1].said);
    }
    won[winner]++;
    memcpy(lock, image[winner] + SECTOR, SECTOR);
  }
  struct scsi_task *task = iscsi_read10_sync(path[B1], LUN, LOCK_LBA, SECTOR, SECTOR, 0, 0, 0, 0, 0);
  if (task == NULL || task->datain.size != SECTOR) fail("the lock cannot be read: %s", iscsi_get_error(path[B1]));
  if (memcmp(task->datain.data, lock, SECTOR) != 0) {
    fail("the lock is not what the last winner wrote");
  }
  scsi_free_scsi_task(task);
  printf("%d rounds: host a won %d, host b %d\n", rounds, won[0], won[1]);
}

static uint32_t compare_and_write(int which, unsigned char both[2 * SECTOR]) {
  return outcome(
      iscsi_compareandwrite_sync(path[which], LUN, LOCK_LBA, both, 2 * SECTOR, SECTOR, 0, 0, 0, 0, 0));
}

static void ats(void) {
  step = "ATS (SBC-3 5.2)";
  unsigned char both[2 * SECTOR];
  expect(GOOD, write_bytes(A1, LOCK_LBA, SECTOR, 0x11), A1);
  memset(both, 0x11, SECTOR);
  memset(both + SECTOR, 0x22, SECTOR);
  expect(GOOD, compare_and_write(B1, both), B1);
  expect_bytes(A2, LOCK_LBA, SECTOR, 0x22);
  memset(both, 0x22, SECTOR);
  both[300] = 0x23;
  struct scsi_task *task =
      iscsi_compareandwrite_sync(path[A1], LUN, LOCK_LBA, both, 2 * SECTOR, SECTOR, 0, 0, 0, 0, 0);
  /* Fixed format sense behind its length of two bytes: VALID, and INFORMATION is the first byte that differs. */
  const unsigned char *sense = task == NULL ? NULL : task->datain.data;
  if (sense == NULL || task->datain.size < 20 || sense[2] != 0xf0) fail("no VALID sense data");
  uint32_t offset = (uint32_t)sense[5] << 24 | (uint32_t)sense[6] << 16 | (uint32_t)sense[7] << 8 | sense[8];
  if (offset != 300) fail("the offset of the miscompare is %u, not 300", offset);
  expect(MISCOMPARE, outcome(task), A1);
  expect_bytes(A2, LOCK_LBA, SECTOR, 0x22);
  step = "ATS, two hosts at once";
  contend();
}

static void probe(void) {
  step = "REPORT SUPPORTED OPERATION CODES (6.35)";
  static const struct { int opcode, action; } asked[] = {
    { 0x89, -1 }, { 0x93, -1 }, { 0x41, -1 }, { 0x42, -1 }, { 0x83, 0 }, { 0x84, 3 }, { 0x5f, 5 },
  };
  for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
    int options = asked[i].action < 0 ? SCSI_REPORT_SUPPORTING_OPCODE : SCSI_REPORT_SUPPORTING_SERVICEACTION;
    struct scsi_task *task = iscsi_report_supported_opcodes_sync(
        path[A1], LUN, 0, options, asked[i].opcode, asked[i].action < 0 ? 0 : asked[i].action, 256);
    /* SUPPORT 011b: as the standard has it. */
    if (task == NULL || task->status != SCSI_STATUS_GOOD || task->datain.size < 4 ||
        (task->datain.data[1] & 7) != 3) {
      fail("%02x/%d is not told as supported", asked[i].opcode, asked[i].action);
    }
    scsi_free_scsi_task(task);
  }
}

static void zero_and_delete(void) {
  unsigned char zeros[SECTOR] = { 0 }, ones[SECTOR];
  memset(ones, 0x5a, SECTOR);
  step = "Zero (SBC-3 5.43, 5.44)";
  expect(GOOD, write_bytes(A1, 0, MIB, 0x77), A1);
  expect(GOOD, outcome(iscsi_writesame16_sync(path[B1], LUN, 0, zeros, SECTOR, 1024, 0, 0, 0, 0)), B1);
  expect(GOOD, outcome(iscsi_writesame10_sync(path[A2], LUN, 1024, zeros, SECTOR, 512, 0, 1, 0, 0)), A2);
  expect(GOOD, outcome(iscsi_writesame16_sync(path[B2], LUN, 1536, ones, SECTOR, 256, 0, 0, 0, 0)), B2);
  expect_bytes(A1, 0, 1536 * SECTOR, 0);
  expect_bytes(A1, 1536, 256 * SECTOR, 0x5a);
  expect_bytes(A1, 1792, 256 * SECTOR, 0x77);
  step = "Delete (SBC-3 5.28), VPD B0h and B2h";
  struct scsi_task *task = iscsi_inquiry_sync(path[A1], LUN, 1, SCSI_INQUIRY_PAGECODE_BLOCK_LIMITS, 255);
  struct scsi_inquiry_block_limits *limits = task == NULL ? NULL : scsi_datain_unmarshall(task);
  /* VMFS 6 reclaims by itself only where 1 MiB is a multiple of the granularity. */
  if (limits == NULL || limits->opt_unmap_gran == 0 || MIB / SECTOR % limits->opt_unmap_gran != 0 ||
      !limits->ugavalid || limits->unmap_gran_align != 0 || limits->max_unmap < MIB / SECTOR || limits->max_cmp < 1) {
    fail("block limits that ESXi would not use");
  }
  scsi_free_scsi_task(task);
  task = iscsi_inquiry_sync(path[A1], LUN, 1, SCSI_INQUIRY_PAGECODE_LOGICAL_BLOCK_PROVISIONING, 255);
  struct scsi_inquiry_logical_block_provisioning *thin = task == NULL ? NULL : scsi_datain_unmarshall(task);
  if (thin == NULL || !thin->lbpu || !thin->lbpws || !thin->lbprz || thin->provisioning_type != 2) fail("not thin");
  scsi_free_scsi_task(task);
  struct unmap_list whole = { .lba = 0, .num = MIB / SECTOR };
  expect(GOOD, outcome(iscsi_unmap_sync(path[B2], LUN, 0, 0, &whole, 1)), B2);
  expect_bytes(A2, 0, MIB, 0);
  task = iscsi_get_lba_status_sync(path[A1], LUN, 0, 24);
  struct scsi_get_lba_status *map = task == NULL ? NULL : scsi_datain_unmarshall(task);
  if (map == NULL || map->num_descriptors < 1 || map->descriptors[0].provisioning == SCSI_PROVISIONING_TYPE_MAPPED ||
      map->descriptors[0].num_blocks < MIB / SECTOR) {
    fail("an unmapped mebibyte is told as mapped");
  }
  scsi_free_scsi_task(task);
}

/* The NAA name of the disk, 16 bytes, from VPD page 83h. */
static void naa_of(int which, unsigned char name[16]) {
  struct scsi_task *task = iscsi_inquiry_sync(path[which], LUN, 1, SCSI_INQUIRY_PAGECODE_DEVICE_IDENTIFICATION, 255);
  struct scsi_inquiry_device_identification *page = task == NULL ? NULL : scsi_datain_unmarshall(task);
  if (page == NULL) fail("no page 83h");
  struct scsi_inquiry_device_designator *each = page->designators;
  while (each != NULL && (each->designator_type != SCSI_DESIGNATOR_TYPE_NAA || each->designator_length != 16)) {
    each = each->next;
  }
  if (each == NULL) fail("no NAA name");
  memcpy(name, each->designator, 16);
  scsi_free_scsi_task(task);
}

/* EXTENDED COPY(LID1) 6.4: one CSCD descriptor E4h, one block to block segment 02h of 4 MiB. */
static void clone_within(void) {
  step = "Clone (EXTENDED COPY, RECEIVE COPY RESULTS)";
  enum { BLOCKS = 4 * MIB / SECTOR, FROM = 32768, TO = 65536 };
  unsigned char list[16 + 32 + 28] = { 0 }, *cscd = list + 16, *segment = list + 48;
  struct scsi_task *task = iscsi_receive_copy_results_sync(path[A1], LUN, SCSI_COPY_RESULTS_OP_PARAMS, 0, 1024);
  struct scsi_copy_results_op_params *can = task == NULL ? NULL : scsi_datain_unmarshall(task);
  if (can == NULL || can->max_target_desc_count < 2 || can->max_segment_length < 4 * MIB) fail("parameters");
  scsi_free_scsi_task(task);
  for (int i = 0; i < 4; i++) {
    expect(GOOD, write_bytes(A1, FROM + (uint32_t)i * (MIB / SECTOR), MIB, (unsigned char)(0xc0 + i)), A1);
  }
  list[0] = 7;
  list[3] = 32;
  list[11] = 28;
  cscd[0] = IDENT_DESCR_TGT_DESCR;
  cscd[4] = SCSI_CODESET_BINARY;
  cscd[5] = SCSI_DESIGNATOR_TYPE_NAA;
  cscd[7] = 16;
  naa_of(B1, cscd + 8);
  cscd[30] = SECTOR >> 8;
  segment[0] = BLK_TO_BLK_SEG_DESCR;
  segment[3] = 24;
  segment[10] = BLOCKS >> 8;
  segment[18] = FROM >> 8;
  segment[25] = TO >> 16;
  struct iscsi_data data = { .size = sizeof(list), .data = list };
  expect(GOOD, outcome(iscsi_extended_copy_sync(path[B1], LUN, &data)), B1);
  for (int i = 0; i < 4; i++) expect_bytes(A2, TO + (uint32_t)i * (MIB / SECTOR), MIB, (unsigned char)(0xc0 + i));
  task = iscsi_receive_copy_results_sync(path[B1], LUN, SCSI_COPY_RESULTS_COPY_STATUS, 7, 1024);
  struct scsi_copy_results_copy_status *status = task == NULL ? NULL : scsi_datain_unmarshall(task);
  if (status == NULL || status->copy_manager_status != 1 || status->segments_processed != 1) fail("status");
  scsi_free_scsi_task(task);
}

void vaai_phase(void) {
  probe();
  ats();
  zero_and_delete();
  clone_within();
}

/* Each path may be told once that the pool runs short, whenever the daemon has looked. */
static uint32_t write_warned(int which, uint32_t lba, unsigned char value) {
  uint32_t said = write_bytes(which, lba, MIB, value);
  return said == RUNS_SHORT ? write_bytes(which, lba, MIB, value) : said;
}

static void skip_warning(int which) {
  uint32_t said = outcome(iscsi_testunitready_sync(path[which], LUN));
  if (said != RUNS_SHORT) expect(GOOD, said, which);
}

void full_phase(void) {
  step = "a pool without room (27/07)";
  uint32_t said = GOOD, written = 0;
  while (said == GOOD && written < 1000) {
    said = write_warned(A1, written * (MIB / SECTOR), 0xee);
    if (said == GOOD) written++;
  }
  expect(NO_SPACE, said, A1);
  expect(NO_SPACE, write_warned(B2, 999 * (MIB / SECTOR), 0xee), B2);
  skip_warning(B1);
  expect_bytes(B1, (written - 1) * (MIB / SECTOR), MIB, 0xee);
  step = "room again after Delete";
  struct unmap_list most = { .lba = 0, .num = written / 2 * (MIB / SECTOR) };
  skip_warning(A2);
  expect(GOOD, outcome(iscsi_unmap_sync(path[A2], LUN, 0, 0, &most, 1)), A2);
  for (int tries = 0; (said = write_warned(B2, 0, 0xdd)) == NO_SPACE && tries < 100; tries++) poll(NULL, 0, 50);
  expect(GOOD, said, B2);
  skip_warning(A1);
  expect_bytes(A1, 0, MIB, 0xdd);
  printf("full after %u MiB\n", written);
}
