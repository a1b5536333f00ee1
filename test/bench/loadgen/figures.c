/*
 * Clock, latencies and processor time.
 *
 * Latencies go into a histogram with 32 steps for each power of two, so a percentile is off by at
 * most 3 %. Processor time is utime and stime of proc(5), all threads, in ticks of 10 ms.
 */
#include "loadgen.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STEPS 32
#define STEP_BITS 5
#define BUCKETS (STEPS * 60)

static uint64_t buckets[BUCKETS], total, longest_ns;

uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned bucket_of(uint64_t ns) {
    if (ns < STEPS) return (unsigned)ns;
    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    return (power - STEP_BITS + 1) * STEPS + (unsigned)((ns >> (power - STEP_BITS)) & (STEPS - 1));
}

static double middle_ns(unsigned bucket) {
    if (bucket < STEPS) return bucket;
    unsigned power = bucket / STEPS + STEP_BITS - 1;
    double step = (double)(UINT64_C(1) << (power - STEP_BITS));
    return ((double)(STEPS + bucket % STEPS) + 0.5) * step;
}

void latency_add(uint64_t ns) {
    buckets[bucket_of(ns)]++;
    total++;
    if (ns > longest_ns) longest_ns = ns;
}

double latency_us(double share) {
    uint64_t wanted = (uint64_t)((double)total * share), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += buckets[i];
        if (buckets[i] != 0 && seen >= wanted) return middle_ns(i) / 1000;
    }
    return 0;
}

double latency_max_us(void) {
    return (double)longest_ns / 1000;
}

struct cpu cpu_of(int pid) {
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) die("there is no process %d", pid);
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    fclose(file);
    /* The second field is the name in parentheses and may hold anything. */
    const char *after = strrchr(text, ')');
    unsigned long user, system;
    const char *fields = "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";
    if (after == NULL || sscanf(after + 2, fields, &user, &system) != 2)
        die("%s cannot be read", path);
    double ticks = (double)sysconf(_SC_CLK_TCK);
    return (struct cpu){ (double)user / ticks, (double)system / ticks };
}

struct cpu cpu_own(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (struct cpu){ (double)r.ru_utime.tv_sec + (double)r.ru_utime.tv_usec / 1e6,
                         (double)r.ru_stime.tv_sec + (double)r.ru_stime.tv_usec / 1e6 };
}
