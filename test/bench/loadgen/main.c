/*
 * Options, phases and the report of loadgen.
 *
 *   start ─ warm-up ─▶ measuring ─ seconds ─▶ stop            and with --once:
 *   start = measuring ─ every place was visited ─▶ stop
 *
 * The report is one line of JSON on stdout. Status 0: every operation was good and nothing read was
 * wrong; 1: not so, or an error that stderr names; 2: wrong use.
 */
#include "loadgen.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options opt = {
    .engine = "raw", .connections = 1, .depth = 1, .block_bytes = 4096, .seconds = 2, .warm_up = 0.5,
};
uint32_t sector_bytes;
uint64_t sectors;

void die(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (memory == NULL) die("no memory for %zu bytes", bytes);
    return memory;
}

_Noreturn static void usage(const char *wrong) {
    fprintf(stderr, "loadgen: %s\n", wrong);
    fputs("usage: loadgen [options] iscsi://ADDRESS:PORT/TARGET/LUN\n"
          "  --engine raw|libiscsi   (raw)\n"
          "  --connections N --depth N --block BYTES   (1, 1, 4096)\n"
          "  --write --sequential --span MIB   (random reads of the whole LUN)\n"
          "  --fua --sync            force unit access; SYNCHRONIZE CACHE after each write\n"
          "  --header-digest --data-digest   (raw only)\n"
          "  --stamp SEED            write content that follows from its place\n"
          "  --verify SEED           check that what is read was written with this seed\n"
          "  --once                  every place once, instead of for a time\n"
          "  --seconds S --warm-up S   (2, 0.5)\n"
          "  --pid PID               report the processor time of the target\n", stderr);
    exit(2);
}

static double number(const char *text, double least, double most) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(value >= least && value <= most))
        usage("a number is out of range");
    return value;
}

/* iscsi://ADDRESS:PORT/TARGET/LUN, the address numeric, IPv6 in brackets. */
static void read_url(const char *url) {
    char host[80], port[8], lun[8];
    if (sscanf(url, "iscsi://%79[^/]/%223[^/]/%7[0-9]", host, opt.target, lun) != 3)
        usage("the URL is not iscsi://ADDRESS:PORT/TARGET/LUN");
    opt.lun = (unsigned)number(lun, 0, 255);
    char *colon = strrchr(host, ':');
    if (colon == NULL || strlen(colon + 1) >= sizeof port) usage("the URL has no port");
    strcpy(port, colon + 1);
    number(port, 1, 65535);
    *colon = '\0';
    size_t length = strlen(host);
    char *name = host;
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        name++;
    }
    if (strlen(name) >= sizeof opt.host) usage("the address is too long");
    strcpy(opt.host, name);
    strcpy(opt.port, port);
}

static void read_options(int count, char **arguments) {
    enum { ENGINE = 1, CONNECTIONS, DEPTH, BLOCK, SPAN, WRITE, SEQUENTIAL, FUA, SYNC, HEADER, DATA,
           STAMP, VERIFY, ONCE, SECONDS, WARM_UP, PID };
    static const struct option names[] = {
        { "engine", 1, 0, ENGINE }, { "connections", 1, 0, CONNECTIONS }, { "depth", 1, 0, DEPTH },
        { "block", 1, 0, BLOCK }, { "span", 1, 0, SPAN }, { "write", 0, 0, WRITE },
        { "sequential", 0, 0, SEQUENTIAL }, { "fua", 0, 0, FUA }, { "sync", 0, 0, SYNC },
        { "header-digest", 0, 0, HEADER }, { "data-digest", 0, 0, DATA },
        { "stamp", 1, 0, STAMP }, { "verify", 1, 0, VERIFY }, { "once", 0, 0, ONCE },
        { "seconds", 1, 0, SECONDS }, { "warm-up", 1, 0, WARM_UP }, { "pid", 1, 0, PID },
        { 0, 0, 0, 0 },
    };
    for (int name; (name = getopt_long(count, arguments, "", names, NULL)) != -1;) switch (name) {
        case ENGINE: opt.engine = optarg; break;
        case CONNECTIONS: opt.connections = (unsigned)number(optarg, 1, CONNECTIONS_MAX); break;
        case DEPTH: opt.depth = (unsigned)number(optarg, 1, DEPTH_MAX); break;
        case BLOCK: opt.block_bytes = (uint32_t)number(optarg, 512, BLOCK_BYTES_MAX); break;
        case SPAN: opt.span_bytes = (uint64_t)number(optarg, 1, 1e9) << 20; break;
        case WRITE: opt.write = true; break;
        case SEQUENTIAL: opt.sequential = true; break;
        case FUA: opt.fua = true; break;
        case SYNC: opt.sync = true; break;
        case HEADER: opt.header_digest = true; break;
        case DATA: opt.data_digest = true; break;
        case STAMP: opt.stamp = true; opt.seed = (uint64_t)number(optarg, 0, 1e15); break;
        case VERIFY: opt.verify = true; opt.seed = (uint64_t)number(optarg, 0, 1e15); break;
        case ONCE: opt.once = true; break;
        case SECONDS: opt.seconds = number(optarg, 0.01, 86400); break;
        case WARM_UP: opt.warm_up = number(optarg, 0, 86400); break;
        case PID: opt.pid = (int)number(optarg, 1, 1 << 22); break;
        default: usage("unknown option");
    }
    if (optind != count - 1) usage("one URL is needed");
    read_url(arguments[optind]);
    if (opt.write ? opt.verify : opt.stamp) usage("--stamp is of writes, --verify of reads");
    if (!opt.write && (opt.fua || opt.sync)) usage("--fua and --sync are of writes");
    if (opt.block_bytes % 512 != 0) usage("--block is a multiple of 512");
}

static void report(double seconds, struct cpu own, struct cpu target) {
    double ops = ops_done == 0 ? 1 : (double)ops_done;
    printf("{\"engine\":\"%s\",\"operations\":%" PRIu64 ",\"seconds\":%.6f,\"iops\":%.1f,"
           "\"megabytesPerS\":%.3f,\"p50Us\":%.2f,\"p99Us\":%.2f,\"maxUs\":%.2f,\"clientUs\":%.4f,",
           opt.engine, ops_done, seconds, (double)ops_done / seconds,
           (double)ops_done * opt.block_bytes / seconds / 1e6, latency_us(0.5), latency_us(0.99),
           latency_max_us(), (own.user_s + own.system_s) * 1e6 / ops);
    if (opt.pid == 0) printf("\"targetUserUs\":null,\"targetSystemUs\":null,");
    else printf("\"targetUserUs\":%.4f,\"targetSystemUs\":%.4f,", target.user_s * 1e6 / ops,
                target.system_s * 1e6 / ops);
    printf("\"failed\":%" PRIu64 ",\"wrong\":%" PRIu64 "}\n", ops_failed, ops_wrong);
}

static struct cpu spent(struct cpu from, struct cpu to) {
    return (struct cpu){ to.user_s - from.user_s, to.system_s - from.system_s };
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    const struct engine *engine;
    if (strcmp(opt.engine, "raw") == 0) engine = &raw_engine;
    else if (strcmp(opt.engine, "libiscsi") == 0) engine = &lib_engine;
    else usage("the engine is raw or libiscsi");
    if (engine == &lib_engine && (opt.header_digest || opt.data_digest))
        usage("digests are of the raw engine");
    engine->open();
    work_open();

    const struct cpu none = { 0, 0 };
    struct cpu own = none, target = none;
    uint64_t began = now_ns = clock_ns();
    measuring = opt.once;
    if (measuring) {
        own = cpu_own();
        if (opt.pid != 0) target = cpu_of(opt.pid);
    }
    engine->start();
    for (;;) {
        engine->turn();
        now_ns = clock_ns();
        double passed = (double)(now_ns - began) / 1e9;
        if (opt.once ? engine->idle() : measuring && passed >= opt.seconds) break;
        if (!measuring && passed >= opt.warm_up) {
            measuring = true;
            began = now_ns;
            own = cpu_own();
            if (opt.pid != 0) target = cpu_of(opt.pid);
        }
    }
    double seconds = (double)(now_ns - began) / 1e9;
    own = spent(own, cpu_own());
    if (opt.pid != 0) target = spent(target, cpu_of(opt.pid));
    report(seconds, own, target);
    return ops_failed != 0 || ops_wrong != 0;
}
