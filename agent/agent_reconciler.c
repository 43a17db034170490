// SPDX-License-Identifier: Apache-2.0
#include "agent/agent_reconciler.h"

#include <string.h>

#include "agent/ownership.h"
#include "agent/round.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* Several changes of the kernel's policy come together, our own loads first of all. */
#define DRIFT_DELAY_MS 10
#define DRIFT_INTERVAL_MS 200
/* Every object may be looked at at any time: the builder bounds what costs. */
#define ACTIVE_MAX 100000

/* Labels that the Node has when the agent starts are promises to keep, until they prove empty. */
static void adopt_label(const struct agent_reconciler *reconciler, struct record *record)
{
    if (!reconciler->decided && reconciler->options.label_there &&
        reconciler->options.label_there(reconciler->options.userdata, record->name))
        record->labelled = true;
}

static int refresh(const struct host *host, const struct record *record, struct error *err)
{
    _cleanup_strv_ struct strv names = {0};

    if (record && record->marker)
        ownership_names(record->marker, &names);
    return loaded_refresh(host->loaded, &names, err);
}

static void reconcile(void *userdata, const char *key, struct kube_work *work)
{
    struct agent_reconciler *reconciler = userdata;
    struct source *source = reconciler->options.source;
    struct round *round = round_begin(reconciler, key, work);
    _cleanup_error_ struct error err = {0};
    struct source_meta meta = {0};
    struct record *record = round_record(round);
    enum source_presence presence;

    if (drain_is_removing(reconciler->drain, key)) {
        round_done(round); /* looked at again at its end */
        return;
    }
    presence = source->ops->lookup(source, key, record ? record->marker : NULL, &meta);
    round->judges = source->ops->synced(source) && presence != SOURCE_ASKING;
    if (presence == SOURCE_PRESENT && !meta.deleting)
        record = records_add(reconciler->host->records, key);
    if (record)
        adopt_label(reconciler, record);
    if (refresh(reconciler->host, record, &err) < 0) {
        if (record)
            round_show(round, PROFILE_FAILED, error_reason(&err, REASON_KERNEL_ERROR),
                       error_message(&err));
        round_retry(round);
        return;
    }
    switch (presence) {
    case SOURCE_PRESENT:
        if (meta.deleting)
            round_release(round, false);
        else
            round_want(round, &meta);
        break;
    case SOURCE_DELETED:
        round_release(round, false);
        break;
    case SOURCE_UNKNOWN:
        round_hold(round);
        break;
    case SOURCE_ASKING:
        round_done(round);
        break;
    }
}

/* --- drift --- */

static void check_drift(void *userdata)
{
    struct agent_reconciler *reconciler = userdata;
    const struct host *host = reconciler->host;
    _cleanup_error_ struct error err = {0};
    const struct record *record;
    size_t position = 0;
    bool unknown;

    reconciler->drift_checked_ms = clock_monotonic_ms();
    kernel_settle(host->kernel);
    unknown = loaded_refresh(host->loaded, NULL, &err) < 0;
    if (unknown)
        log_warn("cannot read the kernel's policy", "node", host->node_name, "err",
                 error_message(&err));
    while ((record = records_next(host->records, &position)))
        if (record_depends_on_others(record) ||
            (record->marker && (unknown || !loaded_matches(host->loaded, record->marker))))
            kube_workqueue_add(reconciler->queue, record->name);
}

void agent_reconciler_kernel_changed(struct agent_reconciler *reconciler)
{
    uint64_t next_ms = reconciler->drift_checked_ms + DRIFT_INTERVAL_MS, now = clock_monotonic_ms();

    loaded_invalidate(reconciler->host->loaded);
    if (!loop_timer_active(reconciler->drift_timer))
        loop_timer_start(reconciler->drift_timer,
                         next_ms > now + DRIFT_DELAY_MS ? next_ms - now : DRIFT_DELAY_MS);
}

/* --- the module --- */

static void file_changed(const struct agent_reconciler *reconciler, struct record *record)
{
    if (!record->marker)
        return;
    record->file_changed = true;
    kube_workqueue_add(reconciler->queue, record->name);
}

void agent_reconciler_file_changed(struct agent_reconciler *reconciler, const char *name)
{
    const struct records *records = reconciler->host->records;
    struct record *record = name ? records_get(records, name) : NULL;
    size_t position = 0;

    if (record)
        file_changed(reconciler, record);
    while (!name && (record = records_next(records, &position)))
        file_changed(reconciler, record);
}

void agent_reconciler_other_file_changed(struct agent_reconciler *reconciler)
{
    const struct record *record;
    size_t position = 0;

    while ((record = records_next(reconciler->host->records, &position)))
        if (record->marker && record->marker->adopt)
            kube_workqueue_add(reconciler->queue, record->name);
}

static void learnt_changed(void *userdata, const char *object)
{
    const struct agent_reconciler *reconciler = userdata;

    kube_workqueue_add(reconciler->queue, object);
}

struct agent_reconciler *agent_reconciler_new(const struct agent_reconciler_options *options)
{
    struct agent_reconciler *reconciler = xcalloc(1, sizeof(*reconciler));
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
        .wanted = release_wanted,
        .label_gone = release_label_gone,
        .changed = release_changed,
        .waiting = release_waiting,
        .userdata = reconciler,
    };

    struct learnt_options learnt = {
        .kernel = options->host->kernel,
        .proc = options->proc,
        .records = options->host->records,
        .changed = learnt_changed,
        .userdata = reconciler,
    };

    reconciler->options = *options;
    reconciler->host = options->host;
    reconciler->queue = kube_workqueue_new(options->host->loop, &queue);
    reconciler->drain = drain_new(options->host->loop, &drain);
    reconciler->learnt = learnt_new(options->host->loop, &learnt);
    reconciler->drift_timer = loop_timer_new(options->host->loop, check_drift, reconciler);
    return reconciler;
}

void agent_reconciler_free(struct agent_reconciler *reconciler)
{
    struct round *round;

    if (!reconciler)
        return;
    while ((round = reconciler->rounds)) {
        struct source *source = reconciler->options.source;

        if (round->fetch)
            source->ops->cancel(source, round->fetch);
        install_cancel(round->install);
        round_free(round);
    }
    kube_workqueue_free(reconciler->queue);
    drain_free(reconciler->drain);
    learnt_free(reconciler->learnt);
    loop_timer_free(reconciler->drift_timer);
    free(reconciler);
}

static void on_file(void *userdata, const char *object, struct marker *marker,
                    const struct error *why)
{
    struct agent_reconciler *reconciler = userdata;

    if (!marker) {
        log_warn("left alone", "profile", object, "err", error_message(why));
        return;
    }
    record_set_marker(records_add(reconciler->host->records, object), marker);
    kube_workqueue_add(reconciler->queue, object);
}

int agent_reconciler_start(struct agent_reconciler *reconciler, struct error *err)
{
    return files_each(reconciler->host->files, on_file, reconciler, err);
}

static struct round *find_round(const struct agent_reconciler *reconciler, const char *name)
{
    struct round *round = reconciler->rounds;

    while (round && strcmp(round->key, name) != 0)
        round = round->next;
    return round;
}

/* Work on it that is under way is followed by another round, and may be in vain. */
static void look_at(struct agent_reconciler *reconciler, const char *name)
{
    struct round *round = find_round(reconciler, name);

    kube_workqueue_add(reconciler->queue, name);
    if (round)
        round_reconsider(round);
}

void agent_reconciler_changed(struct agent_reconciler *reconciler, const char *name)
{
    struct source *source = reconciler->options.source;
    struct source_meta meta;

    if (source->ops->lookup(source, name, NULL, &meta) == SOURCE_PRESENT && !meta.deleting)
        records_add(reconciler->host->records, name);
    look_at(reconciler, name);
}

void agent_reconciler_all_changed(struct agent_reconciler *reconciler)
{
    const struct record *record;
    size_t position = 0;

    while ((record = records_next(reconciler->host->records, &position)))
        look_at(reconciler, record->name);
}

void agent_reconciler_labels_changed(struct agent_reconciler *reconciler)
{
    drain_wake(reconciler->drain);
}

void agent_reconciler_pod_gone(struct agent_reconciler *reconciler)
{
    drain_pod_gone(reconciler->drain);
}

bool agent_reconciler_decided(const struct agent_reconciler *reconciler)
{
    const struct source *source = reconciler->options.source;
    const struct record *record;
    size_t position = 0;

    if (reconciler->decided)
        return true;
    if (!source->ops->synced(source))
        return false;
    while ((record = records_next(reconciler->host->records, &position)))
        if (!record->judged)
            return false;
    return true;
}

bool agent_reconciler_idle(const struct agent_reconciler *reconciler)
{
    return !reconciler->rounds && kube_workqueue_depth(reconciler->queue) == 0 &&
           drain_settled(reconciler->drain);
}
