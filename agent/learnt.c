// SPDX-License-Identifier: Apache-2.0
#include "agent/learnt.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tasks.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

/* A burst of loads is one. */
#define DELAY_MS 500
#define AGAIN_MS 10000
/* Looking at tasks takes at most this part of a processor. */
#define SCAN_SHARE 50
/* While there are any, which and how many they are is told this often: each is a write to the API
 * server. */
#define NEWS_MS 60000
/* Of the kernel's list: a line for each profile. */
#define LIST_MAX (16 * 1024 * 1024)

struct learnt {
    uv_loop_t *loop;
    struct learnt_options options;
    char *list;
    struct loop_timer *timer;
    struct proc_scan *scan;
    uint64_t began_ms; /* with the tasks */
};

static bool is_enforced(const struct record *record)
{
    enum policy_mode mode = record->state.mode;

    return record->marker &&
           (mode == POLICY_ENFORCE || mode == POLICY_KILL || mode == POLICY_MIXED);
}

static bool is_news(const struct record *record, const struct tasks_use *use)
{
    if (use->used != record->learnt.used)
        return true;
    return (use->count != record->learnt.count || use->pid != record->learnt.pid) &&
           clock_monotonic_ms() - record->told_ms >= NEWS_MS;
}

/* `tasks` NULL: there are none. True when any is left. */
static bool take(struct learnt *learnt, const struct tasks *tasks)
{
    struct record *record;
    bool any = false;
    size_t position = 0;

    while ((record = records_next(learnt->options.records, &position))) {
        struct tasks_use use = {0};

        if (tasks && is_enforced(record))
            use = tasks_learnt(tasks, &record->state.names);
        any |= use.used;
        if (!is_news(record, &use))
            continue;
        record->learnt = use;
        record->told_ms = clock_monotonic_ms();
        learnt->options.changed(learnt->options.userdata, record->name);
    }
    return any;
}

static void look_again(const struct learnt *learnt)
{
    uint64_t ms = (clock_monotonic_ms() - learnt->began_ms) * SCAN_SHARE;

    if (!loop_timer_active(learnt->timer))
        loop_timer_start(learnt->timer, ms > AGAIN_MS ? ms : AGAIN_MS);
}

static void on_tasks(void *userdata, void *result, const struct error *err)
{
    _cleanup_(tasks_freep) struct tasks *tasks = result;
    struct learnt *learnt = userdata;

    learnt->scan = NULL;
    if (!tasks)
        log_debug("cannot look for tasks of complain mode", "err", error_message(err));
    else if (take(learnt, tasks))
        look_again(learnt);
}

/*
 * Most nodes have none: one file of the kernel's tells, as it lists what it has made up. Not on the
 * loop: reading it takes the policy lock, which can be stuck for ever. The result is NULL for none.
 */
static int list_read(const char *path, void **ret, struct error *err)
{
    _cleanup_buf_ struct buf list = BUF_INIT(LIST_MAX);
    int r = fs_read(AT_FDCWD, path, &list, err);

    if (r < 0 || strstr(buf_string(&list), "//null-"))
        *ret = xstrdup("");
    return r;
}

static const struct proc_scan_kind list_scan = {.read = list_read, .free = free};

static void on_list(void *userdata, void *result, _unused_ const struct error *err)
{
    _cleanup_free_ char *any = result;
    struct learnt *learnt = userdata;

    learnt->scan = NULL;
    if (!any) {
        take(learnt, NULL);
        return;
    }
    learnt->began_ms = clock_monotonic_ms();
    learnt->scan =
        proc_scan_start(learnt->loop, &tasks_scan, learnt->options.proc, on_tasks, learnt);
}

static void look(void *userdata)
{
    struct learnt *learnt = userdata;

    if (learnt->scan)
        loop_timer_start(learnt->timer, AGAIN_MS);
    else
        learnt->scan = proc_scan_start(learnt->loop, &list_scan, learnt->list, on_list, learnt);
}

void learnt_wake(struct learnt *learnt)
{
    loop_timer_start(learnt->timer, DELAY_MS);
}

struct learnt *learnt_new(uv_loop_t *loop, const struct learnt_options *options)
{
    struct learnt *learnt = xcalloc(1, sizeof(*learnt));

    learnt->loop = loop;
    learnt->options = *options;
    learnt->list = kernel_list_path(options->kernel);
    learnt->timer = loop_timer_new(loop, look, learnt);
    return learnt;
}

void learnt_free(struct learnt *learnt)
{
    if (!learnt)
        return;
    proc_scan_cancel(learnt->scan);
    loop_timer_free(learnt->timer);
    free(learnt->list);
    free(learnt);
}
