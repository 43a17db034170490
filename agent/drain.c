// SPDX-License-Identifier: Apache-2.0
#include "agent/drain.h"

#include <string.h>

#include "agent/agent_metrics.h"
#include "agent/pods.h"
#include "agent/profile_state.h"
#include "agent/tasks.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"

/* A pod that is bound after the list takes longer than this to start a container. */
#define LIST_VALID_MS 100
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 1000

struct job {
    char *object;
    struct strv names;
    size_t removed; /* how many of them have gone */
    bool labelled;  /* wait for the label to go */
    bool looked_at; /* since it was asked for */
    bool due;       /* in the present pass */
};

struct drain {
    struct drain_options options;
    struct map *jobs;
    struct loop_timer *timer;
    uint64_t retry_ms;

    /* The pass under way: a list, then one removal after the other. */
    bool busy;
    struct pods_list *list;
    struct map *users;
    uint64_t listed_ms;
    char *removing; /* object whose profile the kernel is removing */
    bool woken;     /* meanwhile: look again at once */
};

static void step(struct drain *drain);

static void job_free(void *value)
{
    struct job *job = value;

    free(job->object);
    strv_done(&job->names);
    free(job);
}

static void schedule(struct drain *drain, uint64_t ms)
{
    if (!drain->busy)
        loop_timer_start(drain->timer, ms);
}

static void tell(struct drain *drain, struct job *job, const char *reason, const char *message)
{
    job->due = false;
    job->looked_at = true;
    drain->options.waiting(drain->options.userdata, job->object, reason, message);
}

static void end_pass(struct drain *drain)
{
    map_free(drain->users);
    drain->users = NULL;
    drain->busy = false;
    if (map_size(drain->jobs) == 0)
        return;
    if (drain->woken) {
        schedule(drain, 0);
        return;
    }
    schedule(drain, drain->retry_ms);
    drain->retry_ms = drain->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : drain->retry_ms * 2;
}

/* A task that uses the job's profiles: says so and returns true. Doubt counts as use. */
static bool has_task(struct drain *drain, struct job *job)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *message = NULL;
    struct tasks_use use;

    if (tasks_scan(drain->options.proc, &job->names, &use, &err) < 0)
        message = xasprintf("tasks cannot be read: %s", error_message(&err));
    else if (use.starting)
        message = xasprintf("a container is starting (process %d)", (int) use.pid);
    else if (use.used)
        message =
            xasprintf("process %d runs under it (%zu tasks in all)", (int) use.pid, use.count);
    else
        return false;
    tell(drain, job, REASON_IN_USE, message);
    return true;
}

static bool has_pod(struct drain *drain, struct job *job)
{
    const char *pod = drain->users ? pods_user(drain->users, &job->names) : NULL;
    _cleanup_free_ char *message = NULL;

    if (!pod)
        return false;
    message = xasprintf("pod %s names it", pod);
    tell(drain, job, REASON_IN_USE, message);
    return true;
}

static bool may_try(struct drain *drain, struct job *job)
{
    if (!drain->options.wanted(drain->options.userdata, job->object, &job->names))
        return false;
    if (job->labelled && !drain->options.label_gone(drain->options.userdata, job->object)) {
        tell(drain, job, REASON_LABEL_PRESENT, "the Node still carries the label");
        return false;
    }
    return true;
}

static struct job *next_due(struct drain *drain)
{
    size_t position = 0;
    void *value;

    while (map_next(drain->jobs, &position, NULL, &value))
        if (((struct job *) value)->due)
            return value;
    return NULL;
}

static void finish_job(struct drain *drain, const char *object)
{
    _cleanup_free_ char *name = xstrdup(object);

    map_remove(drain->jobs, name);
    drain->options.removed(drain->options.userdata, name);
}

static void count_removal(struct drain *drain, bool success)
{
    const char *values[] = {success ? RESULT_SUCCESS : RESULT_FAILURE};

    metrics_add(drain->options.metrics, METRIC_REMOVALS, 1, values);
}

static void on_removed(void *userdata, const struct error *err)
{
    struct drain *drain = userdata;
    _cleanup_free_ char *object = TAKE_PTR(drain->removing);
    struct job *job = map_get(drain->jobs, object);

    count_removal(drain, err->code == 0);
    if (job && job->due) {
        if (err->code)
            tell(drain, job, REASON_REMOVE_FAILED, error_message(err));
        else if (++job->removed == job->names.len)
            finish_job(drain, object);
    }
    step(drain);
}

static void remove_next(struct drain *drain, struct job *job)
{
    drain->removing = xstrdup(job->object);
    kernel_remove(drain->options.kernel, job->names.items[job->removed], on_removed, drain);
}

static void start_list(struct drain *drain);

/* Goes on with the pass: removes one profile and returns, or ends the pass. */
static void step(struct drain *drain)
{
    struct job *job;

    while ((job = next_due(drain))) {
        if (clock_monotonic_ms() - drain->listed_ms > LIST_VALID_MS) {
            start_list(drain);
            return;
        }
        if (!may_try(drain, job)) {
            job->due = false;
        } else if (!has_pod(drain, job) && !has_task(drain, job)) {
            remove_next(drain, job);
            return;
        }
    }
    end_pass(drain);
}

static void on_pods(void *userdata, struct map *users, const struct error *err)
{
    struct drain *drain = userdata;
    struct job *job;

    drain->list = NULL;
    drain->listed_ms = clock_monotonic_ms();
    map_free(drain->users);
    drain->users = users;
    if (err->code)
        while ((job = next_due(drain)))
            tell(drain, job, REASON_PODS_UNKNOWN, error_message(err));
    step(drain);
}

static void start_list(struct drain *drain)
{
    if (drain->options.client) {
        drain->list = pods_list(drain->options.client, drain->options.node, on_pods, drain);
    } else {
        drain->listed_ms = clock_monotonic_ms();
        step(drain);
    }
}

/* Looks at the node's own tasks first, which costs the API server nothing. */
static void start_pass(void *userdata)
{
    struct drain *drain = userdata;
    size_t position = 0;
    void *value;
    bool any = false;

    if (drain->busy)
        return;
    drain->woken = false;
    while (map_next(drain->jobs, &position, NULL, &value)) {
        struct job *job = value;

        job->due = may_try(drain, job) && !has_task(drain, job);
        any |= job->due;
    }
    drain->busy = true;
    if (any)
        start_list(drain);
    else
        end_pass(drain);
}

struct drain *drain_new(uv_loop_t *loop, const struct drain_options *options)
{
    struct drain *drain = xcalloc(1, sizeof(*drain));

    drain->options = *options;
    drain->jobs = map_new(job_free);
    drain->timer = loop_timer_new(loop, start_pass, drain);
    drain->retry_ms = RETRY_MIN_MS;
    return drain;
}

void drain_free(struct drain *drain)
{
    if (!drain)
        return;
    pods_list_cancel(drain->list);
    loop_timer_free(drain->timer);
    map_free(drain->users);
    map_free(drain->jobs);
    free(drain->removing);
    free(drain);
}

void drain_set(struct drain *drain, const char *object, const struct strv *names, bool labelled)
{
    struct job *job = map_get(drain->jobs, object);

    if (job && job->labelled == labelled && strv_equal(&job->names, names))
        return;
    job = xcalloc(1, sizeof(*job));
    job->object = xstrdup(object);
    strv_copy(&job->names, names);
    job->labelled = labelled;
    map_set(drain->jobs, object, job);
    drain_wake(drain);
}

void drain_clear(struct drain *drain, const char *object)
{
    map_remove(drain->jobs, object);
}

void drain_wake(struct drain *drain)
{
    drain->retry_ms = RETRY_MIN_MS;
    drain->woken = true;
    if (map_size(drain->jobs) > 0)
        schedule(drain, 0);
}

bool drain_settled(const struct drain *drain)
{
    size_t position = 0;
    void *value;

    while (map_next(drain->jobs, &position, NULL, &value))
        if (!((struct job *) value)->looked_at)
            return false;
    return true;
}
