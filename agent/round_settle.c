// SPDX-License-Identifier: Apache-2.0
#include "agent/round.h"

#include <errno.h>
#include <string.h>

#include "agent/agent_metrics.h"
#include "agent/foreign_file.h"
#include "agent/ownership.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define OWN_TEXT_MAX (16 * 1024 * 1024)

/* --- loaded --- */

/* Names that an update no longer has leave by the same rules as those of a deleted object. */
static void drain_leftovers(struct agent_reconciler *reconciler, struct record *record)
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

static const char contested_message[] =
    "something else on this node keeps removing or changing its profiles or their file, which are "
    "put back no more than 5 times a minute: find the program that does it";

/* How long until it may be put back once more; 0 while nobody else insists. */
static uint64_t contested_ms(const struct record *record)
{
    return repairs_wait_ms(&record->repairs, clock_monotonic_ms());
}

static uint64_t file_contested_ms(const struct record *record)
{
    return record->file_changed ? repairs_wait_ms(&record->file_repairs, clock_monotonic_ms()) : 0;
}

static void show_learnt(const struct round *round)
{
    const struct tasks_use *learnt = &round_record(round)->learnt;
    _cleanup_free_ char *message =
        xasprintf("%zu task%s, for example of process %d, run on as complain mode has left them, "
                  "which the profile does not confine: restart their pods",
                  learnt->count, learnt->count == 1 ? "" : "s", (int) learnt->pid);

    round_show(round, PROFILE_LOADED, REASON_NOT_ENFORCED, message);
}

/* What was adopted, and the host would load otherwise at its boot. The caller frees it. */
static char *other_file(const struct round *round)
{
    const struct record *record = round_record(round);
    const struct host *host = round->reconciler->host;
    _cleanup_strv_ struct strv names = {0};

    if (!record->marker->adopt)
        return NULL;
    ownership_names(record->marker, &names);
    return foreign_file_of(files_folder(host->files), &names);
}

static void show_also_in_file(const struct round *round, const char *file)
{
    _cleanup_free_ char *message =
        xasprintf("/etc/apparmor.d/%s declares the profile, too, and the host loads it at its boot "
                  "and when its policy is reloaded: remove that file, without unloading it",
                  file);

    round_show(round, PROFILE_LOADED, REASON_ALSO_IN_FILE, message);
}

/* The end of a round whose profiles are all in the kernel. */
static void show_loaded(struct round *round)
{
    const struct record *record = round_record(round);
    const struct source *source = round->reconciler->options.source;
    uint64_t kernel_ms = contested_ms(record), file_ms = file_contested_ms(record);
    uint64_t wait_ms = kernel_ms > file_ms ? kernel_ms : file_ms;
    _cleanup_free_ char *file = NULL;

    if (!round->wanted && source->ops->synced(source))
        round_show(
            round, PROFILE_LOADED, REASON_ORPHANED,
            "its object is gone though nobody has deleted it: it stays until the object returns");
    else if (wait_ms)
        round_show(round, PROFILE_LOADED, REASON_CONTESTED, contested_message);
    else if (round->wanted && *record->spec->target)
        round_show(round, PROFILE_LOADED, REASON_ROLLOUT_PENDING,
                   "keeps its revision until the rollout of the next comes to this node");
    else if (record->learnt.used)
        show_learnt(round);
    else if ((file = other_file(round)))
        show_also_in_file(round, file);
    else
        round_show(round, PROFILE_LOADED, NULL, NULL);
    if (wait_ms)
        round_end(round, KUBE_REQUEUE_AFTER, wait_ms);
    else
        round_done(round);
}

void round_settle(struct round *round)
{
    struct agent_reconciler *reconciler = round->reconciler;
    struct source *source = reconciler->options.source;
    struct record *record = round_record(round);

    record->releasing = false;
    /* Before that it is not known whether it is not just leaving. */
    if (source->ops->synced(source))
        record->labelled = true;
    record->lost_ms = 0;
    record_drop_text(record);
    drain_leftovers(reconciler, record);
    show_loaded(round);
}

/* --- loading again what our file says --- */

/* After a restart of the node nobody has taken it away. */
static bool is_repair(const struct record *record)
{
    return record->state.phase != PROFILE_UNDECIDED;
}

static void count_repair(const struct round *round)
{
    const struct host *host = round->reconciler->host;
    struct record *record = round_record(round);

    if (!is_repair(record))
        return;
    repairs_count(&record->repairs, clock_monotonic_ms());
    metrics_add(host->metrics, METRIC_REPAIRS, 1, NULL);
    profile_events_repaired(host->events, record);
    log_warn("repaired: something else had changed or removed the policy", "profile", round->key,
             "node", host->node_name);
}

/* The file's policy is what the source wants, too. */
static bool own_is_wanted(const struct round *round)
{
    const struct record *record = round_record(round);

    return round->wanted && record->spec &&
           strcmp(record->spec->revision, record->marker->revision) == 0;
}

/* What could not be read is asked for again, now that the kernel has what it had. */
static void end_restored(struct round *round)
{
    if (round->unread)
        round_retry(round);
    else
        round_done(round);
}

static void on_restored(void *userdata, enum install_stage stage, const struct error *err)
{
    struct round *round = userdata;
    struct record *record = round_record(round);

    round->install = NULL;
    if (stage == INSTALL_DONE) {
        count_repair(round);
        if (own_is_wanted(round) || (!round->wanted && !round->unread)) {
            round_settle(round);
            return;
        }
        record->lost_ms = 0;
        round_show(round, record->state.phase, record->state.reason, record->state.message);
        end_restored(round);
    } else if (stage == INSTALL_COMPILE && own_is_wanted(round) &&
               strcmp(error_reason(err, ""), "CompilerUnavailable") != 0) {
        round->own_is_bad = true;
        round_evaluate(round);
    } else if (stage == INSTALL_CLAIM) {
        round_fail(round, err, REASON_NAME_CONFLICT);
        end_restored(round); /* looked at again when the name's owner or the kernel changes */
    } else {
        round_fail(round, err, REASON_LOAD_FAILED);
        round_retry_after(round, err);
    }
}

/* The policy of our own file, if it is still what the record says. */
static int read_own(const struct round *round, struct policy_profile **ret, struct error *err)
{
    const struct record *record = round_record(round);
    _cleanup_(marker_freep) struct marker *marker = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT(OWN_TEXT_MAX);
    int r = files_read(round->reconciler->host->files, round->key, &marker, &text, err);

    if (r < 0)
        return r;
    if (strcmp(marker->revision, record->marker->revision) != 0 ||
        !marker_text_matches(marker, buf_string(&text), text.len))
        return error_set_reason(err, -EBADMSG, REASON_FILE_ERROR,
                                "somebody has changed the policy in its file in %s",
                                files_folder(round->reconciler->host->files));
    *ret = ownership_profile(record->marker);
    (*ret)->text_len = text.len;
    (*ret)->text = buf_take(&text);
    return 0;
}

void round_check_file(struct round *round)
{
    struct record *record = round_record(round);
    _cleanup_(policy_profile_freep) struct policy_profile *own = NULL;
    _cleanup_error_ struct error err = {0};

    if (!record->file_changed || round->own_is_bad)
        return;
    if (read_own(round, &own, &err) == 0) {
        record->file_changed = false;
        return;
    }
    /* Whoever takes it away at once would keep node and API server busy. */
    if (file_contested_ms(record))
        return;
    repairs_count(&record->file_repairs, clock_monotonic_ms());
    log_warn("the profile's file is written anew", "profile", round->key, "node",
             round->reconciler->host->node_name, "err", error_message(&err));
    round->own_is_bad = true;
}

static void leave_contested(struct round *round, uint64_t wait_ms)
{
    round_check_lost(round);
    round_show(round, PROFILE_FAILED, REASON_CONTESTED, contested_message);
    round_end(round, KUBE_REQUEUE_AFTER, wait_ms);
}

/* What the kernel had and has lost comes back from our own file, which needs no API server. */
void round_restore(struct round *round)
{
    const struct host *host = round->reconciler->host;
    struct record *record = round_record(round);
    _cleanup_error_ struct error err = {0};

    if (is_repair(record) && contested_ms(record)) {
        leave_contested(round, contested_ms(record));
        return;
    }

    policy_profile_free(round->own);
    round->own = NULL;
    if (read_own(round, &round->own, &err) == 0) {
        round->install = install_start(host, record, round->own, on_restored, round);
    } else if (own_is_wanted(round)) {
        round->own_is_bad = true;
        round_evaluate(round);
    } else {
        round_fail(round, &err, REASON_FILE_ERROR);
        round_retry(round);
    }
}
