/*
 * Content that follows from its place: the 8-byte word at byte 8n of the LUN is a hash of n and the
 * seed, in the order of this machine. A block that is old (another seed), elsewhere, torn or damaged in one bit
 * is noticed wherever it is cut.
 */
#include "loadgen.h"

#include <string.h>

/* The finalizer of splitmix64: every bit of the result depends on every bit of the input. */
static uint64_t word_at(uint64_t index, uint64_t seed) {
    uint64_t z = (index + 1) * 0x9e3779b97f4a7c15u ^ seed * 0xd1342543de82ef95u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void pattern_fill(uint8_t *to, uint64_t offset, size_t length, uint64_t seed) {
    while (length != 0) {
        uint64_t word = word_at(offset / 8, seed);
        size_t skip = offset % 8, step = 8 - skip < length ? 8 - skip : length;
        memcpy(to, (const uint8_t *)&word + skip, step);
        to += step;
        offset += step;
        length -= step;
    }
}

int64_t pattern_differs(const uint8_t *data, uint64_t offset, size_t length, uint64_t seed) {
    size_t at = 0;
    while (at < length) {
        uint64_t word = word_at((offset + at) / 8, seed);
        size_t skip = (offset + at) % 8, step = 8 - skip < length - at ? 8 - skip : length - at;
        const uint8_t *expected = (const uint8_t *)&word + skip;
        if (memcmp(data + at, expected, step) != 0) {
            while (data[at] == *expected) at++, expected++;
            return (int64_t)at;
        }
        at += step;
    }
    return -1;
}
