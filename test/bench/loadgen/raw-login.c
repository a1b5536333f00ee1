/*
 * From a connection to full-feature phase (RFC 7143 6, 11.12, 11.13), then the geometry of the LUN.
 * One request is on its way at a time.
 *
 *   Login Request    0 |43h |T|C|..|CSG|NSG| max, min |    8 ISID, 6 | TSIH, 2   16 ITT   20 CID
 *                   24 CmdSN  28 ExpStatSN  48 keys, NUL-terminated
 *   Login Response   0 |23h |T|C|..|CSG|NSG| …        |   24 StatSN  28 ExpCmdSN  32 MaxCmdSN
 *                   36 Status-Class, Status-Detail
 */
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_TIMEOUT_MS 10000
#define LOGIN_ROUNDS_MAX 8
/* Unit attentions that are taken before the first operation. */
#define ATTENTIONS_MAX 8

static void open_socket(struct raw *raw) {
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    struct addrinfo *found;
    int failure = getaddrinfo(opt.host, opt.port, &hints, &found);
    if (failure != 0) die("%s: %s", opt.host, gai_strerror(failure));
    raw->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (raw->fd < 0 || connect(raw->fd, found->ai_addr, found->ai_addrlen) != 0)
        die("connecting to %s port %s: %s", opt.host, opt.port, strerror(errno));
    freeaddrinfo(found);
    int on = 1;
    if (setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0
        || fcntl(raw->fd, F_SETFL, O_NONBLOCK) != 0)
        die("socket options: %s", strerror(errno));
}

static void wait_for(struct raw *raw, short events) {
    struct pollfd p = { .fd = raw->fd, .events = events };
    if (poll(&p, 1, ANSWER_TIMEOUT_MS) == 0) die("no answer from the target");
}

static void send_all(struct raw *raw) {
    for (out_flush(raw); out_waits(raw); out_flush(raw)) wait_for(raw, POLLOUT);
}

/* The next PDU that is not a NOP-In, in raw->header and raw->kept. */
static void answer(struct raw *raw) {
    uint8_t bytes[BHS_BYTES + 4 + KEPT_BYTES_MAX + 8];
    for (;;) {
        bool whole = false;
        while (!whole) {
            ssize_t length = read(raw->fd, bytes, sizeof bytes);
            if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
                wait_for(raw, POLLIN);
                continue;
            }
            if (length < 0) die("receiving: %s", strerror(errno));
            if (length == 0) die("the target closed the connection");
            size_t at = 0;
            while (at < (size_t)length && !whole)
                at += in_take(raw, bytes + at, (size_t)length - at, &whole);
            if (at < (size_t)length) die("the target sent more than was asked for");
        }
        if ((raw->header[0] & 0x3f) == NOP_IN) continue;
        raw->exp_stat_sn = get32(raw->header + 24) + 1;
        raw->max_cmd_sn = get32(raw->header + 32);
        return;
    }
}

struct text {
    char bytes[2048];
    size_t length;
};

__attribute__((format(printf, 2, 3)))
static void key(struct text *text, const char *format, ...) {
    va_list list;
    va_start(list, format);
    size_t room = sizeof text->bytes - text->length;
    int length = vsnprintf(text->bytes + text->length, room, format, list);
    va_end(list);
    if (length < 0 || (size_t)length >= room) die("too many keys");
    text->length += (size_t)length + 1;
}

static void offer(struct text *text, unsigned index) {
    key(text, "InitiatorName=iqn.2026-11.internal.petal:loadgen-%u", index);
    key(text, "TargetName=%s", opt.target);
    key(text, "SessionType=Normal");
    key(text, "HeaderDigest=%s", opt.header_digest ? "CRC32C" : "None");
    key(text, "DataDigest=%s", opt.data_digest ? "CRC32C" : "None");
    key(text, "MaxConnections=1");
    key(text, "InitialR2T=No");
    key(text, "ImmediateData=Yes");
    key(text, "MaxRecvDataSegmentLength=%u", SEGMENT_BYTES_MAX);
    key(text, "MaxBurstLength=1048576");
    key(text, "FirstBurstLength=262144");
    key(text, "DefaultTime2Wait=0");
    key(text, "DefaultTime2Retain=0");
    key(text, "MaxOutstandingR2T=1");
    key(text, "DataPDUInOrder=Yes");
    key(text, "DataSequenceInOrder=Yes");
    key(text, "ErrorRecoveryLevel=0");
}

/* The value of a key in raw->kept (which ends with a NUL), or NULL. */
static const char *value(const struct raw *raw, const char *name) {
    const char *text = (const char *)raw->kept;
    size_t length = strlen(name);
    for (size_t at = 0; at < raw->data_length; at += strlen(text + at) + 1)
        if (strncmp(text + at, name, length) == 0 && text[at + length] == '=') return text + at + length + 1;
    return NULL;
}

static uint32_t number(const struct raw *raw, const char *name, uint32_t otherwise) {
    const char *text = value(raw, name);
    if (text == NULL) return otherwise;
    unsigned long n = strtoul(text, NULL, 10);
    if (n < 512 || n > 0xffffff) die("%s=%s from the target", name, text);
    return (uint32_t)n;
}

static bool yes(const struct raw *raw, const char *name, const char *word, bool otherwise) {
    const char *text = value(raw, name);
    return text == NULL ? otherwise : strcmp(text, word) == 0;
}

static void take_keys(struct raw *raw, bool *header_digest, bool *data_digest) {
    raw->segment_bytes = number(raw, "MaxRecvDataSegmentLength", raw->segment_bytes);
    raw->first_burst_bytes = number(raw, "FirstBurstLength", raw->first_burst_bytes);
    raw->immediate_data = yes(raw, "ImmediateData", "Yes", raw->immediate_data);
    raw->initial_r2t = yes(raw, "InitialR2T", "Yes", raw->initial_r2t);
    *header_digest = yes(raw, "HeaderDigest", "CRC32C", *header_digest);
    *data_digest = yes(raw, "DataDigest", "CRC32C", *data_digest);
}

static void log_in(struct raw *raw) {
    struct text text = { .length = 0 };
    offer(&text, raw->index);
    /* Defaults of RFC 7143 13 where the target says nothing. */
    raw->segment_bytes = 8192;
    raw->first_burst_bytes = 65536;
    raw->immediate_data = true;
    bool header_digest = false, data_digest = false;
    for (unsigned round = 0;; round++) {
        if (round == LOGIN_ROUNDS_MAX) die("the login does not come to an end");
        /* Operational negotiation (1) straight away, and on to full-feature phase (3). */
        uint8_t b[BHS_BYTES] = { 0x40 | LOGIN_REQUEST, 0x87 };
        b[8] = 0x80; /* ISID: random */
        put16(b + 10, 0x3d00 + raw->index);
        put32(b + 16, 1);
        put32(b + 24, raw->cmd_sn);
        put32(b + 28, raw->exp_stat_sn);
        out_pdu(raw, b, (const uint8_t *)text.bytes, round == 0 ? (uint32_t)text.length : 0);
        send_all(raw);
        answer(raw);
        const uint8_t *h = raw->header;
        if ((h[0] & 0x3f) != LOGIN_RESPONSE) die("opcode %02xh in answer to a login", h[0] & 0x3fu);
        if (h[36] != 0 || h[37] != 0) die("login refused: status %02x%02xh", h[36], h[37]);
        take_keys(raw, &header_digest, &data_digest);
        if ((h[1] & 0x83) == 0x83) break;
    }
    if (header_digest != opt.header_digest || data_digest != opt.data_digest)
        die("the target does not agree to the digests");
    raw->header_digest = header_digest;
    raw->data_digest = data_digest;
}

/* A command of at most KEPT_BYTES_MAX bytes of data-in, which lands in raw->kept. Its status. */
static unsigned command(struct raw *raw, const uint8_t cdb[16], uint32_t length) {
    uint8_t b[BHS_BYTES] = { SCSI_COMMAND, length == 0 ? 0x81 : 0xc1 };
    b[9] = (uint8_t)opt.lun;
    put32(b + 20, length);
    put32(b + 24, raw->cmd_sn++);
    put32(b + 28, raw->exp_stat_sn);
    memcpy(b + 32, cdb, 16);
    out_pdu(raw, b, NULL, 0);
    send_all(raw);
    answer(raw);
    const uint8_t *h = raw->header;
    if ((h[0] & 0x3f) == SCSI_RESPONSE) return h[3];
    if ((h[0] & 0x3f) != DATA_IN || raw->data_length > length) die("opcode %02xh in answer to a command", h[0] & 0x3fu);
    if ((h[1] & 1) != 0) return h[3];
    /* Status comes in a PDU of its own: what was kept must outlive it. */
    uint8_t kept[KEPT_BYTES_MAX];
    uint32_t bytes = raw->data_length;
    memcpy(kept, raw->kept, bytes);
    answer(raw);
    if ((raw->header[0] & 0x3f) != SCSI_RESPONSE) die("opcode %02xh in answer to a command", raw->header[0] & 0x3fu);
    if (raw->data_length == 0) {
        memcpy(raw->kept, kept, bytes);
        raw->data_length = bytes;
    }
    return raw->header[3];
}

static void learn_geometry(struct raw *raw) {
    const uint8_t ready[16] = { 0x00 };
    for (unsigned tries = 0; command(raw, ready, 0) != 0; tries++)
        if (tries == ATTENTIONS_MAX) die("LUN %u is not ready", opt.lun);
    const uint8_t capacity[16] = { 0x9e, 0x10, [13] = 32 };
    if (command(raw, capacity, 32) != 0 || raw->data_length < 12) die("READ CAPACITY(16) failed");
    sectors = get64(raw->kept) + 1;
    sector_bytes = get32(raw->kept + 8);
    if (sectors == 0 || sectors > UINT64_C(1) << 50 || (sector_bytes != 512 && sector_bytes != 4096))
        die("a LUN of a size that is not handled");
}

void raw_login(struct raw *raw, unsigned index) {
    raw->index = index;
    raw->cmd_sn = 1;
    out_open(raw, 8192, 64);
    open_socket(raw);
    log_in(raw);
    learn_geometry(raw);
    free(raw->out);
    free(raw->pieces);
}
