/*
 * CRC-32C (Castagnoli, RFC 3385) of header and data digests. The processor's own instruction where
 * there is one (SSE 4.2), else a table.
 */
#include "loadgen.h"

#include <string.h>

static uint32_t table[256];

static uint32_t by_table(uint32_t crc, const uint8_t *data, size_t length) {
    if (table[1] == 0)
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t c = n;
            for (int bit = 0; bit < 8; bit++) c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
            table[n] = c;
        }
    for (; length != 0; length--) crc = table[(crc ^ *data++) & 0xff] ^ (crc >> 8);
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static uint32_t by_processor(uint32_t crc, const uint8_t *data, size_t length) {
    uint64_t c = crc;
    for (; length >= 8; length -= 8, data += 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        c = __builtin_ia32_crc32di(c, word);
    }
    for (; length != 0; length--) c = __builtin_ia32_crc32qi((uint32_t)c, *data++);
    return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t length) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~by_processor(~crc, data, length);
#endif
    return ~by_table(~crc, data, length);
}
