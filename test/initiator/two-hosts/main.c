/*
 * What a failover cluster and an ESXi host send to a shared disk, from two initiators over two portals,
 * encoded by libiscsi. The test runs it phase by phase and restarts the daemon in between:
 *
 *   two-hosts TARGET PORTAL1 PORTAL2 PHASE [ROUNDS]     exit status 0, or 1 and the step that went wrong
 *
 *   reserve   register on every path (APTPL), reserve type 5, who is refused, RELEASE, CLEAR, all types
 *   held      after a restart: what `reserve` left is there and excludes, PRGENERATION is zero
 *   preempt   PREEMPT, PREEMPT AND ABORT with writes in flight, unit attentions, CLEAR
 *   vaai      ATS and its contention, Zero, Delete, Clone, what REPORT SUPPORTED OPERATION CODES says
 *   full      a pool without room answers 27/07, and has room again after Delete
 *
 * The phases are in reservations.c and vaai.c. Sources: docs/guest-tests.md, "Windows clusters and ESXi". Sections are
 * of SPC-4 and SBC-3.
 */
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "two-hosts.h"

const char *const path_name[PATHS] = { "A1", "A2", "B1", "B2" };
struct iscsi_context *path[PATHS];
const char *step = "log in";
int left_alone = -1;

void fail(const char *format, ...) {
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

uint32_t outcome(struct scsi_task *task) {
  if (task == NULL) fail("no answer");
  uint32_t said = (uint32_t)(task->status & 0xff) << 24;
  if (task->status == SCSI_STATUS_CHECK_CONDITION) {
    said |= (uint32_t)task->sense.key << 16 | (uint32_t)(task->sense.ascq & 0xffff);
  }
  scsi_free_scsi_task(task);
  return said;
}

void expect(uint32_t wanted, uint32_t got, int which) {
  if (got != wanted) fail("%s said %08x, not %08x", path_name[which], got, wanted);
}

static uint32_t ready(int which) { return outcome(iscsi_testunitready_sync(path[which], LUN)); }

void expect_told(uint32_t wanted, int which) {
  expect(wanted, ready(which), which);
  if (wanted != GOOD) expect(GOOD, ready(which), which);
}

void forget(void) {
  for (int which = 0; which < PATHS; which++) {
    for (int tries = 0; ready(which) != GOOD; tries++) {
      if (tries == 8) fail("unit attentions on %s do not end", path_name[which]);
    }
  }
}

unsigned char *pattern(size_t bytes, unsigned char value) {
  unsigned char *made = malloc(bytes);
  if (made == NULL) fail("no memory");
  memset(made, value, bytes);
  return made;
}

void attend(void) {
  for (int which = 0; which < PATHS; which++) {
    struct pollfd poll_fd = { .fd = iscsi_get_fd(path[which]), .events = POLLIN };
    if (which == left_alone || poll(&poll_fd, 1, 0) <= 0) continue;
    if (iscsi_service(path[which], poll_fd.revents) < 0) {
      fail("%s: %s", path_name[which], iscsi_get_error(path[which]));
    }
  }
}

uint32_t write_bytes(int which, uint32_t lba, uint32_t bytes, unsigned char value) {
  unsigned char *data = pattern(bytes, value);
  attend();
  uint32_t said =
      outcome(iscsi_write10_sync(path[which], LUN, lba, data, bytes, SECTOR, 0, 0, 0, 0, 0));
  free(data);
  return said;
}

void expect_bytes(int which, uint32_t lba, uint32_t bytes, unsigned char value) {
  attend();
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

int main(int count, char **words) {
  static const struct { const char *name; void (*run)(void); } phases[] = {
    { "reserve", reserve_phase }, { "held", held_phase }, { "preempt", preempt_phase },
    { "vaai", vaai_phase },       { "full", full_phase },
  };
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count == 6) rounds = atoi(words[5]);
  if (count < 5 || count > 6 || rounds < 1) {
    fprintf(stderr, "two-hosts TARGET PORTAL1 PORTAL2 PHASE [ROUNDS]\n");
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
