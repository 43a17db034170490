// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/operator.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"

#define GRACE_MS 10000
/* For Events that wait at the end. */
#define FLUSH_MS 3000

enum state {
    STATE_IDLE,
    STATE_RUNNING,  /* it works, or waits until it may */
    STATE_DRAINING, /* nothing new begins; `timer` is the limit for what is under way */
    STATE_CLOSING,  /* the Lease and Events */
    STATE_OVER,
};

/* A collection that is followed. */
struct source {
    STAILQ_ENTRY(source) link;
    struct kube_operator *op;
    struct kube_informer *informer;
    kube_map_fn map; /* NULL: the operator's own objects */
};

struct operation {
    LIST_ENTRY(operation) link;
    struct kube_operation shown;
    struct kube_operator *op;
    struct kube_work *work; /* NULL: its queue is gone */
    char *key, *ns;
};

struct kube_operator {
    struct kube_client *client;
    struct kube_operator_options options;
    STAILQ_HEAD(, source) sources;
    struct kube_workqueue *queue; /* while it works */
    LIST_HEAD(, operation) operations;
    struct kube_lease *lease;
    struct kube_recorder *recorder;
    struct loop_timer *timer;
    enum state state;
    unsigned closing;    /* parts that have not closed yet */
    struct error result; /* of the whole */
    void (*ended)(void *userdata, const struct error *err);
    void *ended_userdata;
    unsigned busy; /* a hook is on the stack */
    bool freed;
};

/* --- hooks, each of which may free the operator -----------------------------------------------
 */

static void destroy(struct kube_operator *op)
{
    struct source *source;

    while ((source = STAILQ_FIRST(&op->sources))) {
        STAILQ_REMOVE_HEAD(&op->sources, link);
        free(source);
    }
    error_done(&op->result);
    free((char *) op->options.field_manager);
    free(op);
}

static void enter(struct kube_operator *op)
{
    op->busy++;
}

/* False when the operator is no more. */
static bool leave(struct kube_operator *op)
{
    if (--op->busy > 0 || !op->freed)
        return !op->freed;
    destroy(op);
    return false;
}

static bool tell(struct kube_operator *op, const char *key, const struct error *err)
{
    enter(op);
    if (op->options.failed)
        op->options.failed(op->options.userdata, key, err);
    return leave(op);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* The last thing that is done to the operator: it may be freed. */
static void finish(struct kube_operator *op)
{
    _cleanup_error_ struct error result = {0};

    if (op->state == STATE_OVER)
        return;
    op->state = STATE_OVER;
    error_move(&result, &op->result);
    op->ended(op->ended_userdata, &result);
}

static void stop_work(struct kube_operator *op)
{
    struct operation *operation;

    kube_workqueue_free(TAKE_PTR(op->queue));
    LIST_FOREACH(operation, &op->operations, link)
    {
        operation->work = NULL;
    }
}

static void part_closed(struct kube_operator *op)
{
    if (--op->closing == 0)
        finish(op);
}

static void on_flushed(void *userdata, uint64_t left)
{
    struct kube_operator *op = userdata;
    _cleanup_error_ struct error err = {0};

    if (left > 0) {
        error_set(&err, -ETIMEDOUT, "%" PRIu64 " Events were not written at the end", left);
        if (!tell(op, NULL, &err))
            return;
    }
    part_closed(op);
}

static void on_released(void *userdata, const struct error *err)
{
    struct kube_operator *op = userdata;

    if (err->code != 0 && !tell(op, NULL, err))
        return;
    part_closed(op);
}

static void close_parts(struct kube_operator *op)
{
    op->state = STATE_CLOSING;
    op->closing = 1;
    if (op->recorder) {
        op->closing++;
        kube_recorder_flush(op->recorder, FLUSH_MS, on_flushed, op);
    }
    /* Nobody may lead while something is still under way here: then it has to expire. */
    if (op->lease && LIST_EMPTY(&op->operations)) {
        op->closing++;
        kube_lease_release(op->lease, on_released, op);
    }
    /* So that the end comes from the loop in any case. */
    loop_timer_start(op->timer, 0);
}

static void on_timer(void *userdata)
{
    struct kube_operator *op = userdata;
    const struct operation *operation = LIST_FIRST(&op->operations);

    if (op->state == STATE_CLOSING) {
        part_closed(op);
        return;
    }
    error_set(&op->result, -ETIMEDOUT, "the work on %s has not ended within %" PRIu64 " ms",
              operation->key, op->options.grace_ms);
    close_parts(op);
}

void kube_operator_stop(struct kube_operator *op)
{
    if (op->state != STATE_RUNNING)
        return;
    op->state = STATE_DRAINING;
    stop_work(op);
    if (LIST_EMPTY(&op->operations))
        close_parts(op);
    else
        loop_timer_start(op->timer, op->options.grace_ms);
}

/* --- operations --------------------------------------------------------------------------------
 */

bool kube_operator_active(const struct kube_operator *op)
{
    return (op->queue || op->state == STATE_DRAINING) &&
           (!op->lease || kube_lease_is_leader(op->lease));
}

static void operation_free(struct operation *operation)
{
    LIST_REMOVE(operation, link);
    kube_object_unref(operation->shown.object);
    free(operation->key);
    free(operation->ns);
    free(operation);
}

static void end_operation(struct operation *operation, struct kube_result result)
{
    struct kube_operator *op = operation->op;

    if (operation->work)
        kube_work_done(operation->work, result);
    operation_free(operation);
    if (op->state == STATE_DRAINING && LIST_EMPTY(&op->operations))
        close_parts(op);
}

void kube_operation_done(struct kube_operation *operation)
{
    end_operation(container_of(operation, struct operation, shown),
                  (struct kube_result){.outcome = KUBE_DONE});
}

void kube_operation_again(struct kube_operation *operation, uint64_t after_ms)
{
    end_operation(container_of(operation, struct operation, shown),
                  (struct kube_result){.outcome = KUBE_REQUEUE_AFTER, .after_ms = after_ms});
}

static void retry(struct operation *operation)
{
    end_operation(operation, (struct kube_result){.outcome = KUBE_RETRY});
}

void kube_operation_failed(struct kube_operation *failed, const struct error *err)
{
    struct operation *operation = container_of(failed, struct operation, shown);
    struct kube_operator *op = operation->op;
    _cleanup_free_ char *key = xstrdup(operation->key);

    retry(operation);
    (void) tell(op, key, err);
}

void kube_operation_answered(void *operation, struct kube_object *object, const struct error *err)
{
    struct kube_operation *answered = operation;

    (void) object;
    if (err->code == 0 || kube_error_is_not_found(err))
        kube_operation_done(answered);
    else if (kube_error_is_conflict(err))
        retry(container_of(answered, struct operation, shown));
    else
        kube_operation_failed(answered, err);
}

void kube_operation_patch(struct kube_operation *operation, const char *subresource,
                          const cJSON *patch)
{
    const struct kube_operator *op = container_of(operation, struct operation, shown)->op;
    const struct kube_write_options write = {.field_manager = op->options.field_manager};

    kube_patch(op->client, op->options.objects.resource, operation->ns, operation->name,
               subresource, KUBE_PATCH_MERGE, patch, &write, kube_operation_answered, operation);
}

static struct operation *operation_new(struct kube_operator *op, const char *key,
                                       struct kube_work *work)
{
    struct operation *operation = xcalloc(1, sizeof(*operation));
    const char *slash = strchr(key, '/');

    operation->op = op;
    operation->work = work;
    operation->key = xstrdup(key);
    if (slash)
        operation->ns = xstrndup(key, (size_t) (slash - key));
    operation->shown.client = op->client;
    operation->shown.key = operation->key;
    operation->shown.ns = operation->ns;
    operation->shown.name = slash ? operation->key + (slash - key) + 1 : operation->key;
    operation->shown.object =
        kube_object_ref(kube_informer_get(STAILQ_FIRST(&op->sources)->informer, operation->shown.ns,
                                          operation->shown.name));
    LIST_INSERT_HEAD(&op->operations, operation, link);
    return operation;
}

static void on_work(void *userdata, const char *key, struct kube_work *work)
{
    struct kube_operator *op = userdata;

    /* The clock knows it before the loop: lost() is about to come. */
    if (!kube_operator_active(op)) {
        kube_work_done(work, (struct kube_result){.outcome = KUBE_RETRY});
        return;
    }
    op->options.reconcile(op->options.userdata, &operation_new(op, key, work)->shown);
}

/* --- what there is to do -----------------------------------------------------------------------
 */

void kube_operator_enqueue(struct kube_operator *op, const char *ns, const char *name)
{
    _cleanup_free_ char *key = ns && *ns ? xasprintf("%s/%s", ns, name) : xstrdup(name);

    if (op->queue)
        kube_workqueue_add(op->queue, key);
}

static void on_object(void *userdata, struct kube_object *object)
{
    const struct source *source = userdata;
    struct kube_operator *op = source->op;

    if (!op->queue)
        return;
    if (source->map)
        source->map(op->options.userdata, op, object);
    else
        kube_operator_enqueue(op, kube_object_namespace(object), kube_object_name(object));
}

static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    on_object(userdata, old);
    on_object(userdata, object);
}

static void on_deleted(void *userdata, struct kube_object *last, enum kube_delete_cause cause)
{
    (void) cause;
    on_object(userdata, last);
}

static bool knows_all(const struct kube_operator *op)
{
    const struct source *source;

    STAILQ_FOREACH(source, &op->sources, link)
    {
        if (!kube_informer_synced(source->informer))
            return false;
    }
    return true;
}

static void begin_when_ready(struct kube_operator *op)
{
    const struct kube_workqueue_options queue = {
        .base_delay_ms = op->options.base_delay_ms,
        .max_delay_ms = op->options.max_delay_ms,
        .max_active = op->options.max_active,
        .reconcile = on_work,
        .userdata = op,
    };
    struct source *source;

    if (op->state != STATE_RUNNING || op->queue || !knows_all(op) ||
        (op->lease && !kube_lease_is_leader(op->lease)))
        return;
    op->queue = kube_workqueue_new(kube_client_loop(op->client), &queue);
    STAILQ_FOREACH(source, &op->sources, link)
    {
        kube_informer_each(source->informer, on_object, source);
    }
    /* A map may have stopped it. */
    if (op->queue && op->options.began)
        op->options.began(op->options.userdata);
}

static void on_synced(void *userdata)
{
    begin_when_ready(((const struct source *) userdata)->op);
}

static void on_informer_failed(void *userdata, const struct error *err)
{
    (void) tell(((const struct source *) userdata)->op, NULL, err);
}

static const struct kube_informer *add_source(struct kube_operator *op,
                                              const struct kube_informer_options *what,
                                              kube_map_fn map)
{
    struct source *source = xcalloc(1, sizeof(*source));
    const struct kube_handler handler = {
        .added = on_object,
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = on_synced,
        .failed = on_informer_failed,
        .userdata = source,
    };

    source->op = op;
    source->map = map;
    source->informer = kube_informer_new(op->client, what);
    kube_informer_add_handler(source->informer, &handler);
    STAILQ_INSERT_TAIL(&op->sources, source, link);
    return source->informer;
}

const struct kube_informer *kube_operator_follow(struct kube_operator *op,
                                                 const struct kube_informer_options *what,
                                                 kube_map_fn map)
{
    assert(op->state == STATE_IDLE && map);
    return add_source(op, what, map);
}

const struct kube_informer *kube_operator_objects(const struct kube_operator *op)
{
    return STAILQ_FIRST(&op->sources)->informer;
}

/* --- the Lease ---------------------------------------------------------------------------------
 */

static void on_acquired(void *userdata)
{
    struct kube_operator *op = userdata;
    const struct kube_lease_options *lease = &op->options.lease;

    enter(op);
    if (lease->acquired)
        lease->acquired(lease->userdata);
    if (leave(op))
        begin_when_ready(op);
}

static void on_lost(void *userdata, const struct error *err)
{
    struct kube_operator *op = userdata;
    const struct kube_lease_options *lease = &op->options.lease;

    enter(op);
    if (lease->lost)
        lease->lost(lease->userdata, err);
    if (!leave(op))
        return;
    stop_work(op);
    loop_timer_stop(op->timer);
    kube_lease_free(TAKE_PTR(op->lease));
    error_copy(&op->result, err);
    finish(op);
}

static void on_observed(void *userdata, const char *holder)
{
    const struct kube_lease_options *lease =
        &((const struct kube_operator *) userdata)->options.lease;

    if (lease->observed)
        lease->observed(lease->userdata, holder);
}

static void on_lease_failed(void *userdata, const struct error *err)
{
    struct kube_operator *op = userdata;
    const struct kube_lease_options *lease = &op->options.lease;

    enter(op);
    if (lease->failed)
        lease->failed(lease->userdata, err);
    if (leave(op))
        (void) tell(op, NULL, err);
}

static int make_lease(struct kube_operator *op, struct error *err)
{
    struct kube_lease_options lease = op->options.lease;

    if (!lease.ns)
        lease.ns = kube_config_namespace(kube_client_config(op->client));
    lease.acquired = on_acquired;
    lease.lost = on_lost;
    lease.observed = on_observed;
    lease.failed = on_lease_failed;
    lease.userdata = op;
    return kube_lease_new(op->client, &lease, &op->lease, err);
}

/* --- life --------------------------------------------------------------------------------------
 */

int kube_operator_new(struct kube_client *client, const struct kube_operator_options *options,
                      struct kube_operator **ret, struct error *err)
{
    _cleanup_(kube_operator_freep) struct kube_operator *op = xcalloc(1, sizeof(*op));
    int r;

    assert(options->reconcile);
    op->client = client;
    op->options = *options;
    op->options.field_manager = xstrdup(options->field_manager);
    if (!op->options.grace_ms)
        op->options.grace_ms = GRACE_MS;
    STAILQ_INIT(&op->sources);
    LIST_INIT(&op->operations);
    op->timer = loop_timer_new(kube_client_loop(client), on_timer, op);
    if (options->lease.name) {
        r = make_lease(op, err);
        if (r < 0)
            return r;
    }
    (void) add_source(op, &options->objects, NULL);
    if (options->events.component)
        op->recorder = kube_recorder_new(client, &options->events);
    *ret = TAKE_PTR(op);
    return 0;
}

void kube_operator_free(struct kube_operator *op)
{
    struct operation *operation;
    struct source *source;

    if (!op)
        return;
    op->freed = true;
    stop_work(op);
    while ((operation = LIST_FIRST(&op->operations)))
        operation_free(operation);
    STAILQ_FOREACH(source, &op->sources, link)
    {
        kube_informer_free(TAKE_PTR(source->informer));
    }
    kube_lease_free(TAKE_PTR(op->lease));
    kube_recorder_free(TAKE_PTR(op->recorder));
    loop_timer_free(TAKE_PTR(op->timer));
    if (op->busy == 0)
        destroy(op);
}

void kube_operator_start(struct kube_operator *op,
                         void (*ended)(void *userdata, const struct error *err), void *userdata)
{
    struct source *source;

    assert(op->state == STATE_IDLE);
    op->state = STATE_RUNNING;
    op->ended = ended;
    op->ended_userdata = userdata;
    STAILQ_FOREACH(source, &op->sources, link)
    {
        kube_informer_start(source->informer);
    }
    if (op->lease)
        kube_lease_start(op->lease);
}

struct run {
    struct kube_operator *op;
    uv_loop_t *loop;
    bool over;
    struct error result;
};

static void on_ended(void *userdata, const struct error *err)
{
    struct run *run = userdata;

    run->over = true;
    error_copy(&run->result, err);
    uv_stop(run->loop);
}

static void on_signal(void *userdata, int number)
{
    struct run *run = userdata;

    (void) number;
    if (run->op->state == STATE_RUNNING)
        kube_operator_stop(run->op);
    else
        uv_stop(run->loop);
}

int kube_operator_run(struct kube_operator *op, struct error *err)
{
    struct run run = {.op = op, .loop = kube_client_loop(op->client)};
    struct loop_signals *signals = loop_signals_new(run.loop, on_signal, &run);

    kube_operator_start(op, on_ended, &run);
    uv_run(run.loop, UV_RUN_DEFAULT);
    loop_signals_free(signals);
    if (!run.over) {
        stop_work(op);
        op->state = STATE_OVER;
        error_set(&run.result, -EINTR, "ended at once, and not in order");
    }
    return run.result.code != 0 ? error_move(err, &run.result) : 0;
}

const struct kube_lease *kube_operator_lease(const struct kube_operator *op)
{
    return op->lease;
}

struct kube_recorder *kube_operator_recorder(const struct kube_operator *op)
{
    return op->recorder;
}

size_t kube_operator_depth(const struct kube_operator *op)
{
    return op->queue ? kube_workqueue_depth(op->queue) : 0;
}
