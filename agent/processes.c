// SPDX-License-Identifier: Apache-2.0
#include "agent/processes.h"

#include <fcntl.h>
#include <time.h>

#include "agent/nobody.h"
#include "agent/proc.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"

/* Processes that are remembered, by the last digits of their number. */
#define SLOTS 1024
/* Beginnings are told in hundredths of a second, records' times in ticks of the kernel's clock. */
#define IMPRECISION_MS 20

struct slot {
    pid_t pid; /* 0: empty */
    int64_t began_ms, seen_ms;
    enum process_where where;
    struct cgroup_place place;
};

struct processes {
    const char *proc;
    bool usable;
    struct buf text;
    struct slot slots[SLOTS];
};

struct processes *processes_new(const char *proc)
{
    struct processes *processes = xcalloc(1, sizeof(*processes));

    processes->proc = proc ? proc : "/proc";
    processes->usable = proc_check_whole(processes->proc, NULL) == 0;
    processes->text = BUF_INIT(PROC_TEXT_MAX);
    return processes;
}

void processes_free(struct processes *processes)
{
    if (!processes)
        return;
    buf_done(&processes->text);
    free(processes);
}

/* `ticks` after the machine has booted; since the epoch. */
static int64_t time_of(uint64_t ticks, int64_t now_ms)
{
    struct timespec boot;

    (void) clock_gettime(CLOCK_BOOTTIME, &boot);
    return now_ms - ((int64_t) boot.tv_sec * 1000 + boot.tv_nsec / 1000000) +
           (int64_t) (ticks * 1000 / (uint64_t) sysconf(_SC_CLK_TCK));
}

/* Of one process, as its folder is open. */
static bool read_process(struct processes *processes, pid_t pid, struct proc_stat *stat)
{
    _cleanup_free_ char *path = xasprintf("%s/%d", processes->proc, (int) pid);
    _cleanup_close_ int task = proc_open(AT_FDCWD, path);

    buf_reset(&processes->text);
    return task >= 0 && fs_read(task, "cgroup", &processes->text, NULL) == 0 &&
           proc_read_stat(task, stat) == 0;
}

/* False when there is none of that number. */
static bool look(struct processes *processes, pid_t pid, struct slot *slot)
{
    struct nobody self;
    struct proc_stat stat;

    nobody_enter(&self);
    bool found = read_process(processes, pid, &stat);
    nobody_leave(&self);
    if (!found)
        return false;
    slot->pid = pid;
    slot->seen_ms = clock_realtime_ms();
    slot->began_ms = time_of(stat.start, slot->seen_ms);
    slot->where =
        cgroup_parse(buf_string(&processes->text), &slot->place) ? PROCESS_IN_POD : PROCESS_OUTSIDE;
    return true;
}

static bool answers(const struct slot *slot, pid_t pid, int64_t time_ms)
{
    return slot->pid == pid && slot->began_ms <= time_ms + IMPRECISION_MS &&
           time_ms <= slot->seen_ms + PROCESSES_HOLD_MS;
}

enum process_where processes_find(struct processes *processes, pid_t pid, int64_t time_ms,
                                  struct cgroup_place *ret)
{
    struct slot *slot = &processes->slots[(uint32_t) pid % SLOTS], found = {0};

    if (pid <= 0 || !processes->usable)
        return PROCESS_UNKNOWN;
    if (!answers(slot, pid, time_ms)) {
        if (!look(processes, pid, &found) || !answers(&found, pid, time_ms))
            return PROCESS_UNKNOWN;
        *slot = found;
    }
    if (slot->where == PROCESS_IN_POD)
        *ret = slot->place;
    return slot->where;
}
