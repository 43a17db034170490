// SPDX-License-Identifier: Apache-2.0
#include "agent/drain.h"

#include <errno.h>
#include <string.h>

#include "agent/agent_metrics.h"
#include "agent/exit_watch.h"
#include "agent/profile_state.h"
#include "agent/usage.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
/* What costs the API server a list, too. */
#define RETRY_LIST_MAX_MS 15000
/* Looking at tasks takes at most this part of a processor. */
#define SCAN_SHARE 50
/* A process that had the profile has ended: so soon is looked who else has. */
#define EXIT_WAIT_MAX_MS 500
/* So many lists in a row may be too old once the tasks are known, too. */
#define LISTS_MAX 3

struct job {
    char *object;
    struct strv names;
    size_t removed;          /* how many of them have gone */
    bool labelled;           /* wait for the label to go */
    bool looked_at;          /* since it was asked for */
    bool due;                /* in the present pass */
    struct exit_watch *user; /* a process that uses it, or NULL */
    bool pod_uses_it;        /* when last looked at */
};

struct drain {
    uv_loop_t *loop;
    struct drain_options options;
    struct map *jobs;
    struct usage *usage;
    struct loop_timer *timer;
    uint64_t retry_ms;

    /* The pass under way. */
    bool busy;
    bool woken;     /* meanwhile: look again at once */
    unsigned lists; /* since the last removal */
    bool asked_server;
    char *removing;  /* object whose profile the kernel is removing */
    bool user_ended; /* meanwhile */
    uint64_t pass_ended_ms;
};

static void job_free(void *value)
{
    struct job *job = value;

    exit_watch_free(job->user);
    free(job->object);
    strv_done(&job->names);
    free(job);
}

static void schedule(struct drain *drain, uint64_t ms)
{
    if (!drain->busy)
        loop_timer_start(drain->timer, ms);
}

/* --- what becomes of jobs --------------------------------------------------------------------- */

static void tell(struct drain *drain, struct job *job, const char *reason, const char *message)
{
    job->due = false;
    job->looked_at = true;
    drain->options.waiting(drain->options.userdata, job->object, reason, message);
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

static void tell_all(struct drain *drain, const char *reason, const char *message)
{
    struct job *job;

    while ((job = next_due(drain)))
        tell(drain, job, reason, message);
}

static void drop(struct drain *drain, const char *object)
{
    _cleanup_free_ char *name = xstrdup(object);

    map_remove(drain->jobs, name);
    drain->options.changed(drain->options.userdata, name);
}

/* --- the pass --------------------------------------------------------------------------------- */

/* Between two looks at the tasks, at least. */
static uint64_t scan_interval(const struct drain *drain, uint64_t max_ms)
{
    uint64_t ms = usage_scan_ms(drain->usage) * SCAN_SHARE;

    return ms < max_ms ? ms : max_ms;
}

static uint64_t retry_after(struct drain *drain)
{
    uint64_t max = drain->asked_server ? RETRY_LIST_MAX_MS : RETRY_MAX_MS;
    uint64_t ms = drain->retry_ms > max ? max : drain->retry_ms;
    uint64_t least = scan_interval(drain, RETRY_LIST_MAX_MS);

    drain->retry_ms = ms * 2;
    return ms > least ? ms : least;
}

static uint64_t next_pass(struct drain *drain)
{
    if (drain->woken)
        return 0;
    if (drain->user_ended)
        return scan_interval(drain, EXIT_WAIT_MAX_MS);
    return retry_after(drain);
}

static void end_pass(struct drain *drain)
{
    usage_forget(drain->usage);
    drain->busy = false;
    drain->pass_ended_ms = clock_monotonic_ms();
    if (map_size(drain->jobs) > 0)
        schedule(drain, next_pass(drain));
}

/* Others may use it as well; those that come and go must not have us look all the time. */
static void on_user_ended(void *userdata)
{
    struct drain *drain = userdata;
    uint64_t now = clock_monotonic_ms();
    uint64_t at = drain->pass_ended_ms + scan_interval(drain, EXIT_WAIT_MAX_MS);

    drain->user_ended = true;
    drain->retry_ms = RETRY_MIN_MS;
    schedule(drain, at > now ? at - now : 0);
}

/* Numbers of another /proc may be of other processes. */
static bool knows_processes(const struct drain *drain)
{
    return !drain->options.proc || strcmp(drain->options.proc, "/proc") == 0;
}

static void watch_user(struct drain *drain, struct job *job, pid_t pid)
{
    if (!knows_processes(drain) || (job->user && exit_watch_pid(job->user) == pid))
        return;
    exit_watch_free(job->user);
    job->user = exit_watch_new(drain->loop, pid, on_user_ended, drain);
}

static bool is_wanted(struct drain *drain, struct job *job)
{
    if (drain->options.wanted(drain->options.userdata, job->object, &job->names))
        return true;
    drop(drain, job->object);
    return false;
}

static bool is_labelled(struct drain *drain, struct job *job)
{
    if (!job->labelled || drain->options.label_gone(drain->options.userdata, job->object))
        return false;
    tell(drain, job, REASON_LABEL_PRESENT, "the Node still carries the label");
    return true;
}

/* Says so and returns true. `user` is freed. */
static bool is_used(struct drain *drain, struct job *job, char *user)
{
    if (!user)
        return false;
    tell(drain, job, REASON_IN_USE, user);
    free(user);
    return true;
}

static void count_removal(struct drain *drain, bool success)
{
    const char *values[] = {success ? RESULT_SUCCESS : RESULT_FAILURE};

    metrics_add(drain->options.metrics, METRIC_REMOVALS, 1, values);
}

static void step(struct drain *drain);

static void on_removed(void *userdata, const struct error *err)
{
    struct drain *drain = userdata;
    _cleanup_free_ char *object = TAKE_PTR(drain->removing);
    struct job *job = map_get(drain->jobs, object);
    bool too_late = err->code == -ETIME; /* the list has become old in the line for the kernel */

    if (!too_late) {
        count_removal(drain, err->code == 0);
        drain->lists = 0;
    }
    /* It may have been called off, or replaced by another, meanwhile. */
    if (job && job->due && err->code == 0)
        job->removed++;
    else if (job && job->due && !too_late)
        tell(drain, job, REASON_REMOVE_FAILED, error_message(err));
    if (job && job->removed == job->names.len)
        drop(drain, object);
    else
        drain->options.changed(drain->options.userdata, object);
    step(drain);
}

static void remove_next(struct drain *drain, struct job *job)
{
    drain->removing = xstrdup(job->object);
    kernel_remove(drain->options.kernel, job->names.items[job->removed],
                  usage_pods_until_ms(drain->usage), on_removed, drain);
}

/* False when that would be one list too many: the pass is over. */
static bool list_pods(struct drain *drain)
{
    if (++drain->lists > LISTS_MAX) {
        tell_all(drain, REASON_PODS_UNKNOWN,
                 "the node is too busy: pods and processes cannot be looked at soon enough before "
                 "the removal");
        return false;
    }
    drain->asked_server = true;
    usage_list_pods(drain->usage);
    return true;
}

/*
 * Begins the next thing that the job needs and returns true, or false when the job is over for now.
 * The node's own tasks come first, as they cost the API server nothing and may take long to end,
 * and again after the list.
 */
static bool step_job(struct drain *drain, struct job *job)
{
    struct usage *usage = drain->usage;

    if (!is_wanted(drain, job))
        return false;
    if (!usage_knows_tasks(usage)) {
        usage_read_tasks(usage);
        return true;
    }
    if (is_used(drain, job, usage_task(usage, &job->names))) {
        watch_user(drain, job, usage_task_pid(usage, &job->names));
        return false;
    }
    if (is_labelled(drain, job))
        return false;
    if (!usage_knows_pods(usage))
        return list_pods(drain);
    job->pod_uses_it = is_used(drain, job, usage_pod(usage, &job->names));
    if (job->pod_uses_it)
        return false;
    if (usage_wants_tasks_again(usage))
        usage_read_tasks(usage);
    else
        remove_next(drain, job);
    return true;
}

/* Goes on with the pass until something is under way, or ends it. */
static void step(struct drain *drain)
{
    struct job *job;

    while ((job = next_due(drain)))
        if (step_job(drain, job))
            return;
    end_pass(drain);
}

static void on_known(void *userdata, const char *reason, const char *message)
{
    struct drain *drain = userdata;

    if (reason)
        tell_all(drain, reason, message);
    step(drain);
}

static void start_pass(void *userdata)
{
    struct drain *drain = userdata;
    size_t position = 0;
    void *value;

    if (drain->busy)
        return;
    drain->busy = true;
    drain->woken = drain->user_ended = false;
    drain->asked_server = false;
    drain->lists = 0;
    while (map_next(drain->jobs, &position, NULL, &value))
        ((struct job *) value)->due = true;
    step(drain);
}

/* --- the module ------------------------------------------------------------------------------- */

struct drain *drain_new(uv_loop_t *loop, const struct drain_options *options)
{
    struct drain *drain = xcalloc(1, sizeof(*drain));
    struct usage_options usage = {
        .proc = options->proc,
        .client = options->client,
        .node = options->node,
        .known = on_known,
        .userdata = drain,
    };

    drain->loop = loop;
    drain->options = *options;
    drain->jobs = map_new(job_free);
    drain->usage = usage_new(loop, &usage);
    drain->timer = loop_timer_new(loop, start_pass, drain);
    drain->retry_ms = RETRY_MIN_MS;
    return drain;
}

void drain_free(struct drain *drain)
{
    if (!drain)
        return;
    usage_free(drain->usage);
    loop_timer_free(drain->timer);
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

void drain_pod_gone(struct drain *drain)
{
    size_t position = 0;
    void *value;

    while (map_next(drain->jobs, &position, NULL, &value)) {
        if (((struct job *) value)->pod_uses_it) {
            on_user_ended(drain);
            return;
        }
    }
}

bool drain_is_removing(const struct drain *drain, const char *object)
{
    return drain->removing && strcmp(drain->removing, object) == 0;
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
