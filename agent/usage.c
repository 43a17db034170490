// SPDX-License-Identifier: Apache-2.0
#include "agent/usage.h"

#include "agent/pods.h"
#include "agent/profile_state.h"
#include "agent/tasks.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

/* A pod that is bound after the list takes longer than this to start a container. */
#define LIST_VALID_MS 100
/* When the list was made is known no better than by how long the answer has taken. */
#define LIST_TIME_MAX_MS 1000
#define SCAN_VALID_MS 500
/* So quick that the list does not get old by it. */
#define QUICK_SCAN_MS 50

struct usage {
    uv_loop_t *loop;
    struct usage_options options;

    struct proc_scan *scan;
    struct tasks *tasks;
    uint64_t scan_began_ms, scan_ended_ms;
    bool tasks_are_newer; /* than the pods */

    struct pods_list *list;
    struct loop_timer *no_list; /* without a cluster there is nothing to ask */
    struct map *users;
    uint64_t list_began_ms, listed_ms;
    bool is_listed;
};

static void tell(struct usage *usage, const char *reason, const char *message)
{
    usage->options.known(usage->options.userdata, reason, message);
}

/* --- tasks --- */

static void on_tasks(void *userdata, void *tasks, const struct error *err)
{
    struct usage *usage = userdata;

    usage->scan = NULL;
    usage->scan_ended_ms = clock_monotonic_ms();
    usage->tasks = tasks;
    tell(usage, tasks ? NULL : REASON_TASKS_UNKNOWN, tasks ? NULL : error_message(err));
}

void usage_read_tasks(struct usage *usage)
{
    tasks_free(usage->tasks);
    usage->tasks = NULL;
    usage->tasks_are_newer = true;
    usage->scan_began_ms = clock_monotonic_ms();
    usage->scan = proc_scan_start(usage->loop, &tasks_scan, usage->options.proc, on_tasks, usage);
}

bool usage_knows_tasks(const struct usage *usage)
{
    return usage->tasks && clock_monotonic_ms() - usage->scan_ended_ms <= SCAN_VALID_MS;
}

uint64_t usage_scan_ms(const struct usage *usage)
{
    return usage->scan_ended_ms - usage->scan_began_ms;
}

bool usage_wants_tasks_again(const struct usage *usage)
{
    return !usage->tasks_are_newer && usage_scan_ms(usage) <= QUICK_SCAN_MS;
}

char *usage_task(const struct usage *usage, const struct strv *names)
{
    struct tasks_use use = tasks_use_of(usage->tasks, names);

    if (!use.used)
        return NULL;
    if (use.starting)
        return xasprintf("a container is starting (process %d)", (int) use.pid);
    return xasprintf("process %d runs under it (%zu tasks in all)", (int) use.pid, use.count);
}

pid_t usage_task_pid(const struct usage *usage, const struct strv *names)
{
    return tasks_use_of(usage->tasks, names).pid;
}

/* --- pods --- */

static void listed(struct usage *usage)
{
    usage->is_listed = true;
    usage->listed_ms = clock_monotonic_ms();
    usage->tasks_are_newer = false;
}

static void on_pods(void *userdata, struct map *users, const struct error *err)
{
    struct usage *usage = userdata;

    usage->list = NULL;
    map_free(usage->users);
    usage->users = users;
    if (err->code) {
        tell(usage, REASON_PODS_UNKNOWN, error_message(err));
    } else if (clock_monotonic_ms() - usage->list_began_ms > LIST_TIME_MAX_MS) {
        tell(usage, REASON_PODS_UNKNOWN, "the API server takes too long to list the node's pods");
    } else {
        listed(usage);
        tell(usage, NULL, NULL);
    }
}

static void on_no_list(void *userdata)
{
    listed(userdata);
    tell(userdata, NULL, NULL);
}

void usage_list_pods(struct usage *usage)
{
    usage->is_listed = false;
    usage->list_began_ms = clock_monotonic_ms();
    if (usage->options.client)
        usage->list = pods_list(usage->options.client, usage->options.node, on_pods, usage);
    else
        loop_timer_start(usage->no_list, 0);
}

bool usage_knows_pods(const struct usage *usage)
{
    return usage->is_listed && clock_monotonic_ms() <= usage_pods_until_ms(usage);
}

uint64_t usage_pods_until_ms(const struct usage *usage)
{
    return usage->listed_ms + LIST_VALID_MS;
}

char *usage_pod(const struct usage *usage, const struct strv *names)
{
    const char *pod = usage->users ? pods_user(usage->users, names) : NULL;

    return pod ? xasprintf("pod %s names it", pod) : NULL;
}

/* --- the module --- */

void usage_forget(struct usage *usage)
{
    map_free(usage->users);
    usage->users = NULL;
    usage->is_listed = false;
    tasks_free(usage->tasks);
    usage->tasks = NULL;
}

struct usage *usage_new(uv_loop_t *loop, const struct usage_options *options)
{
    struct usage *usage = xcalloc(1, sizeof(*usage));

    usage->loop = loop;
    usage->options = *options;
    usage->no_list = loop_timer_new(loop, on_no_list, usage);
    return usage;
}

void usage_free(struct usage *usage)
{
    if (!usage)
        return;
    proc_scan_cancel(usage->scan);
    pods_list_cancel(usage->list);
    loop_timer_free(usage->no_list);
    usage_forget(usage);
    free(usage);
}
