// SPDX-License-Identifier: Apache-2.0
#include "agent/round.h"

#include <string.h>

#include "agent/report.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

/* How long the kernel may lack what the label promises before the label goes (invariant 1). */
#define LOST_LIMIT_MS 60000
/* A missing compiler is looked for this often, and its coming shall show. */
#define COMPILER_RETRY_MS 10000

struct record *round_record(const struct round *round)
{
    return records_get(round->reconciler->host->records, round->key);
}

struct round *round_begin(struct agent_reconciler *reconciler, const char *key,
                          struct kube_work *work)
{
    struct round *round = xcalloc(1, sizeof(*round));

    round->reconciler = reconciler;
    round->key = key;
    round->work = work;
    round->next = reconciler->rounds;
    round->place = &reconciler->rounds;
    if (round->next)
        round->next->place = &round->next;
    reconciler->rounds = round;
    return round;
}

void round_free(struct round *round)
{
    *round->place = round->next;
    if (round->next)
        round->next->place = round->place;
    policy_profile_free(round->own);
    free(round);
}

static void judge(const struct round *round)
{
    struct record *record = round_record(round);

    if (record && round->judges)
        record->judged = true;
}

/* Once, when each profile that the node had or should have has been looked at. */
static void decide(struct agent_reconciler *reconciler)
{
    const struct records *records = reconciler->host->records;
    const struct record *record;
    unsigned loaded = 0;
    size_t position = 0;

    if (!agent_reconciler_decided(reconciler))
        return;
    reconciler->decided = true;
    while ((record = records_next(records, &position)))
        loaded += record->state.phase == PROFILE_LOADED;
    learnt_wake(reconciler->learnt);
    _cleanup_free_ char *count = xasprintf("%u", loaded);
    log_info("every profile has been looked at", "node", reconciler->host->node_name, "loaded",
             count);
}

void round_end(struct round *round, enum kube_outcome outcome, uint64_t after_ms)
{
    struct agent_reconciler *reconciler = round->reconciler;
    struct kube_work *work = round->work;

    judge(round);
    round_free(round);
    kube_work_done(work, (struct kube_result){.outcome = outcome, .after_ms = after_ms});
    if (!reconciler->decided)
        decide(reconciler);
    reconciler->options.changed(reconciler->options.userdata);
}

void round_done(struct round *round)
{
    round_end(round, KUBE_DONE, 0);
}

void round_retry(struct round *round)
{
    round_end(round, KUBE_RETRY, 0);
}

void round_retry_after(struct round *round, const struct error *err)
{
    const char *reason = error_reason(err, "");

    if (strcmp(reason, "CompilerUnavailable") == 0)
        round_end(round, KUBE_REQUEUE_AFTER, COMPILER_RETRY_MS);
    else
        round_retry(round);
}

void round_show(const struct round *round, enum profile_phase phase, const char *reason,
                const char *message)
{
    judge(round);
    report_state(round->reconciler->host, round_record(round), phase, reason, message);
}

void round_wake_others(struct agent_reconciler *reconciler, const struct record *except)
{
    const struct record *record;
    size_t position = 0;

    while ((record = records_next(reconciler->host->records, &position)))
        if (record != except && record_depends_on_others(record))
            kube_workqueue_add(reconciler->queue, record->name);
}

void round_check_lost(const struct round *round)
{
    struct agent_reconciler *reconciler = round->reconciler;
    struct record *record = round_record(round);
    uint64_t now = clock_monotonic_ms();

    if (!record->labelled ||
        (record->marker && loaded_present(reconciler->host->loaded, record->marker))) {
        record->lost_ms = 0;
        return;
    }
    if (!record->lost_ms)
        record->lost_ms = now ? now : 1;
    if (now - record->lost_ms >= LOST_LIMIT_MS) {
        record->labelled = false;
        profile_events_lost(reconciler->host->events, record);
    } else {
        kube_workqueue_add_after(reconciler->queue, record->name,
                                 LOST_LIMIT_MS - (now - record->lost_ms));
    }
}

void round_fail(const struct round *round, const struct error *err, const char *reason)
{
    round_check_lost(round);
    round_show(round, PROFILE_FAILED, error_reason(err, reason), error_message(err));
}
