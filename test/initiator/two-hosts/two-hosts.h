/*
 * Shared by the phases of two-hosts: the four paths, what a command is expected to say, simple I/O.
 * An outcome is one number: status in bits 31:24, sense key 23:16, additional sense code and qualifier 15:0.
 */
#ifndef TWO_HOSTS_H
#define TWO_HOSTS_H

#include <stddef.h>
#include <stdint.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define LUN 0
#define SECTOR 512
#define MIB (1024 * 1024)
#define COMMAND_SECONDS 20

/* Host and portal. */
enum { A1, A2, B1, B2, PATHS };

enum {
  GOOD = 0,
  CONFLICT = 0x18000000,
  MISCOMPARE = 0x020e1d00,
  NO_SPACE = 0x02072707,
  RUNS_SHORT = 0x02063807,
  INVALID_RELEASE = 0x02052604,
  POWER_ON = 0x02062900,
  PREEMPTED = 0x02062a03,
  RELEASED = 0x02062a04,
  UNREGISTERED = 0x02062a05
};

extern struct iscsi_context *path[PATHS];
extern const char *const path_name[PATHS];
/* What is going on, for the message when it goes wrong. */
extern const char *step;

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Frees the task. */
uint32_t outcome(struct scsi_task *task);
void expect(uint32_t wanted, uint32_t got, int which);
/* The unit attention that waits, then nothing more; GOOD when there is none. */
void expect_told(uint32_t wanted, int which);
/* Takes the unit attentions that wait on every path. */
void forget(void);

/* Answers what the target asks on paths that have nothing else to do (NOP-In), all but `left_alone`. */
void attend(void);
extern int left_alone;
unsigned char *pattern(size_t bytes, unsigned char value);
uint32_t write_bytes(int which, uint32_t lba, uint32_t bytes, unsigned char value);
void expect_bytes(int which, uint32_t lba, uint32_t bytes, unsigned char value);

/* reservations.c */
void reserve_phase(void);
void held_phase(void);
void preempt_phase(void);

/* vaai.c; rounds: how often the hosts contend for a lock */
extern int rounds;
void vaai_phase(void);
void full_phase(void);

#endif
