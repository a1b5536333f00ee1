/*
 * Persistent reservations as clusters use them: PERSISTENT RESERVE OUT (SPC-4 6.16) and IN (6.15), who may
 * write and read (table 65), who is told what (5.13.11), and PREEMPT AND ABORT with writes in flight.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "two-hosts.h"

static const uint64_t key_a = 0x50455441000000a1, key_b = 0x50455441000000b1;

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
    if (task == NULL || task->status != SCSI_STATUS_GOOD) {
      fail("%s: READ KEYS: %08x", path_name[which], outcome(task));
    }
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
    if (task == NULL || task->status != SCSI_STATUS_GOOD) {
      fail("%s: READ RESERVATION: %08x", path_name[which], outcome(task));
    }
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

void reserve_phase(void) {
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

void held_phase(void) {
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
  left_alone = B1;
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
  for (int i = 0; i < IN_FLIGHT; i++) {
    expect(GOOD, write_bytes(A1, FLIGHT_LBA + (uint32_t)i * (FLIGHT_BYTES / SECTOR), FLIGHT_BYTES, 0x0a), A1);
  }
  left_alone = -1;
  serve(B1, 500);
  printf("%d of %d writes had ended before they could be aborted\n", answered_good, IN_FLIGHT);
  if (answered_good == IN_FLIGHT) fail("nothing was in flight");
  for (int i = 0; i < IN_FLIGHT; i++) {
    expect_bytes(A2, FLIGHT_LBA + (uint32_t)i * (FLIGHT_BYTES / SECTOR), FLIGHT_BYTES, 0x0a);
  }
  free(data);
  expect_told(UNREGISTERED, B1);
  expect_told(UNREGISTERED, B2);
  expect_state(2, 0, -1, 5, key_a);
  expect(CONFLICT, write_bytes(B2, 64, SECTOR, 1), B2);
}

void preempt_phase(void) {
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
