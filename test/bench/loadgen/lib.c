/*
 * Engine "libiscsi": the same operations through libiscsi's asynchronous calls.
 */
#include "loadgen.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#define TURN_MS 100

struct lib {
    struct iscsi_context *context;
    struct slot *slots;
    uint8_t *data;
    unsigned index;
};

static struct lib *libs;
static uint64_t in_flight;

static void begin(struct lib *lib, struct slot *slot);

static uint8_t *data_of(const struct lib *lib, const struct slot *slot) {
    return lib->data + (opt.stamp ? (size_t)(slot - lib->slots) * opt.block_bytes : 0);
}

static void synchronize(struct lib *lib, struct slot *slot);

static void completed(struct iscsi_context *context, int status, void *command, void *private) {
    struct slot *slot = private;
    struct scsi_task *task = command;
    (void)context;
    now_ns = clock_ns();
    bool good = status == SCSI_STATUS_GOOD && task != NULL && task->residual_status == SCSI_RESIDUAL_NO_RESIDUAL;
    if (good && !opt.write) {
        good = task->datain.size == (int)opt.block_bytes;
        if (good) work_check(slot, task->datain.data, 0, opt.block_bytes);
    }
    if (task != NULL) scsi_free_scsi_task(task);
    if (opt.sync && good && !slot->syncing) {
        slot->syncing = true;
        synchronize(slot->connection, slot);
        return;
    }
    slot->busy = false;
    in_flight--;
    work_done(slot, good);
    begin(slot->connection, slot);
}

static void synchronize(struct lib *lib, struct slot *slot) {
    if (iscsi_synchronizecache10_task(lib->context, (int)opt.lun, 0, 0, 0, 0, completed, slot) == NULL)
        die("SYNCHRONIZE CACHE: %s", iscsi_get_error(lib->context));
}

static void begin(struct lib *lib, struct slot *slot) {
    if (!work_next(slot, lib->index)) return;
    slot->busy = true;
    in_flight++;
    const uint64_t lba = slot->offset / sector_bytes;
    struct scsi_task *task;
    if (opt.write) {
        uint8_t *data = data_of(lib, slot);
        if (opt.stamp) pattern_fill(data, slot->offset, opt.block_bytes, opt.seed);
        task = iscsi_write16_task(lib->context, (int)opt.lun, lba, data, opt.block_bytes, (int)sector_bytes, 0, 0,
                                  opt.fua, 0, 0, completed, slot);
    } else {
        task = iscsi_read16_task(lib->context, (int)opt.lun, lba, opt.block_bytes, (int)sector_bytes, 0, 0, 0, 0, 0,
                                 completed, slot);
    }
    if (task == NULL) die("libiscsi: %s", iscsi_get_error(lib->context));
}

static void connect_one(struct lib *lib, unsigned index) {
    char name[64], portal[sizeof opt.host + sizeof opt.port + 4];
    const bool six = strchr(opt.host, ':') != NULL;
    snprintf(name, sizeof name, "iqn.2026-11.internal.petal:libiscsi-%u", index);
    snprintf(portal, sizeof portal, six ? "[%s]:%s" : "%s:%s", opt.host, opt.port);
    lib->index = index;
    lib->context = iscsi_create_context(name);
    if (lib->context == NULL) die("libiscsi: no context");
    iscsi_set_targetname(lib->context, opt.target);
    iscsi_set_session_type(lib->context, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(lib->context, ISCSI_HEADER_DIGEST_NONE);
    if (iscsi_full_connect_sync(lib->context, portal, (int)opt.lun) != 0)
        die("libiscsi: %s", iscsi_get_error(lib->context));
    struct scsi_task *task = iscsi_readcapacity16_sync(lib->context, (int)opt.lun);
    if (task == NULL || task->status != SCSI_STATUS_GOOD) die("READ CAPACITY(16): %s", iscsi_get_error(lib->context));
    struct scsi_readcapacity16 *capacity = scsi_datain_unmarshall(task);
    if (capacity == NULL) die("READ CAPACITY(16): an answer that is too short");
    sector_bytes = capacity->block_length;
    sectors = capacity->returned_lba + 1;
    scsi_free_scsi_task(task);
    if (sector_bytes != 512 && sector_bytes != 4096) die("a LUN of a size that is not handled");
}

static void lib_open(void) {
    libs = allocate(opt.connections * sizeof *libs);
    for (unsigned i = 0; i < opt.connections; i++) {
        struct lib *lib = &libs[i];
        connect_one(lib, i);
        lib->slots = allocate(opt.depth * sizeof *lib->slots);
        for (unsigned n = 0; n < opt.depth; n++) lib->slots[n].connection = lib;
        if (!opt.write) continue;
        lib->data = allocate(opt.stamp ? (size_t)opt.depth * opt.block_bytes : opt.block_bytes);
        pattern_fill(lib->data, 0, opt.block_bytes, ~UINT64_C(0));
    }
}

static void lib_start(void) {
    now_ns = clock_ns();
    for (unsigned i = 0; i < opt.connections; i++)
        for (unsigned n = 0; n < opt.depth; n++) begin(&libs[i], &libs[i].slots[n]);
}

static void lib_turn(void) {
    struct pollfd polled[CONNECTIONS_MAX];
    for (unsigned i = 0; i < opt.connections; i++) {
        polled[i].fd = iscsi_get_fd(libs[i].context);
        polled[i].events = (short)iscsi_which_events(libs[i].context);
        polled[i].revents = 0;
    }
    if (poll(polled, opt.connections, TURN_MS) < 0 && errno != EINTR) die("poll: %s", strerror(errno));
    for (unsigned i = 0; i < opt.connections; i++)
        if (polled[i].revents != 0 && iscsi_service(libs[i].context, polled[i].revents) != 0)
            die("libiscsi: %s", iscsi_get_error(libs[i].context));
}

static bool lib_idle(void) {
    return in_flight == 0;
}

const struct engine lib_engine = { lib_open, lib_start, lib_turn, lib_idle };
