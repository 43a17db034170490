// SPDX-License-Identifier: Apache-2.0
#include "agent/reconcile.h"

#include <errno.h>
#include <string.h>

#include "agent/agent_metrics.h"
#include "agent/install.h"
#include "agent/ownership.h"
#include "agent/report.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/kube/workqueue.h"
#include "lib/policy/selector.h"

/* Several changes of the kernel's policy come together. */
#define DRIFT_DELAY_MS 10
/* How long the kernel may lack what the label promises before the label goes (invariant 1). */
#define LOST_LIMIT_MS 60000
/* A text that took too long or too much will do so again, unless others had kept the node busy. */
#define COSTLY_RETRY_MS (10 * 60 * 1000)
/* Every object may be looked at at any time: the builder bounds what costs. */
#define ACTIVE_MAX 100000
#define OWN_TEXT_MAX (16 * 1024 * 1024)

struct reconciler {
    struct reconciler_options options;
    const struct host *host;
    struct kube_workqueue *queue;
    struct drain *drain;
    struct loop_timer *drift_timer;
    struct task *tasks; /* under way */
    bool decided;
};

/* One round of work on an object. */
struct task {
    struct reconciler *reconciler;
    struct kube_work *work;
    const char *key;
    struct task *next, **place;
    struct source_fetch *fetch;
    struct install *install;
    struct policy_profile *own; /* the policy of our own file, when that is loaded again */
    bool own_is_bad;            /* it cannot be */
    bool wanted;                /* the source has the object and it selects this node */
};

static void evaluate(struct task *task);

/* --- tasks --- */

static struct record *task_record(const struct task *task)
{
    return records_get(task->reconciler->host->records, task->key);
}

static void task_free(struct task *task)
{
    *task->place = task->next;
    if (task->next)
        task->next->place = task->place;
    policy_profile_free(task->own);
    free(task);
}

static void end(struct task *task, enum kube_outcome outcome, uint64_t after_ms)
{
    struct reconciler *reconciler = task->reconciler;
    struct kube_work *work = task->work;

    task_free(task);
    kube_work_done(work, (struct kube_result){.outcome = outcome, .after_ms = after_ms});
    if (!reconciler->decided)
        reconciler->decided = reconciler_decided(reconciler);
    reconciler->options.changed(reconciler->options.userdata);
}

static void done(struct task *task)
{
    end(task, KUBE_DONE, 0);
}

static void retry(struct task *task)
{
    end(task, KUBE_RETRY, 0);
}

static void show(const struct task *task, enum profile_phase phase, const char *reason,
                 const char *message)
{
    report_state(task->reconciler->host, task_record(task), phase, reason, message);
}

/* Whose state may be another once names have changed hands or left the kernel. */
static bool depends_on_others(const struct record *record)
{
    const char *reason = record->state.reason;

    if (record->releasing)
        return true;
    if (record->state.phase == PROFILE_FAILED && reason &&
        (strcmp(reason, REASON_NAME_CONFLICT) == 0 || strcmp(reason, REASON_NOT_OWNED) == 0))
        return true;
    for (size_t i = 0; record->marker && i < record->marker->count; i++)
        if (marker_is_leftover(&record->marker->profiles[i]))
            return true;
    return false;
}

static void look_at_others(struct reconciler *reconciler, const struct record *except)
{
    const struct record *record;
    size_t position = 0;

    while ((record = records_next(reconciler->host->records, &position)))
        if (record != except && depends_on_others(record))
            kube_workqueue_add(reconciler->queue, record->name);
}

/*
 * The label goes only when what it promises has been missing for a minute, whatever failed.
 */
static void check_lost(struct reconciler *reconciler, struct record *record)
{
    uint64_t now = clock_monotonic_ms();

    if (!record->labelled ||
        (record->marker && loaded_present(reconciler->host->loaded, record->marker))) {
        record->lost_ms = 0;
        return;
    }
    if (!record->lost_ms)
        record->lost_ms = now ? now : 1;
    if (now - record->lost_ms >= LOST_LIMIT_MS)
        record->labelled = false;
    else
        kube_workqueue_add_after(reconciler->queue, record->name,
                                 LOST_LIMIT_MS - (now - record->lost_ms));
}

static void fail(const struct task *task, const struct error *err, const char *reason)
{
    check_lost(task->reconciler, task_record(task));
    show(task, PROFILE_FAILED, error_reason(err, reason), error_message(err));
}

/* --- loaded --- */

/* Names that an update no longer has leave by the same rules as those of a deleted object. */
static void drain_leftovers(struct reconciler *reconciler, struct record *record)
{
    const struct host *host = reconciler->host;
    _cleanup_strv_ struct strv names = {0};
    _cleanup_error_ struct error err = {0};
    bool dropped = false;

    for (size_t i = record->marker->count; i-- > 0;) {
        const struct marker_profile *own = &record->marker->profiles[i];

        if (!marker_is_leftover(own))
            continue;
        if (loaded_has(host->loaded, own->name) &&
            !records_holder(host->records, own->name, record))
            strv_add(&names, own->name);
        else
            dropped |= marker_drop(record->marker, own->name);
    }
    if (dropped && files_rewrite(host->files, record->marker, &err) < 0)
        log_warn("cannot update the ownership file", "profile", record->name, "err",
                 error_message(&err));
    if (names.len > 0)
        drain_set(reconciler->drain, record->name, &names, false);
    else
        drain_clear(reconciler->drain, record->name);
}

static void settle(struct task *task)
{
    struct reconciler *reconciler = task->reconciler;
    struct source *source = reconciler->options.source;
    struct record *record = task_record(task);

    record->releasing = false;
    record->labelled = true;
    record->lost_ms = 0;
    record_drop_text(record);
    drain_leftovers(reconciler, record);
    if (task->wanted || !source->ops->synced(source))
        show(task, PROFILE_LOADED, NULL, NULL);
    else
        show(task, PROFILE_LOADED, REASON_ORPHANED,
             "its object is gone though nobody has deleted it: it stays until the object returns");
    done(task);
}

/* --- loading again what our file says --- */

static void count_repair(const struct task *task, enum profile_phase before)
{
    const struct host *host = task->reconciler->host;

    if (before == PROFILE_UNDECIDED)
        return; /* the node has restarted: nobody took it away */
    metrics_add(host->metrics, METRIC_REPAIRS, 1, NULL);
    log_warn("repaired: something else had changed or removed the policy", "profile", task->key,
             "node", host->node_name);
}

/* The file's policy is what the source wants, too. */
static bool own_is_wanted(const struct task *task)
{
    const struct record *record = task_record(task);

    return task->wanted && record->spec &&
           strcmp(record->spec->revision, record->marker->revision) == 0;
}

static void on_restored(void *userdata, enum install_stage stage, const struct error *err)
{
    struct task *task = userdata;
    struct record *record = task_record(task);

    task->install = NULL;
    if (stage == INSTALL_DONE) {
        count_repair(task, record->state.phase);
        if (own_is_wanted(task) || !task->wanted) {
            settle(task);
            return;
        }
        record->lost_ms = 0;
        show(task, record->state.phase, record->state.reason, record->state.message);
        done(task);
    } else if (stage == INSTALL_COMPILE && own_is_wanted(task) &&
               strcmp(error_reason(err, ""), "CompilerUnavailable") != 0) {
        task->own_is_bad = true;
        evaluate(task);
    } else {
        fail(task, err, REASON_LOAD_FAILED);
        retry(task);
    }
}

/* The policy of our own file, if it is still what the record says. */
static int read_own(const struct task *task, struct policy_profile **ret, struct error *err)
{
    const struct record *record = task_record(task);
    _cleanup_(marker_freep) struct marker *marker = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT(OWN_TEXT_MAX);
    int r = files_read(task->reconciler->host->files, task->key, &marker, &text, err);

    if (r < 0)
        return r;
    if (strcmp(marker->revision, record->marker->revision) != 0 ||
        !marker_text_matches(marker, buf_string(&text), text.len))
        return error_set_reason(err, -EBADMSG, REASON_FILE_ERROR,
                                "somebody has changed the policy in its file in %s",
                                files_folder(task->reconciler->host->files));
    *ret = ownership_profile(record->marker);
    (*ret)->text_len = text.len;
    (*ret)->text = buf_take(&text);
    return 0;
}

/* What the kernel had and has lost comes back from our own file, which needs no API server. */
static void restore(struct task *task)
{
    const struct host *host = task->reconciler->host;
    struct record *record = task_record(task);
    _cleanup_error_ struct error err = {0};

    policy_profile_free(task->own);
    task->own = NULL;
    if (read_own(task, &task->own, &err) == 0) {
        task->install = install_start(host, record, task->own, on_restored, task);
    } else if (own_is_wanted(task)) {
        task->own_is_bad = true;
        evaluate(task);
    } else {
        fail(task, &err, REASON_FILE_ERROR);
        retry(task);
    }
}

/* --- loading what the source says --- */

/* `for_ms` 0: for ever. */
static void remember_failure(const struct task *task, uint64_t for_ms)
{
    struct record *record = task_record(task);
    char build[DIGEST_HEX_SIZE];

    ownership_build(builder_compiler(task->reconciler->host->builder), record->spec->revision,
                    build);
    free(record->failed_build);
    record->failed_build = xstrdup(build);
    record->failed_until_ms = for_ms ? clock_monotonic_ms() + for_ms : UINT64_MAX;
    record_drop_text(record);
}

static void compile_failed(struct task *task, const struct error *err)
{
    const char *reason = error_reason(err, "CompileError");
    bool costly = strcmp(reason, "CompileTimeout") == 0 || strcmp(reason, "CompileResources") == 0;

    fail(task, err, "CompileError");
    if (strcmp(reason, "CompilerUnavailable") == 0) {
        retry(task);
        return;
    }
    remember_failure(task, costly ? COSTLY_RETRY_MS : 0);
    if (costly)
        end(task, KUBE_REQUEUE_AFTER, COSTLY_RETRY_MS);
    else
        done(task);
}

static void on_installed(void *userdata, enum install_stage stage, const struct error *err)
{
    static const char *const reasons[] = {
        [INSTALL_FILE] = REASON_FILE_ERROR,
        [INSTALL_LOAD] = REASON_LOAD_FAILED,
        [INSTALL_VERIFY] = REASON_VERIFY_FAILED,
    };
    struct task *task = userdata;

    task->install = NULL;
    switch (stage) {
    case INSTALL_DONE:
        look_at_others(task->reconciler, task_record(task));
        settle(task);
        break;
    case INSTALL_COMPILE:
        compile_failed(task, err);
        break;
    case INSTALL_CLAIM:
        record_drop_text(task_record(task));
        fail(task, err, REASON_NAME_CONFLICT);
        done(task); /* looked at again when the name's owner or the kernel changes */
        break;
    case INSTALL_FILE:
    case INSTALL_LOAD:
    case INSTALL_VERIFY:
        fail(task, err, reasons[stage]);
        retry(task);
        break;
    }
}

static void install(struct task *task)
{
    struct record *record = task_record(task);
    const struct profile_state *state = &record->state;

    /* A retry does not hide the failure that it is about. */
    if (state->phase != PROFILE_FAILED || state->generation != record->spec->generation)
        show(task, PROFILE_PENDING, REASON_COMPILING, NULL);
    task->install = install_start(task->reconciler->host, record, record->spec, on_installed, task);
}

/* --- what the source wants --- */

static void select_node(struct task *task);

static void on_fetched(void *userdata, struct policy_profile *profile, const char *version,
                       const struct error *err)
{
    struct task *task = userdata;
    struct record *record = task_record(task);

    task->fetch = NULL;
    if (profile) {
        record_set_spec(record, profile, version);
        select_node(task);
        return;
    }
    if (err->code == -ENOENT) {
        done(task); /* the source will say so */
        return;
    }
    fail(task, err, err->code == -EINVAL ? REASON_INVALID : REASON_FETCH_FAILED);
    if (err->code == -EINVAL)
        done(task);
    else
        retry(task);
}

static void fetch(struct task *task)
{
    struct source *source = task->reconciler->options.source;

    task->fetch = source->ops->fetch(source, task->key, on_fetched, task);
}

/* The marker records the wanted revision, built by the present compiler, and all names are ours. */
static bool is_current(const struct host *host, const struct record *record, const char *build)
{
    _cleanup_strv_ struct strv names = {0};

    if (!record->marker || strcmp(record->marker->revision, record->spec->revision) != 0)
        return false;
    if (*build && strcmp(record->marker->build, build) != 0)
        return false;
    ownership_names(record->marker, &names);
    return ownership_check(host, record, &names, NULL) == 0;
}

static void refresh_marker(const struct task *task)
{
    const struct host *host = task->reconciler->host;
    struct record *record = task_record(task);
    _cleanup_error_ struct error err = {0};

    if (ownership_refresh(record->marker, record->spec) &&
        files_rewrite(host->files, record->marker, &err) < 0)
        log_warn("cannot update the ownership file", "profile", record->name, "err",
                 error_message(&err));
}

/* The spec cannot be loaded as things are; says why. */
static bool is_blocked(const struct task *task, const char *build)
{
    const struct record *record = task_record(task);
    _cleanup_error_ struct error err = {0};

    if (record->failed_build && strcmp(record->failed_build, build) == 0 &&
        clock_monotonic_ms() < record->failed_until_ms)
        return true;
    if (ownership_check(task->reconciler->host, record, &record->claims, &err) == 0)
        return false;
    fail(task, &err, REASON_NAME_CONFLICT);
    return true;
}

/* Compares what is wanted with files and kernel and does the next thing. */
static void evaluate(struct task *task)
{
    const struct host *host = task->reconciler->host;
    struct record *record = task_record(task);
    bool intact = record->marker && loaded_matches(host->loaded, record->marker);
    char build[DIGEST_HEX_SIZE];

    ownership_build(builder_compiler(host->builder), record->spec->revision, build);
    if (is_current(host, record, build) && !task->own_is_bad) {
        if (intact) {
            refresh_marker(task);
            settle(task);
        } else {
            restore(task);
        }
    } else if (is_blocked(task, build)) {
        if (record->marker && !intact && !task->own_is_bad)
            restore(task);
        else
            done(task);
    } else if (!record->spec->text) {
        fetch(task);
    } else {
        install(task);
    }
}

/* --- what the source does not want --- */

static bool parent_is_held(const struct marker *marker, const char *name)
{
    const char *child = strstr(name, "//");
    _cleanup_free_ char *parent = child ? xstrndup(name, (size_t) (child - name)) : NULL;

    return parent && marker_find(marker, parent);
}

/* What has to leave the kernel; children go with their parents. */
static void held_names(const struct host *host, const struct record *record, struct strv *ret)
{
    for (size_t i = 0; i < record->marker->count; i++) {
        const char *name = record->marker->profiles[i].name;

        if (!parent_is_held(record->marker, name) && loaded_has(host->loaded, name) &&
            !records_holder(host->records, name, record))
            strv_add(ret, name);
    }
}

static void forget(struct task *task, bool present)
{
    struct reconciler *reconciler = task->reconciler;
    struct record *record = task_record(task);

    bool shown = profile_phase_is_shown(record->state.phase);

    drain_clear(reconciler->drain, task->key);
    report_gone(reconciler->host, record);
    if (present) {
        record->releasing = false;
        record_set_marker(record, NULL);
        show(task, PROFILE_UNSELECTED, NULL, NULL);
    } else {
        records_remove(reconciler->host->records, task->key);
        reconciler->options.source->ops->forget(reconciler->options.source, task->key);
    }
    if (shown)
        look_at_others(reconciler, NULL);
    done(task);
}

/* Deleted, or does not select this node (`present`). */
static void release(struct task *task, bool present)
{
    struct reconciler *reconciler = task->reconciler;
    struct record *record = task_record(task);
    _cleanup_strv_ struct strv names = {0};
    _cleanup_error_ struct error err = {0};
    bool first;

    if (!record) {
        reconciler->options.source->ops->forget(reconciler->options.source, task->key);
        done(task);
        return;
    }
    first = !record->releasing;
    record->releasing = true;
    record->labelled = false;
    strv_done(&record->claims);
    record_drop_text(record);
    if (!record->marker) {
        forget(task, present);
        return;
    }
    held_names(reconciler->host, record, &names);
    if (names.len > 0) {
        if (record->state.phase != PROFILE_DRAINING)
            show(task, PROFILE_DRAINING, REASON_REMOVING, NULL);
        drain_set(reconciler->drain, task->key, &names, true);
        if (first)
            look_at_others(reconciler, record);
        done(task);
    } else if (files_remove(reconciler->host->files, task->key, &err) < 0) {
        show(task, PROFILE_DRAINING, REASON_REMOVE_FAILED, error_message(&err));
        retry(task);
    } else {
        forget(task, present);
    }
}

/* Nothing is known of its object: what is loaded stays loaded. */
static void hold(struct task *task)
{
    struct record *record = task_record(task);

    if (!record)
        done(task);
    else if (!record->marker)
        forget(task, false);
    else if (loaded_matches(task->reconciler->host->loaded, record->marker))
        settle(task);
    else
        restore(task);
}

/* --- the beginning of each round --- */

static void select_node(struct task *task)
{
    struct source *source = task->reconciler->options.source;
    struct record *record = task_record(task);

    if (!policy_selector_matches(record->spec->selector, source->ops->node_labels(source))) {
        release(task, true);
        return;
    }
    record->releasing = false;
    task->wanted = true;
    evaluate(task);
}

/* Labels that the Node has when the agent starts are promises to keep, until they prove empty. */
static void adopt_label(const struct reconciler *reconciler, struct record *record)
{
    if (!reconciler->decided && reconciler->options.label_there &&
        reconciler->options.label_there(reconciler->options.userdata, record->name))
        record->labelled = true;
}

static void want(struct task *task, const struct source_meta *meta)
{
    struct record *record = records_add(task->reconciler->host->records, task->key);
    const struct marker *marker = record->marker;

    adopt_label(task->reconciler, record);
    if (record->spec && strcmp(record->version, meta->version) == 0) {
        select_node(task);
    } else if (marker && *meta->uid && strcmp(marker->uid, meta->uid) == 0 &&
               marker->generation == meta->generation) {
        /* Our own file says what this generation's spec is: an unchanged node reads nothing. */
        record_set_spec(record, ownership_profile(marker), meta->version);
        select_node(task);
    } else {
        fetch(task);
    }
}

static void reconcile(void *userdata, const char *key, struct kube_work *work)
{
    struct reconciler *reconciler = userdata;
    struct source *source = reconciler->options.source;
    struct task *task = xcalloc(1, sizeof(*task));
    _cleanup_error_ struct error err = {0};
    struct source_meta meta = {0};
    struct record *record;

    *task = (struct task){.reconciler = reconciler, .key = key, .work = work};
    task->next = reconciler->tasks;
    task->place = &reconciler->tasks;
    if (task->next)
        task->next->place = &task->next;
    reconciler->tasks = task;

    record = task_record(task);
    if (loaded_refresh(reconciler->host->loaded, &err) < 0) {
        if (record)
            show(task, PROFILE_FAILED, error_reason(&err, REASON_KERNEL_ERROR),
                 error_message(&err));
        retry(task);
        return;
    }
    switch (source->ops->lookup(source, key, record ? record->marker : NULL, &meta)) {
    case SOURCE_PRESENT:
        if (meta.deleting)
            release(task, false);
        else
            want(task, &meta);
        break;
    case SOURCE_DELETED:
        release(task, false);
        break;
    case SOURCE_UNKNOWN:
        hold(task);
        break;
    case SOURCE_ASKING:
        done(task);
        break;
    }
}

/* --- removals --- */

static bool removal_wanted(void *userdata, const char *object, const struct strv *names)
{
    const struct reconciler *reconciler = userdata;
    const struct record *record = records_get(reconciler->host->records, object);

    for (size_t i = 0; i < names->len; i++) {
        const struct marker_profile *own =
            record ? marker_find(record->marker, names->items[i]) : NULL;

        if (!own || !(record->releasing || marker_is_leftover(own)) ||
            records_holder(reconciler->host->records, names->items[i], record))
            return false;
    }
    return true;
}

static bool label_gone(void *userdata, const char *object)
{
    const struct reconciler *reconciler = userdata;

    return !reconciler->options.label_gone ||
           reconciler->options.label_gone(reconciler->options.userdata, object);
}

static void on_removed(void *userdata, const char *object)
{
    struct reconciler *reconciler = userdata;

    loaded_invalidate(reconciler->host->loaded);
    kube_workqueue_add(reconciler->queue, object);
}

static void on_waiting(void *userdata, const char *object, const char *reason, const char *message)
{
    struct reconciler *reconciler = userdata;
    struct record *record = records_get(reconciler->host->records, object);

    if (record && record->releasing)
        report_state(reconciler->host, record, PROFILE_DRAINING, reason, message);
    else
        log_debug("an earlier revision's profile stays", "profile", object, "reason", reason,
                  "detail", message);
    reconciler->options.changed(reconciler->options.userdata);
}

/* --- drift --- */

static void check_drift(void *userdata)
{
    struct reconciler *reconciler = userdata;
    const struct host *host = reconciler->host;
    _cleanup_error_ struct error err = {0};
    const struct record *record;
    size_t position = 0;

    if (loaded_refresh(host->loaded, &err) < 0)
        log_warn("cannot read the kernel's policy", "node", host->node_name, "err",
                 error_message(&err));
    while ((record = records_next(host->records, &position)))
        if (depends_on_others(record) ||
            (record->marker && !loaded_matches(host->loaded, record->marker)))
            kube_workqueue_add(reconciler->queue, record->name);
}

void reconciler_kernel_changed(struct reconciler *reconciler)
{
    loaded_invalidate(reconciler->host->loaded);
    if (!loop_timer_active(reconciler->drift_timer))
        loop_timer_start(reconciler->drift_timer, DRIFT_DELAY_MS);
}

/* --- the module --- */

struct reconciler *reconciler_new(const struct reconciler_options *options)
{
    struct reconciler *reconciler = xcalloc(1, sizeof(*reconciler));
    struct kube_workqueue_options queue = {
        .max_active = ACTIVE_MAX,
        .reconcile = reconcile,
        .userdata = reconciler,
    };
    struct drain_options drain = {
        .kernel = options->host->kernel,
        .proc = options->proc,
        .client = options->client,
        .node = options->host->node_name,
        .metrics = options->host->metrics,
        .wanted = removal_wanted,
        .label_gone = label_gone,
        .removed = on_removed,
        .waiting = on_waiting,
        .userdata = reconciler,
    };

    reconciler->options = *options;
    reconciler->host = options->host;
    reconciler->queue = kube_workqueue_new(options->host->loop, &queue);
    reconciler->drain = drain_new(options->host->loop, &drain);
    reconciler->drift_timer = loop_timer_new(options->host->loop, check_drift, reconciler);
    return reconciler;
}

void reconciler_free(struct reconciler *reconciler)
{
    struct task *task;

    if (!reconciler)
        return;
    while ((task = reconciler->tasks)) {
        struct source *source = reconciler->options.source;

        if (task->fetch)
            source->ops->cancel(source, task->fetch);
        install_cancel(task->install);
        task_free(task);
    }
    kube_workqueue_free(reconciler->queue);
    drain_free(reconciler->drain);
    loop_timer_free(reconciler->drift_timer);
    free(reconciler);
}

static void on_file(void *userdata, const char *object, struct marker *marker,
                    const struct error *why)
{
    struct reconciler *reconciler = userdata;

    if (!marker) {
        log_warn("left alone", "profile", object, "err", error_message(why));
        return;
    }
    record_set_marker(records_add(reconciler->host->records, object), marker);
    kube_workqueue_add(reconciler->queue, object);
}

int reconciler_start(struct reconciler *reconciler, struct error *err)
{
    return files_each(reconciler->host->files, on_file, reconciler, err);
}

void reconciler_changed(struct reconciler *reconciler, const char *name)
{
    struct source *source = reconciler->options.source;
    struct source_meta meta;

    if (source->ops->lookup(source, name, NULL, &meta) == SOURCE_PRESENT && !meta.deleting)
        records_add(reconciler->host->records, name);
    kube_workqueue_add(reconciler->queue, name);
}

void reconciler_all_changed(struct reconciler *reconciler)
{
    const struct record *record;
    size_t position = 0;

    while ((record = records_next(reconciler->host->records, &position)))
        kube_workqueue_add(reconciler->queue, record->name);
}

void reconciler_labels_changed(struct reconciler *reconciler)
{
    drain_wake(reconciler->drain);
}

bool reconciler_decided(const struct reconciler *reconciler)
{
    const struct source *source = reconciler->options.source;
    const struct record *record;
    size_t position = 0;

    if (reconciler->decided)
        return true;
    if (!source->ops->synced(source))
        return false;
    while ((record = records_next(reconciler->host->records, &position)))
        if (record->state.phase == PROFILE_UNDECIDED)
            return false;
    return true;
}

bool reconciler_idle(const struct reconciler *reconciler)
{
    return !reconciler->tasks && kube_workqueue_depth(reconciler->queue) == 0 &&
           drain_settled(reconciler->drain);
}
