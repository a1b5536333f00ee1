/*
 * PDUs of the raw engine as bytes (RFC 7143 11.2), in and out.
 *
 *    0 | opcode, I   | flags …                          |   all numbers big-endian
 *    4 | TotalAHSLength (words) | DataSegmentLength, 3  |
 *    8 | LUN, 8                                         |
 *   16 | Initiator Task Tag                             |
 *   20 | opcode-specific, 28                            |
 *   48 | header digest, 4, when negotiated              |   digests: least significant byte first
 *      | data, padded to a multiple of 4                |
 *      | data digest, 4, when negotiated and data       |
 */
#include "raw.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Payloads up to here are copied behind their header: cheaper than pieces of their own. */
#define COPIED_BYTES_MAX (16u << 10)
/* Pieces of one writev; the kernel's bound is 1024. */
#define PIECES_AT_ONCE 256

uint32_t get24(const uint8_t *p) { return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]; }
uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | get24(p + 1); }
uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) << 32 | get32(p + 4); }
void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v); }
void put64(uint8_t *p, uint64_t v) { put32(p, (uint32_t)(v >> 32)); put32(p + 4, (uint32_t)v); }

static void put_digest(uint8_t *p, uint32_t crc) {
    p[0] = (uint8_t)crc; p[1] = (uint8_t)(crc >> 8); p[2] = (uint8_t)(crc >> 16); p[3] = (uint8_t)(crc >> 24);
}

static uint32_t get_digest(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* --- out --- */

void out_open(struct raw *raw, size_t bytes, size_t pieces) {
    raw->out_size = bytes;
    raw->out = allocate(bytes);
    raw->piece_size = pieces;
    raw->pieces = allocate(pieces * sizeof *raw->pieces);
}

static bool is_copied(const struct raw *raw, const struct iovec *piece) {
    const uint8_t *base = piece->iov_base;
    return base >= raw->out && base < raw->out + raw->out_size;
}

/* Moves what waits to the front. Copied bytes lie in the order of their pieces. */
static void out_compact(struct raw *raw) {
    size_t count = raw->piece_count - raw->piece_first, gone = raw->out_used;
    memmove(raw->pieces, raw->pieces + raw->piece_first, count * sizeof *raw->pieces);
    raw->piece_first = 0;
    raw->piece_count = count;
    for (size_t i = 0; i < count; i++) {
        if (!is_copied(raw, &raw->pieces[i])) continue;
        gone = (size_t)((uint8_t *)raw->pieces[i].iov_base - raw->out);
        break;
    }
    memmove(raw->out, raw->out + gone, raw->out_used - gone);
    raw->out_used -= gone;
    for (size_t i = 0; i < count; i++)
        if (is_copied(raw, &raw->pieces[i]))
            raw->pieces[i].iov_base = (uint8_t *)raw->pieces[i].iov_base - gone;
}

static void out_piece(struct raw *raw, const uint8_t *base, size_t length) {
    if (raw->piece_count > raw->piece_first) {
        struct iovec *last = &raw->pieces[raw->piece_count - 1];
        if ((uint8_t *)last->iov_base + last->iov_len == base) {
            last->iov_len += length;
            return;
        }
    }
    raw->pieces[raw->piece_count++] = (struct iovec){ (void *)(uintptr_t)base, length };
}

void out_pdu(struct raw *raw, const uint8_t header[BHS_BYTES], const uint8_t *data, uint32_t length) {
    bool copied = length <= COPIED_BYTES_MAX;
    size_t padding = -length & 3, room = BHS_BYTES + 4 + (copied ? length : 0) + padding + 4;
    if (raw->out_used + room > raw->out_size || raw->piece_count + 3 > raw->piece_size) {
        out_compact(raw);
        if (raw->out_used + room > raw->out_size || raw->piece_count + 3 > raw->piece_size)
            die("the target asks for more than was offered");
    }
    uint8_t *start = raw->out + raw->out_used, *p = start;
    memcpy(p, header, BHS_BYTES);
    p[5] = (uint8_t)(length >> 16);
    put16(p + 6, length);
    p += BHS_BYTES;
    if (raw->header_digest) {
        put_digest(p, crc32c(0, start, BHS_BYTES));
        p += 4;
    }
    if (length != 0 && copied) memcpy(p, data, length);
    if (length != 0 && !copied) {
        out_piece(raw, start, (size_t)(p - start));
        out_piece(raw, data, length);
        start = p;
    } else {
        p += length;
    }
    memset(p, 0, padding);
    if (length != 0 && raw->data_digest) {
        put_digest(p + padding, crc32c(crc32c(0, data, length), p, padding));
        p += 4;
    }
    p += padding;
    if (p != start) out_piece(raw, start, (size_t)(p - start));
    raw->out_used = (size_t)(p - raw->out);
}

bool out_waits(const struct raw *raw) {
    return raw->piece_first < raw->piece_count;
}

void out_flush(struct raw *raw) {
    while (out_waits(raw)) {
        size_t count = raw->piece_count - raw->piece_first;
        struct iovec *pieces = raw->pieces + raw->piece_first;
        ssize_t sent = writev(raw->fd, pieces, count < PIECES_AT_ONCE ? (int)count : PIECES_AT_ONCE);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0) die("sending: %s", strerror(errno));
        for (size_t left = (size_t)sent; left != 0;) {
            struct iovec *first = &raw->pieces[raw->piece_first];
            size_t step = left < first->iov_len ? left : first->iov_len;
            first->iov_base = (uint8_t *)first->iov_base + step;
            first->iov_len -= step;
            left -= step;
            if (first->iov_len == 0) raw->piece_first++;
        }
    }
    raw->piece_first = raw->piece_count = 0;
    raw->out_used = 0;
}

/* --- in --- */

static void header_whole(struct raw *raw) {
    const uint8_t *header = raw->header;
    if (raw->header_digest && crc32c(0, header, BHS_BYTES) != get_digest(header + BHS_BYTES))
        die("wrong header digest");
    if (header[4] != 0) die("an additional header segment from the target");
    raw->data_length = get24(header + 5);
    raw->data_bytes = raw->tail_bytes = raw->data_crc = 0;
    raw->tail_length = raw->data_length == 0 ? 0 : (-raw->data_length & 3) + (raw->data_digest ? 4 : 0);
    raw->payload_of = NULL;
    if (raw->set_up && (header[0] & 0x3f) == DATA_IN)
        raw->payload_of = raw_payload(raw, header, raw->data_length);
    else if (raw->data_length > KEPT_BYTES_MAX)
        die("a data segment of %u bytes with opcode %02xh", raw->data_length, header[0] & 0x3fu);
}

static void take_data(struct raw *raw, const uint8_t *bytes, uint32_t length) {
    if (raw->data_digest) raw->data_crc = crc32c(raw->data_crc, bytes, length);
    struct slot *slot = raw->payload_of;
    if (slot == NULL) {
        memcpy(raw->kept + raw->data_bytes, bytes, length);
    } else {
        work_check(slot, bytes, slot->received, length);
        slot->received += length;
    }
    raw->data_bytes += length;
}

static void tail_whole(struct raw *raw) {
    raw->header_bytes = 0;
    if (raw->payload_of == NULL) raw->kept[raw->data_length] = 0;
    if (!raw->data_digest || raw->data_length == 0) return;
    uint32_t padding = raw->tail_length - 4;
    if (crc32c(raw->data_crc, raw->tail, padding) != get_digest(raw->tail + padding))
        die("wrong data digest");
}

size_t in_take(struct raw *raw, const uint8_t *bytes, size_t length, bool *whole) {
    const uint32_t head = BHS_BYTES + (raw->header_digest ? 4 : 0);
    size_t at = 0, step;
    *whole = false;
    if (raw->header_bytes < head) {
        step = head - raw->header_bytes < length ? head - raw->header_bytes : length;
        memcpy(raw->header + raw->header_bytes, bytes, step);
        raw->header_bytes += (uint32_t)step;
        at += step;
        if (raw->header_bytes < head) return at;
        header_whole(raw);
    }
    step = raw->data_length - raw->data_bytes;
    if (step > length - at) step = length - at;
    if (step != 0) take_data(raw, bytes + at, (uint32_t)step);
    at += step;
    if (raw->data_bytes < raw->data_length) return at;
    while (at < length && raw->tail_bytes < raw->tail_length) raw->tail[raw->tail_bytes++] = bytes[at++];
    if (raw->tail_bytes < raw->tail_length) return at;
    tail_whole(raw);
    *whole = true;
    return at;
}
