// SPDX-License-Identifier: Apache-2.0
#include "agent/round.h"

#include <string.h>

#include "agent/report.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* While the reason that a profile waits for stays the same, its details are told this often. */
#define WAITING_NEWS_MS 60000

/* The kernel has it from this record alone. */
static bool is_held(const struct host *host, const struct record *record, const char *name)
{
    return marker_find(record->marker, name) && loaded_has(host->loaded, name) &&
           !records_holder(host->records, name, record);
}

static bool goes_with_parent(const struct host *host, const struct record *record, const char *name)
{
    const char *child = strstr(name, "//");
    _cleanup_free_ char *parent = child ? xstrndup(name, (size_t) (child - name)) : NULL;

    return parent && is_held(host, record, parent);
}

/* What has to leave the kernel; children go with their parents. */
static void held_names(const struct host *host, const struct record *record, struct strv *ret)
{
    for (size_t i = 0; i < record->marker->count; i++) {
        const char *name = record->marker->profiles[i].name;

        if (is_held(host, record, name) && !goes_with_parent(host, record, name))
            strv_add(ret, name);
    }
}

static void forget(struct round *round, bool present)
{
    struct agent_reconciler *reconciler = round->reconciler;
    struct record *record = round_record(round);

    bool shown = profile_phase_is_shown(record->state.phase);

    drain_clear(reconciler->drain, round->key);
    report_gone(reconciler->host, record);
    if (present) {
        record->releasing = false;
        record_set_marker(record, NULL);
        round_show(round, PROFILE_UNSELECTED, NULL, NULL);
    } else {
        records_remove(reconciler->host->records, round->key);
        reconciler->options.source->ops->forget(reconciler->options.source, round->key);
    }
    if (shown)
        round_wake_others(reconciler, NULL);
    round_done(round);
}

static bool was_stuck(const struct record *record)
{
    return record->state.reason && strcmp(record->state.reason, REASON_KERNEL_STUCK) == 0;
}

/* Deleted, or does not select this node (`present`). */
void round_release(struct round *round, bool present)
{
    struct agent_reconciler *reconciler = round->reconciler;
    struct record *record = round_record(round);
    _cleanup_strv_ struct strv names = {0};
    _cleanup_error_ struct error err = {0};
    bool first;

    if (!record) {
        reconciler->options.source->ops->forget(reconciler->options.source, round->key);
        round_done(round);
        return;
    }
    first = !record->releasing;
    if (first)
        record->announce = record->judged && record->state.phase == PROFILE_LOADED;
    record->releasing = true;
    record->labelled = false;
    strv_done(&record->claims);
    record_drop_text(record);
    if (!record->marker) {
        forget(round, present);
        return;
    }
    held_names(reconciler->host, record, &names);
    if (names.len > 0) {
        if (record->state.phase != PROFILE_DRAINING || was_stuck(record))
            round_show(round, PROFILE_DRAINING, REASON_REMOVING, NULL);
        drain_set(reconciler->drain, round->key, &names, true);
        if (first)
            round_wake_others(reconciler, record);
        round_done(round);
    } else if (kernel_stuck(reconciler->host->kernel)) {
        /* What was given up may still be loaded, and is to be ours then. */
        round_show(
            round, PROFILE_DRAINING, REASON_KERNEL_STUCK,
            "the kernel's policy lock is stuck, and a load that waits for it may yet happen");
        round_retry(round);
    } else if (files_remove(reconciler->host->files, round->key, &err) < 0) {
        round_show(round, PROFILE_DRAINING, REASON_REMOVE_FAILED, error_message(&err));
        round_retry(round);
    } else {
        forget(round, present);
    }
}

/* Nothing is known of its object: what is loaded stays loaded. */
void round_hold(struct round *round)
{
    struct record *record = round_record(round);

    if (!record)
        round_done(round);
    else if (!record->marker)
        forget(round, false);
    else if (loaded_matches(round->reconciler->host->loaded, record->marker))
        round_settle(round);
    else
        round_restore(round);
}

/* --- what the drain asks and says --- */

bool release_wanted(void *userdata, const char *object, const struct strv *names)
{
    const struct agent_reconciler *reconciler = userdata;
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

bool release_label_gone(void *userdata, const char *object)
{
    const struct agent_reconciler *reconciler = userdata;

    return !reconciler->options.label_gone ||
           reconciler->options.label_gone(reconciler->options.userdata, object);
}

void release_changed(void *userdata, const char *object)
{
    struct agent_reconciler *reconciler = userdata;

    loaded_invalidate(reconciler->host->loaded);
    kube_workqueue_add(reconciler->queue, object);
}

/*
 * Which process it is, and how many there are, may be another each time, and each time would be a
 * write to the API server.
 */
static bool is_news(struct record *record, const char *reason)
{
    const struct profile_state *state = &record->state;
    uint64_t now = clock_monotonic_ms();

    if (state->phase == PROFILE_DRAINING && state->reason && strcmp(state->reason, reason) == 0 &&
        now - record->told_ms < WAITING_NEWS_MS)
        return false;
    record->told_ms = now;
    return true;
}

/* Once, and not what another agent of this node has told. */
static void announce(const struct host *host, struct record *record, const char *reason,
                     const char *message)
{
    if (!record->announce || strcmp(reason, REASON_IN_USE) != 0)
        return;
    record->announce = false;
    profile_events_in_use(host->events, record, message);
}

void release_waiting(void *userdata, const char *object, const char *reason, const char *message)
{
    struct agent_reconciler *reconciler = userdata;
    struct record *record = records_get(reconciler->host->records, object);

    if (record && record->releasing && is_news(record, reason)) {
        announce(reconciler->host, record, reason, message);
        report_state(reconciler->host, record, PROFILE_DRAINING, reason, message);
    } else if (!record || !record->releasing)
        log_debug("an earlier revision's profile stays", "profile", object, "reason", reason,
                  "detail", message);
    reconciler->options.changed(reconciler->options.userdata);
}
