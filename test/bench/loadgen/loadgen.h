/*
 * loadgen: an iSCSI load generator for the bench. What its files share.
 *
 *   main.c      options, phases (fill or warm up, measure), the report
 *   work.c      what each operation is: address, direction, latency, failure
 *   figures.c   clock, latency histogram, processor time of a process
 *   pattern.c   content that follows from its place, and the check of it
 *   crc32c.c    CRC-32C for digests
 *   raw.c       engine "raw": an initiator of our own, cheap per operation (raw-pdu.c, raw-login.c)
 *   lib.c       engine "libiscsi": what a common user-space initiator costs
 *
 * One thread. Every error ends the program with its name on stderr and status 1; wrong use with 2.
 */
#ifndef LOADGEN_H
#define LOADGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds of the options: what the buffers below are laid out for. */
#define CONNECTIONS_MAX 256
#define DEPTH_MAX 1024
#define BLOCK_BYTES_MAX (4u << 20)

struct options {
    char host[64];
    char port[8];
    char target[224];
    unsigned lun;
    const char *engine;
    unsigned connections, depth;
    uint32_t block_bytes;    /* of one operation */
    uint64_t span_bytes;     /* of the LUN, 0: all of it */
    bool write, sequential, fua, sync;
    bool header_digest, data_digest;
    bool stamp, verify;      /* write content that follows from its place; check what is read */
    uint64_t seed;           /* of that content */
    bool once;               /* each place once, in order, then end */
    double seconds, warm_up;
    int pid;                 /* of the target, 0: not measured */
};
extern struct options opt;

/* One operation in flight: a READ or WRITE(16), with --sync a SYNCHRONIZE CACHE(10) behind it. */
struct slot {
    uint64_t offset;         /* bytes on the LUN */
    uint64_t started_ns;
    uint32_t received;       /* bytes of a read that have come */
    bool busy;               /* in flight */
    bool syncing;
    bool wrong;              /* some of what came was not what belongs there */
    void *connection;
};

/* Geometry of the LUN, set by the engine when it is connected. */
extern uint32_t sector_bytes;
extern uint64_t sectors;

struct engine {
    void (*open)(void);      /* connects all, sets the geometry */
    void (*start)(void);     /* fills the queues */
    void (*turn)(void);      /* waits for something to happen, at most 100 ms, and handles it */
    bool (*idle)(void);      /* nothing is in flight */
};
extern const struct engine raw_engine, lib_engine;

/* main.c */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *allocate(size_t bytes); /* zeroed; dies when there is none */

/* work.c */
extern uint64_t now_ns;      /* as of the last look at the clock */
extern uint64_t ops_done, ops_failed, ops_wrong;
extern bool measuring;
void work_open(void);
bool work_next(struct slot *slot, unsigned connection); /* false: nothing is left to do */
void work_done(struct slot *slot, bool good);
void work_check(struct slot *slot, const uint8_t *data, uint32_t at, uint32_t length);

/* figures.c */
uint64_t clock_ns(void);
void latency_add(uint64_t ns);
double latency_us(double share);
double latency_max_us(void);
struct cpu { double user_s, system_s; };
struct cpu cpu_of(int pid);
struct cpu cpu_own(void);

/* pattern.c */
void pattern_fill(uint8_t *to, uint64_t offset, size_t length, uint64_t seed);
/* Index of the first byte that is not what belongs at its place, or -1. */
int64_t pattern_differs(const uint8_t *data, uint64_t offset, size_t length, uint64_t seed);

/* crc32c.c: goes on from `crc`, 0 at the start. */
uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t length);

#endif
