/*
 * The raw engine's own words: one connection, which is one session (RFC 7143).
 *
 * Input is cut as it streams by, so that a payload is touched once, in a buffer that stays in the
 * processor's cache. Output is a list of pieces for writev: headers and small payloads are copied,
 * large payloads are sent from where they lie.
 */
#ifndef LOADGEN_RAW_H
#define LOADGEN_RAW_H

#include "loadgen.h"

#include <sys/uio.h>

#define BHS_BYTES 48
#define NO_TAG 0xffffffffu
/* The longest data segment that is taken; declared at login. */
#define SEGMENT_BYTES_MAX (256u << 10)
/* Data of a PDU that is not a payload: login text, sense, parameter data. */
#define KEPT_BYTES_MAX 8192u

enum opcode {
    NOP_OUT = 0x00, SCSI_COMMAND = 0x01, LOGIN_REQUEST = 0x03, DATA_OUT = 0x05,
    NOP_IN = 0x20, SCSI_RESPONSE = 0x21, LOGIN_RESPONSE = 0x23, DATA_IN = 0x25,
    READY_TO_TRANSFER = 0x31, ASYNC_MESSAGE = 0x32, REJECT = 0x3f,
};

struct raw {
    int fd;
    unsigned index;
    bool header_digest, data_digest;
    bool set_up;                   /* logged in, geometry known: slots are in use */
    uint32_t cmd_sn, exp_stat_sn, max_cmd_sn;
    /* What the target takes: one data segment, unasked data of a command, whether at all. */
    uint32_t segment_bytes, first_burst_bytes;
    bool immediate_data, initial_r2t;

    struct slot *slots;            /* the Initiator Task Tag is the index */
    uint8_t *data;                 /* what is written: of all slots, or with --stamp of each */
    unsigned *waiting, waiting_first, waiting_count; /* ring: slots that wait for the window */

    /* The PDU that is coming in. */
    uint8_t header[BHS_BYTES + 4], tail[8], kept[KEPT_BYTES_MAX + 1];
    uint32_t header_bytes, data_length, data_bytes, tail_length, tail_bytes, data_crc;
    struct slot *payload_of;       /* whose payload it is, or NULL: data is kept */

    /* Output that the socket has not taken. */
    uint8_t *out;
    size_t out_used, out_size;
    struct iovec *pieces;
    size_t piece_first, piece_count, piece_size;
    bool polled_for_output;
};

/* raw-pdu.c */
uint32_t get24(const uint8_t *p), get32(const uint8_t *p);
uint64_t get64(const uint8_t *p);
void put16(uint8_t *p, uint32_t v), put32(uint8_t *p, uint32_t v), put64(uint8_t *p, uint64_t v);
void out_open(struct raw *raw, size_t bytes, size_t pieces);
/* Appends a PDU; `data` is borrowed until it is sent when it is large. */
void out_pdu(struct raw *raw, const uint8_t header[BHS_BYTES], const uint8_t *data, uint32_t length);
void out_flush(struct raw *raw);
bool out_waits(const struct raw *raw);
/* Takes bytes up to the end of one PDU at most; `*whole` says that it is complete. */
size_t in_take(struct raw *raw, const uint8_t *bytes, size_t length, bool *whole);

/* raw-login.c: connects, logs in, learns the geometry. */
void raw_login(struct raw *raw, unsigned index);

/* raw.c: the slot whose payload a Data-In is; dies when it is nobody's. */
struct slot *raw_payload(struct raw *raw, const uint8_t *header, uint32_t length);

#endif
