/*
 * What a failover cluster and an ESXi host send to a shared disk, from two initiators over two portals,
 * encoded by libiscsi. The test runs it phase by phase and restarts the daemon in between:
 *
 *   two-hosts TARGET PORTAL1 PORTAL2 PHASE      exit status 0, or 1 and the step that went wrong
 *
 *   reserve   register on every path (APTPL), reserve type 5, who is refused, RELEASE, CLEAR, all types
 *   held      after a restart: what `reserve` left is there and excludes, PRGENERATION is zero
 *   preempt   PREEMPT, PREEMPT AND ABORT with writes in flight, unit attentions, CLEAR
 *   vaai      ATS and its contention, Zero, Delete, Clone, what REPORT SUPPORTED OPERATION CODES says
 *   full      a pool without room answers 27/07, and has room again after Delete
 *
 * Sources: docs/guest-tests.md, "Windows clusters and ESXi". Sections are of SPC-4 and SBC-3.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define LUN 0
#define SECTOR 512
#define MIB (1024 * 1024)
#define COMMAND_SECONDS 20

enum { A1, A2, B1, B2, PATHS };
static const char *const path_name[PATHS] = { "A1", "A2", "B1", "B2" };
static const uint64_t key_a = 0x50455441000000a1, key_b = 0x50455441000000b1;

static struct iscsi_context *path[PATHS];
static const char *step = "log in";

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("FAILED at \"%s\": ", step);
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
  exit(1);
}

/* The host's name and the ISID of each path stay the same over restarts: they are its identity. */
static struct iscsi_context *log_in(const char *target, const char *portal, int which) {
  struct iscsi_context *made = iscsi_create_context(
      which < B1 ? "iqn.2026-11.internal.petal:host-a" : "iqn.2026-11.internal.petal:host-b");
  if (made == NULL) fail("no context");
  iscsi_set_isid_random(made, 0x50455 + (uint32_t)which, (uint32_t)which);
  iscsi_set_targetname(made, target);
  iscsi_set_session_type(made, ISCSI_SESSION_NORMAL);
  iscsi_set_noautoreconnect(made, 1);
  iscsi_set_timeout(made, COMMAND_SECONDS);
  if (iscsi_connect_sync(made, portal) != 0 || iscsi_login_sync(made) != 0) {
    fail("%s through %s: %s", path_name[which], portal, iscsi_get_error(made));
  }
  return made;
}

/* Status in bits 31:24, sense key 23:16, additional sense code and qualifier 15:0; frees the task. */
static uint32_t outcome(struct scsi_task *task) {
  if (task == NULL) fail("no answer");
  uint32_t said = (uint32_t)(task->status & 0xff) << 24;
  if (task->status == SCSI_STATUS_CHECK_CONDITION) {
    said |= (uint32_t)task->sense.key << 16 | (uint32_t)(task->sense.ascq & 0xffff);
  }
  scsi_free_scsi_task(task);
  return said;
}

enum {
  GOOD = 0,
  CONFLICT = 0x18000000,
  MISCOMPARE = 0x020e1d00,
  NO_SPACE = 0x02072707,
  INVALID_RELEASE = 0x02052604,
  POWER_ON = 0x02062900,
  PREEMPTED = 0x02062a03,
  RELEASED = 0x02062a04,
  UNREGISTERED = 0x02062a05
};

static void expect(uint32_t wanted, uint32_t got, int which) {
  if (got != wanted) fail("%s said %08x, not %08x", path_name[which], got, wanted);
}

static uint32_t ready(int which) { return outcome(iscsi_testunitready_sync(path[which], LUN)); }

/* The unit attention that waits, then nothing more; GOOD when there is none. */
static void expect_told(uint32_t wanted, int which) {
  expect(wanted, ready(which), which);
  if (wanted != GOOD) expect(GOOD, ready(which), which);
}

static void forget(void) {
  for (int which = 0; which < PATHS; which++) {
    for (int tries = 0; ready(which) != GOOD; tries++) {
      if (tries == 8) fail("unit attentions on %s do not end", path_name[which]);
    }
  }
}

static unsigned char *pattern(size_t bytes, unsigned char value) {
  unsigned char *made = malloc(bytes);
  if (made == NULL) fail("no memory");
  memset(made, value, bytes);
  return made;
}

static uint32_t write_bytes(int which, uint32_t lba, uint32_t bytes, unsigned char value) {
  unsigned char *data = pattern(bytes, value);
  uint32_t said =
      outcome(iscsi_write10_sync(path[which], LUN, lba, data, bytes, SECTOR, 0, 0, 0, 0, 0));
  free(data);
  return said;
}

static void expect_bytes(int which, uint32_t lba, uint32_t bytes, unsigned char value) {
  struct scsi_task *task = iscsi_read10_sync(path[which], LUN, lba, bytes, SECTOR, 0, 0, 0, 0, 0);
  if (task == NULL || task->status != SCSI_STATUS_GOOD) fail("%s cannot read", path_name[which]);
  if (task->datain.size != (int)bytes) fail("%s read %d bytes", path_name[which], task->datain.size);
  for (uint32_t at = 0; at < bytes; at++) {
    if (task->datain.data[at] != value) {
      fail("byte %u after sector %u is %02x, not %02x", at, lba, task->datain.data[at], value);
    }
  }
  scsi_free_scsi_task(task);
}

/* ---- Persistent reservations: PERSISTENT RESERVE OUT 6.16, IN 6.15 ---- */

static uint32_t reserve_out(int which, int action, int type, uint64_t key, uint64_t service_key) {
  struct scsi_persistent_reserve_out_basic list = {
    .reservation_key = key, .service_action_reservation_key = service_key, .aptpl = 1
  };
  return outcome(iscsi_persistent_reserve_out_sync(
      path[which], LUN, action, SCSI_PERSISTENT_RESERVE_SCOPE_LU, type, &list));
}

#define REGISTER SCSI_PERSISTENT_RESERVE_REGISTER
#define IGNORE SCSI_PERSISTENT_RESERVE_REGISTER_AND_IGNORE_EXISTING_KEY
#define RESERVE SCSI_PERSISTENT_RESERVE_RESERVE
#define RELEASE SCSI_PERSISTENT_RESERVE_RELEASE
#define CLEAR SCSI_PERSISTENT_RESERVE_CLEAR
#define PREEMPT SCSI_PERSISTENT_RESERVE_PREEMPT
#define ABORT SCSI_PERSISTENT_RESERVE_PREEMPT_AND_ABORT

/* Every path tells the same keys, generation (-1: not asked) and reservation (type 0: none). */
static void expect_state(int of_a, int of_b, int64_t generation, int type, uint64_t key) {
  for (int which = 0; which < PATHS; which++) {
    struct scsi_task *task = iscsi_persistent_reserve_in_sync(
        path[which], LUN, SCSI_PERSISTENT_RESERVE_READ_KEYS, 1024);
    if (task == NULL || task->status != SCSI_STATUS_GOOD) fail("%s: READ KEYS: %08x", path_name[which], outcome(task));
    struct scsi_persistent_reserve_in_read_keys *keys = scsi_datain_unmarshall(task);
    if (keys == NULL) fail("%s: READ KEYS is malformed", path_name[which]);
    int a = 0, b = 0;
    for (int i = 0; i < keys->num_keys; i++) {
      a += keys->keys[i] == key_a;
      b += keys->keys[i] == key_b;
    }
    if (a != of_a || b != of_b || a + b != keys->num_keys) {
      fail("%s: %d keys of a, %d of b, %d in all", path_name[which], a, b, keys->num_keys);
    }
    if (generation >= 0 && keys->prgeneration != generation) {
      fail("%s: generation %u, not %d", path_name[which], keys->prgeneration, (int)generation);
    }
    scsi_free_scsi_task(task);
    task = iscsi_persistent_reserve_in_sync(
        path[which], LUN, SCSI_PERSISTENT_RESERVE_READ_RESERVATION, 1024);
    if (task == NULL || task->status != SCSI_STATUS_GOOD) fail("%s: READ RESERVATION: %08x", path_name[which], outcome(task));
    struct scsi_persistent_reserve_in_read_reservation *held = scsi_datain_unmarshall(task);
    if (held == NULL) fail("%s: READ RESERVATION is malformed", path_name[which]);
    if ((held->reserved ? held->pr_type : 0) != type || (held->reserved && held->reservation_key != key)) {
      fail("%s: reservation of type %d by %llx", path_name[which], held->pr_type,
           (unsigned long long)held->reservation_key);
    }
    scsi_free_scsi_task(task);
  }
}

static void expect_writes(const uint32_t wanted[PATHS]) {
  for (int which = 0; which < PATHS; which++) {
    expect(wanted[which], write_bytes(which, 64, SECTOR, (unsigned char)which), which);
  }
}

static void register_all(void) {
  for (int which = 0; which < PATHS; which++) {
    expect(GOOD, reserve_out(which, IGNORE, 0, 0, which < B1 ? key_a : key_b), which);
  }
}

static void reserve_phase(void) {
  step = "register on every path";
  expect_state(0, 0, 0, 0, 0);
  for (int which = 0; which < PATHS; which++) {
    expect(GOOD, reserve_out(which, REGISTER, 0, 0, which < B1 ? key_a : key_b), which);
  }
  expect_state(2, 2, 4, 0, 0);
  expect(CONFLICT, reserve_out(A1, REGISTER, 0, key_b, key_b), A1);

  step = "each type: who writes and who reads (table 65)";
  static const struct { int type; uint32_t holder_path, other_registrant, write_b, read_b; } rule[] = {
    { 1, CONFLICT, CONFLICT, CONFLICT, GOOD }, { 3, CONFLICT, CONFLICT, CONFLICT, CONFLICT },
    { 5, GOOD, GOOD, CONFLICT, GOOD },         { 6, GOOD, GOOD, CONFLICT, CONFLICT },
    { 7, GOOD, GOOD, CONFLICT, GOOD },         { 8, GOOD, GOOD, CONFLICT, CONFLICT },
  };
  expect(GOOD, reserve_out(B2, REGISTER, 0, key_b, 0), B2);
  for (size_t i = 0; i < sizeof(rule) / sizeof(rule[0]); i++) {
    int type = rule[i].type, all = type >= 7;
    expect(GOOD, reserve_out(A1, RESERVE, type, key_a, 0), A1);
    expect_state(2, 1, -1, type, all ? 0 : key_a);
    const uint32_t wanted[PATHS] = { GOOD, rule[i].holder_path, rule[i].other_registrant, rule[i].write_b };
    expect_writes(wanted);
    expect(rule[i].read_b, outcome(iscsi_read10_sync(path[B2], LUN, 64, SECTOR, SECTOR, 0, 0, 0, 0, 0)), B2);
    expect(all ? GOOD : CONFLICT, reserve_out(B1, RESERVE, type, key_b, 0), B1);
    expect(INVALID_RELEASE, reserve_out(A1, RELEASE, type == 1 ? 3 : 1, key_a, 0), A1);
    expect(GOOD, reserve_out(A1, RELEASE, type, key_a, 0), A1);
    /* 5.13.11.2.2: the other registrants are told, with registrants types only. */
    for (int which = A2; which <= B1; which++) expect_told(type >= 5 ? RELEASED : GOOD, which);
  }

  step = "CLEAR";
  expect(GOOD, reserve_out(A1, CLEAR, 0, key_a, 0), A1);
  expect_told(PREEMPTED, A2);
  expect_told(PREEMPTED, B1);
  expect_told(GOOD, B2);
  expect_state(0, 0, 6, 0, 0);

  step = "type 5 for the restart";
  for (int which = 0; which < B2; which++) {
    expect(GOOD, reserve_out(which, REGISTER, 0, 0, which < B1 ? key_a : key_b), which);
  }
  expect(GOOD, reserve_out(A1, RESERVE, 5, key_a, 0), A1);
  expect_state(2, 1, 9, 5, key_a);
}

static const uint32_t without_b2[PATHS] = { GOOD, GOOD, GOOD, CONFLICT };

static void held_phase(void) {
  step = "after the restart";
  expect_state(2, 1, 0, 5, key_a);
  expect_writes(without_b2);
}

/* ---- PREEMPT AND ABORT with writes that wait for their data ---- */

#define IN_FLIGHT 16
#define FLIGHT_BYTES (256 * 1024)
#define FLIGHT_LBA 8192

static int answered_good;

static void on_write(struct iscsi_context *iscsi, int status, void *data, void *private_data) {
  (void)iscsi, (void)data, (void)private_data;
  if (status == SCSI_STATUS_GOOD) answered_good++;
}

static void serve(int which, int for_ms) {
  for (int waited = 0; waited < for_ms; waited += 10) {
    struct pollfd poll_fd = { .fd = iscsi_get_fd(path[which]), .events = (short)iscsi_which_events(path[which]) };
    int ready_fds = poll(&poll_fd, 1, 10);
    if (ready_fds < 0 || iscsi_service(path[which], ready_fds > 0 ? poll_fd.revents : 0) < 0) {
      fail("%s: %s", path_name[which], iscsi_get_error(path[which]));
    }
  }
}

static void abort_phase(void) {
  step = "PREEMPT AND ABORT with writes in flight";
  register_all();
  expect(GOOD, reserve_out(B1, RESERVE, 5, key_b, 0), B1);
  forget();
  expect(GOOD, write_bytes(A1, FLIGHT_LBA, SECTOR, 0), A1);
  unsigned char *data = pattern(FLIGHT_BYTES, 0xbb);
  for (int i = 0; i < IN_FLIGHT; i++) {
    uint32_t lba = FLIGHT_LBA + (uint32_t)i * (FLIGHT_BYTES / SECTOR);
    if (iscsi_write10_task(path[B1], LUN, lba, data, FLIGHT_BYTES, SECTOR, 0, 0, 0, 0, 0, on_write, NULL) == NULL) {
      fail("cannot queue a write");
    }
  }
  /* Some are sent, and what the target asks for is not read: they are in flight for as long as we like. */
  struct pollfd out = { .fd = iscsi_get_fd(path[B1]), .events = POLLOUT };
  for (int i = 0; i < IN_FLIGHT; i++) {
    if (poll(&out, 1, 100) > 0) iscsi_service(path[B1], POLLOUT);
  }
  expect(GOOD, reserve_out(A2, ABORT, 5, key_a, key_b), A2);
  int before = answered_good;
  for (int i = 0; i < IN_FLIGHT; i++) {
    expect(GOOD, write_bytes(A1, FLIGHT_LBA + (uint32_t)i * (FLIGHT_BYTES / SECTOR), FLIGHT_BYTES, 0x0a), A1);
  }
  serve(B1, 500);
  if (before != 0) fail("%d writes had been answered: nothing was in flight", before);
  for (int i = 0; i < IN_FLIGHT; i++) {
    expect_bytes(A2, FLIGHT_LBA + (uint32_t)i * (FLIGHT_BYTES / SECTOR), FLIGHT_BYTES, 0x0a);
  }
  free(data);
  expect_told(UNREGISTERED, B1);
  expect_told(UNREGISTERED, B2);
  expect_state(2, 0, -1, 5, key_a);
  expect(CONFLICT, write_bytes(B2, 64, SECTOR, 1), B2);
}

static void preempt_phase(void) {
  step = "PREEMPT by the other host";
  expect_state(2, 1, 0, 5, key_a);
  expect(GOOD, reserve_out(B2, REGISTER, 0, 0, key_b), B2);
  expect(CONFLICT, reserve_out(B1, PREEMPT, 5, key_a, key_a), B1);
  expect(GOOD, reserve_out(B1, PREEMPT, 5, key_b, key_a), B1);
  expect_told(UNREGISTERED, A1);
  expect_told(UNREGISTERED, A2);
  expect_told(GOOD, B1);
  expect_told(GOOD, B2);
  expect_state(0, 2, 2, 5, key_b);
  static const uint32_t only_b[PATHS] = { CONFLICT, CONFLICT, GOOD, GOOD };
  expect_writes(only_b);
  expect(CONFLICT, reserve_out(A1, PREEMPT, 5, key_a, key_b), A1);

  step = "the owner defends itself against a challenger";
  expect(GOOD, reserve_out(A1, IGNORE, 0, 0, key_a), A1);
  expect(GOOD, reserve_out(B1, PREEMPT, 5, key_b, key_a), B1);
  expect_told(UNREGISTERED, A1);
  expect(CONFLICT, reserve_out(A1, PREEMPT, 5, key_a, key_b), A1);
  expect_state(0, 2, -1, 5, key_b);

  step = "CLEAR";
  expect(GOOD, reserve_out(B2, CLEAR, 0, key_b, 0), B2);
  expect_told(PREEMPTED, B1);
  expect_state(0, 0, -1, 0, 0);
  abort_phase();
  expect(GOOD, reserve_out(A1, CLEAR, 0, key_a, 0), A1);
  expect_told(PREEMPTED, A2);
  expect_state(0, 0, -1, 0, 0);
}

/* ---- VAAI ---- */

#define ROUNDS 300
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
  for (uint32_t round = 1; round <= ROUNDS; round++) {
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
      for (int i = 0; i < 2; i++) {
        if (poll_fds[i].revents && iscsi_service(path[host[i]], poll_fds[i].revents) < 0) {
          fail("round %u: %s", round, iscsi_get_error(path[host[i]]));
        }
      }
    }
    int winner = run[0].said == GOOD ? 0 : 1;
    if (run[winner].said != GOOD || run[1 - winner].said != MISCOMPARE) {
      fail("round %u: %08x and %08x", round, run[0].said, run[1].said);
    }
    won[winner]++;
    memcpy(lock, image[winner] + SECTOR, SECTOR);
  }
  struct scsi_task *task = iscsi_read10_sync(path[B1], LUN, LOCK_LBA, SECTOR, SECTOR, 0, 0, 0, 0, 0);
  if (task == NULL || task->datain.size != SECTOR || memcmp(task->datain.data, lock, SECTOR) != 0) {
    fail("the lock is not what the last winner wrote");
  }
  scsi_free_scsi_task(task);
  printf("%d rounds: host a won %d, host b %d\n", ROUNDS, won[0], won[1]);
}

static void ats(void) {
  step = "ATS (SBC-3 5.2)";
  unsigned char both[2 * SECTOR];
  expect(GOOD, write_bytes(A1, LOCK_LBA, SECTOR, 0x11), A1);
  memset(both, 0x11, SECTOR);
  memset(both + SECTOR, 0x22, SECTOR);
  expect(GOOD, outcome(iscsi_compareandwrite_sync(path[B1], LUN, LOCK_LBA, both, 2 * SECTOR, SECTOR, 0, 0, 0, 0, 0)), B1);
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

static void vaai_phase(void) {
  probe();
  ats();
  zero_and_delete();
  clone_within();
}

static void full_phase(void) {
  step = "a pool without room (27/07)";
  uint32_t said = GOOD, written = 0;
  while (said == GOOD && written < 1000) {
    said = write_bytes(A1, written * (MIB / SECTOR), MIB, 0xee);
    if (said == GOOD) written++;
  }
  expect(NO_SPACE, said, A1);
  expect(NO_SPACE, write_bytes(B2, 999 * (MIB / SECTOR), MIB, 0xee), B2);
  expect_bytes(B1, (written - 1) * (MIB / SECTOR), MIB, 0xee);
  step = "room again after Delete";
  struct unmap_list most = { .lba = 0, .num = written / 2 * (MIB / SECTOR) };
  expect(GOOD, outcome(iscsi_unmap_sync(path[A2], LUN, 0, 0, &most, 1)), A2);
  for (int tries = 0; (said = write_bytes(B2, 0, MIB, 0xdd)) == NO_SPACE && tries < 100; tries++) poll(NULL, 0, 50);
  expect(GOOD, said, B2);
  expect_bytes(A1, 0, MIB, 0xdd);
  printf("full after %u MiB\n", written);
}

int main(int count, char **words) {
  static const struct { const char *name; void (*run)(void); } phases[] = {
    { "reserve", reserve_phase }, { "held", held_phase }, { "preempt", preempt_phase },
    { "vaai", vaai_phase },       { "full", full_phase },
  };
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count != 5) {
    fprintf(stderr, "two-hosts TARGET PORTAL1 PORTAL2 PHASE\n");
    return 2;
  }
  for (int which = 0; which < PATHS; which++) path[which] = log_in(words[1], words[2 + which % 2], which);
  /* 5.14: a new nexus is told of the power on, and of nothing else. */
  for (int which = 0; which < PATHS; which++) expect_told(POWER_ON, which);
  for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
    if (strcmp(phases[i].name, words[4]) != 0) continue;
    phases[i].run();
    for (int which = 0; which < PATHS; which++) iscsi_destroy_context(path[which]);
    printf("%s: done\n", words[4]);
    return 0;
  }
  fprintf(stderr, "no phase %s\n", words[4]);
  return 2;
}
