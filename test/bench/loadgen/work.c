/*
 * What each operation is, and what became of it.
 *
 * Random: any place, aligned to the block size. Sequential: each connection goes round its own share
 * of the span. Once: as sequential, every place one time, then nothing is left.
 */
#include "loadgen.h"

#include <inttypes.h>
#include <stdio.h>

/* Mismatches that are named on stderr; the rest is only counted. */
#define NAMED_MAX 3

uint64_t now_ns, ops_done, ops_failed, ops_wrong;
bool measuring;

static uint64_t places, positions[CONNECTIONS_MAX], random_state = 0x9e3779b97f4a7c15u;

/* xorshift64: the same places in every run. */
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

void work_open(void) {
    uint64_t bytes = sectors * sector_bytes;
    if (opt.span_bytes != 0 && opt.span_bytes < bytes) bytes = opt.span_bytes;
    if (opt.block_bytes % sector_bytes != 0) die("sectors have %" PRIu32 " bytes", sector_bytes);
    places = bytes / opt.block_bytes;
    if (places < opt.connections) die("the LUN has fewer blocks than there are connections");
}

bool work_next(struct slot *slot, unsigned connection) {
    uint64_t place;
    if (opt.sequential || opt.once) {
        uint64_t first = places * connection / opt.connections;
        uint64_t share = places * (connection + 1) / opt.connections - first;
        uint64_t position = positions[connection]++;
        if (opt.once && position >= share) return false;
        place = first + position % share;
    } else {
        place = next_random() % places;
    }
    slot->offset = place * opt.block_bytes;
    slot->started_ns = now_ns;
    slot->received = 0;
    slot->syncing = false;
    slot->wrong = false;
    return true;
}

void work_check(struct slot *slot, const uint8_t *data, uint32_t at, uint32_t length) {
    if (!opt.verify || slot->wrong) return;
    int64_t differs = pattern_differs(data, slot->offset + at, length, opt.seed);
    if (differs < 0) return;
    slot->wrong = true;
    if (ops_wrong < NAMED_MAX)
        fprintf(stderr, "loadgen: wrong byte at %" PRIu64 "\n",
                slot->offset + at + (uint64_t)differs);
}

void work_done(struct slot *slot, bool good) {
    /* What is wrong counts in every phase: a fault in the warm-up is a fault. */
    if (slot->wrong) ops_wrong++;
    if (!good) ops_failed++;
    if (!measuring) return;
    latency_add(now_ns - slot->started_ns);
    ops_done++;
}
