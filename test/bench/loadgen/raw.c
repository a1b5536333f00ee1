/*
 * Engine "raw": operations over connections that raw-login.c has opened.
 *
 * One read takes what has come, one writev sends all that follows from it. The tag of a command is
 * the index of its slot. Whatever the target sends that does not fit ends the program.
 *
 *   SCSI Command  0 |01h |F|R|W|.|attr| …   16 ITT  20 expected length  24 CmdSN  28 ExpStatSN  32 CDB
 *   Data-In       0 |25h |F|.|O|U|S| . |status|   16 ITT  24 StatSN  32 MaxCmdSN  40 offset
 *   SCSI Response 0 |21h |1|.|O|U|.|response|status|  16 ITT  24 StatSN  32 MaxCmdSN
 *   R2T           0 |31h |1| …              16 ITT  20 TTT  32 MaxCmdSN  40 offset  44 length
 *   Data-Out      0 |05h |F| …              16 ITT  20 TTT  28 ExpStatSN  36 DataSN  40 offset
 */
#include "raw.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TURN_MS 100
/* One read of the socket: large enough for few calls, small enough to stay in the cache. */
#define INPUT_BYTES (256u << 10)
/* All that --stamp keeps of writes in flight on one connection. */
#define STAMPED_BYTES_MAX (UINT64_C(1) << 30)
#define RESIDUAL_FLAGS 0x06

static struct raw *raws;
static int poller;
static uint64_t in_flight;
static uint8_t input[INPUT_BYTES];

static uint8_t *data_of(const struct raw *raw, uint32_t tag) {
    return raw->data + (opt.stamp ? (size_t)tag * opt.block_bytes : 0);
}

static struct slot *slot_of(struct raw *raw, const uint8_t *header) {
    uint32_t tag = get32(header + 16);
    if (tag >= opt.depth || !raw->slots[tag].busy) die("a PDU for task %08xh, which is not there", tag);
    return &raw->slots[tag];
}

struct slot *raw_payload(struct raw *raw, const uint8_t *header, uint32_t length) {
    struct slot *slot = slot_of(raw, header);
    if (opt.write || length > SEGMENT_BYTES_MAX) die("a Data-In of %u bytes that nobody asked for", length);
    if (get32(header + 40) != slot->received || length > opt.block_bytes - slot->received)
        die("a Data-In at %u, %u bytes, where %u was next", get32(header + 40), length, slot->received);
    return slot;
}

/* --- out --- */

static void put_command(struct raw *raw, uint32_t tag, unsigned flags, const uint8_t cdb[16],
                        uint32_t expected, uint32_t immediate) {
    uint8_t b[BHS_BYTES] = { SCSI_COMMAND, (uint8_t)flags };
    b[9] = (uint8_t)opt.lun;
    put32(b + 16, tag);
    put32(b + 20, expected);
    put32(b + 24, raw->cmd_sn++);
    put32(b + 28, raw->exp_stat_sn);
    memcpy(b + 32, cdb, 16);
    out_pdu(raw, b, immediate == 0 ? NULL : data_of(raw, tag), immediate);
}

static void put_data(struct raw *raw, uint32_t tag, uint32_t transfer_tag, uint32_t at, uint32_t length) {
    for (uint32_t sn = 0; length != 0; sn++) {
        uint32_t step = length < raw->segment_bytes ? length : raw->segment_bytes;
        uint8_t b[BHS_BYTES] = { DATA_OUT, step == length ? 0x80 : 0 };
        b[9] = (uint8_t)opt.lun;
        put32(b + 16, tag);
        put32(b + 20, transfer_tag);
        put32(b + 28, raw->exp_stat_sn);
        put32(b + 36, sn);
        put32(b + 40, at);
        out_pdu(raw, b, data_of(raw, tag) + at, step);
        at += step;
        length -= step;
    }
}

static void issue_write(struct raw *raw, uint32_t tag, const uint8_t cdb[16]) {
    const uint32_t bytes = opt.block_bytes;
    if (opt.stamp) pattern_fill(data_of(raw, tag), raw->slots[tag].offset, bytes, opt.seed);
    uint32_t first = bytes < raw->first_burst_bytes ? bytes : raw->first_burst_bytes, immediate = 0;
    if (raw->immediate_data) immediate = first < raw->segment_bytes ? first : raw->segment_bytes;
    uint32_t unasked = raw->initial_r2t ? immediate : first;
    put_command(raw, tag, unasked > immediate ? 0x21 : 0xa1, cdb, bytes, immediate);
    if (unasked > immediate) put_data(raw, tag, NO_TAG, immediate, unasked - immediate);
}

static void issue(struct raw *raw, uint32_t tag) {
    struct slot *slot = &raw->slots[tag];
    uint8_t cdb[16] = { 0 };
    if (slot->syncing) {
        cdb[0] = 0x35;
        put_command(raw, tag, 0x81, cdb, 0, 0);
        return;
    }
    cdb[0] = opt.write ? 0x8a : 0x88;
    cdb[1] = opt.fua ? 0x08 : 0;
    put64(cdb + 2, slot->offset / sector_bytes);
    put32(cdb + 10, opt.block_bytes / sector_bytes);
    if (opt.write) issue_write(raw, tag, cdb);
    else put_command(raw, tag, 0xc1, cdb, opt.block_bytes, 0);
}

static bool window_open(const struct raw *raw) {
    return (int32_t)(raw->max_cmd_sn - raw->cmd_sn) >= 0;
}

static void submit(struct raw *raw, uint32_t tag) {
    if (window_open(raw)) issue(raw, tag);
    else raw->waiting[(raw->waiting_first + raw->waiting_count++) % opt.depth] = tag;
}

static void begin(struct raw *raw, uint32_t tag) {
    struct slot *slot = &raw->slots[tag];
    if (!work_next(slot, raw->index)) return;
    slot->busy = true;
    in_flight++;
    submit(raw, tag);
}

/* --- in --- */

static void complete(struct raw *raw, bool good) {
    struct slot *slot = slot_of(raw, raw->header);
    uint32_t tag = (uint32_t)(slot - raw->slots);
    raw->exp_stat_sn = get32(raw->header + 24) + 1;
    if (!opt.write && slot->received != opt.block_bytes) good = false;
    if (opt.sync && good && !slot->syncing) {
        slot->syncing = true;
        submit(raw, tag);
        return;
    }
    slot->busy = false;
    in_flight--;
    work_done(slot, good);
    begin(raw, tag);
}

static void ready_to_transfer(struct raw *raw) {
    const uint8_t *h = raw->header;
    struct slot *slot = slot_of(raw, h);
    uint32_t at = get32(h + 40), length = get32(h + 44);
    if (!opt.write || slot->syncing || length == 0 || at > opt.block_bytes || length > opt.block_bytes - at)
        die("an R2T for %u bytes at %u", length, at);
    put_data(raw, (uint32_t)(slot - raw->slots), get32(h + 20), at, length);
}

static void ping(struct raw *raw) {
    const uint8_t *h = raw->header;
    if (get32(h + 20) == NO_TAG) return;
    uint8_t b[BHS_BYTES] = { 0x40 | NOP_OUT, 0x80 };
    memcpy(b + 8, h + 8, 8);
    put32(b + 16, NO_TAG);
    memcpy(b + 20, h + 20, 4);
    put32(b + 24, raw->cmd_sn);
    put32(b + 28, raw->exp_stat_sn);
    out_pdu(raw, b, NULL, 0);
}

static void handle(struct raw *raw) {
    const uint8_t *h = raw->header;
    unsigned opcode = h[0] & 0x3f;
    raw->max_cmd_sn = get32(h + 32);
    switch (opcode) {
    case DATA_IN:
        if ((h[1] & 1) != 0) complete(raw, h[3] == 0 && (h[1] & RESIDUAL_FLAGS) == 0);
        break;
    case SCSI_RESPONSE:
        complete(raw, h[2] == 0 && h[3] == 0 && (h[1] & RESIDUAL_FLAGS) == 0);
        break;
    case READY_TO_TRANSFER:
        ready_to_transfer(raw);
        break;
    case NOP_IN:
        ping(raw);
        break;
    case ASYNC_MESSAGE:
        die("the target ends the session: event %u", raw->header[36]);
    case REJECT:
        die("the target rejected a PDU: reason %02xh", h[2]);
    default:
        die("opcode %02xh from the target", opcode);
    }
}

static void receive(struct raw *raw) {
    for (;;) {
        ssize_t length = read(raw->fd, input, sizeof input);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0 && errno == EAGAIN) return;
        if (length < 0) die("receiving: %s", strerror(errno));
        if (length == 0) die("the target closed the connection");
        now_ns = clock_ns();
        for (size_t at = 0; at < (size_t)length;) {
            bool whole;
            at += in_take(raw, input + at, (size_t)length - at, &whole);
            if (whole) handle(raw);
        }
        while (raw->waiting_count != 0 && window_open(raw)) {
            issue(raw, raw->waiting[raw->waiting_first]);
            raw->waiting_first = (raw->waiting_first + 1) % opt.depth;
            raw->waiting_count--;
        }
        if ((size_t)length < sizeof input) return;
        /* More lies there; what is asked for next should not wait for all of it. */
        out_flush(raw);
    }
}

static void watch_output(struct raw *raw) {
    if (out_waits(raw) == raw->polled_for_output) return;
    raw->polled_for_output = out_waits(raw);
    uint32_t events = EPOLLIN | (raw->polled_for_output ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event event = { .events = events, .data.ptr = raw };
    if (epoll_ctl(poller, EPOLL_CTL_MOD, raw->fd, &event) != 0) die("epoll: %s", strerror(errno));
}

/* --- the engine --- */

static void prepare(struct raw *raw) {
    const uint64_t stamped = (uint64_t)opt.depth * opt.block_bytes;
    if (opt.stamp && stamped > STAMPED_BYTES_MAX) die("--depth times --block is too much to stamp");
    raw->slots = allocate(opt.depth * sizeof *raw->slots);
    raw->waiting = allocate(opt.depth * sizeof *raw->waiting);
    if (opt.write) {
        raw->data = allocate(opt.stamp ? stamped : opt.block_bytes);
        pattern_fill(raw->data, 0, opt.block_bytes, ~UINT64_C(0));
    }
    /* Each operation at its worst: a PDU for each segment, small ones with their data; and pings. */
    size_t pdus = 2 + (opt.write ? 2 * (opt.block_bytes / raw->segment_bytes + 1) : 0);
    size_t bytes = pdus * 64 + (opt.write ? opt.block_bytes : 0);
    out_open(raw, opt.depth * bytes + 16384, opt.depth * pdus * 3 + 64);
    raw->set_up = true;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = raw };
    if (epoll_ctl(poller, EPOLL_CTL_ADD, raw->fd, &event) != 0) die("epoll: %s", strerror(errno));
}

static void raw_open(void) {
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) die("epoll: %s", strerror(errno));
    raws = allocate(opt.connections * sizeof *raws);
    for (unsigned i = 0; i < opt.connections; i++) {
        raw_login(&raws[i], i);
        prepare(&raws[i]);
    }
}

static void raw_start(void) {
    for (unsigned i = 0; i < opt.connections; i++) {
        for (uint32_t tag = 0; tag < opt.depth; tag++) begin(&raws[i], tag);
        out_flush(&raws[i]);
        watch_output(&raws[i]);
    }
}

static void raw_turn(void) {
    struct epoll_event events[64];
    int count = epoll_wait(poller, events, 64, TURN_MS);
    if (count < 0 && errno != EINTR) die("epoll: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct raw *raw = events[i].data.ptr;
        if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0) receive(raw);
        out_flush(raw);
        watch_output(raw);
    }
}

static bool raw_idle(void) {
    return in_flight == 0;
}

const struct engine raw_engine = { raw_open, raw_start, raw_turn, raw_idle };
