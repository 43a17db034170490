// SPDX-License-Identifier: Apache-2.0
#include "agent/round.h"

#include <errno.h>
#include <string.h>

#include "agent/ownership.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/policy/selector.h"

/* A text that took too long or too much will do so again, unless others had kept the node busy. */
#define COSTLY_RETRY_MS (10 * 60 * 1000)

/* --- loading what the source says --- */

/* `for_ms` 0: for ever. */
static void remember_failure(const struct round *round, uint64_t for_ms)
{
    struct record *record = round_record(round);
    char build[DIGEST_HEX_SIZE];

    ownership_build(builder_compiler_id(round->reconciler->host->builder), record->spec->revision,
                    build);
    free(record->failed_build);
    record->failed_build = xstrdup(build);
    record->failed_until_ms = for_ms ? clock_monotonic_ms() + for_ms : UINT64_MAX;
    record_drop_text(record);
}

static void compile_failed(struct round *round, const struct error *err)
{
    const char *reason = error_reason(err, "CompileError");
    bool costly = strcmp(reason, "CompileTimeout") == 0 || strcmp(reason, "CompileResources") == 0;

    round_fail(round, err, "CompileError");
    if (strcmp(reason, "CompilerUnavailable") == 0) {
        round_retry_after(round, err);
        return;
    }
    remember_failure(round, costly ? COSTLY_RETRY_MS : 0);
    if (costly)
        round_end(round, KUBE_REQUEUE_AFTER, COSTLY_RETRY_MS);
    else
        round_done(round);
}

static void on_installed(void *userdata, enum install_stage stage, const struct error *err)
{
    static const char *const reasons[] = {
        [INSTALL_FILE] = REASON_FILE_ERROR,
        [INSTALL_LOAD] = REASON_LOAD_FAILED,
        [INSTALL_VERIFY] = REASON_VERIFY_FAILED,
    };
    struct round *round = userdata;

    round->install = NULL;
    switch (stage) {
    case INSTALL_DONE:
        learnt_wake(round->reconciler->learnt);
        round_wake_others(round->reconciler, round_record(round));
        round_settle(round);
        break;
    case INSTALL_COMPILE:
        round_wake_others(round->reconciler, round_record(round));
        compile_failed(round, err);
        break;
    case INSTALL_CLAIM:
        /* What it declares may be less than before. */
        round_wake_others(round->reconciler, round_record(round));
        record_drop_text(round_record(round));
        round_fail(round, err, REASON_NAME_CONFLICT);
        round_done(round); /* looked at again when the name's owner or the kernel changes */
        break;
    case INSTALL_FILE:
    case INSTALL_LOAD:
    case INSTALL_VERIFY:
        round_fail(round, err, reasons[stage]);
        round_retry(round);
        break;
    }
}

static void install(struct round *round)
{
    struct record *record = round_record(round);
    const struct profile_state *state = &record->state;

    /* A retry does not hide the failure that it is about. */
    if (state->phase != PROFILE_FAILED || state->generation != record->spec->generation)
        round_show(round, PROFILE_PENDING, REASON_COMPILING, NULL);
    round->install =
        install_start(round->reconciler->host, record, record->spec, on_installed, round);
}

/* --- what the source wants --- */

static void select_node(struct round *round);

/* The kernel lacks what this node was to have when it was last known. */
static bool has_lost_own(const struct round *round)
{
    struct source *source = round->reconciler->options.source;
    const struct record *record = round_record(round);
    const struct marker *marker = record->marker;

    return marker && !record->releasing && !round->own_is_bad &&
           policy_selector_matches(marker->selector, source->ops->node_labels(source)) &&
           !loaded_matches(round->reconciler->host->loaded, marker);
}

/* What the node has stays, and comes back if it was lost, until more is known. */
static void not_fetched(struct round *round, const struct error *err)
{
    bool waits = err->code == -EAGAIN;

    round->unread = true;
    if (waits) {
        round_check_lost(round);
        round_show(round, PROFILE_PENDING, error_reason(err, NULL), error_message(err));
    } else {
        round_fail(round, err, err->code == -EINVAL ? REASON_INVALID : REASON_FETCH_FAILED);
    }
    if (has_lost_own(round))
        round_restore(round);
    else if (waits || err->code == -EINVAL)
        round_done(round);
    else
        round_retry(round);
}

static void on_fetched(void *userdata, struct policy_profile *profile, const char *version,
                       const struct error *err)
{
    struct round *round = userdata;
    struct record *record = round_record(round);

    round->fetch = NULL;
    if (profile) {
        record_set_spec(record, profile, version);
        select_node(round);
        return;
    }
    if (err->code == -ENOENT) {
        round_done(round); /* the source will say so */
        return;
    }
    not_fetched(round, err);
}

static void fetch(struct round *round, bool newest)
{
    struct source *source = round->reconciler->options.source;
    const struct marker *held = round->own_is_bad ? NULL : round_record(round)->marker;

    round->fetch = source->ops->fetch(source, round->key, held, newest, on_fetched, round);
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

static void refresh_marker(const struct round *round)
{
    const struct host *host = round->reconciler->host;
    struct record *record = round_record(round);
    _cleanup_error_ struct error err = {0};

    if (ownership_refresh(record->marker, record->spec) &&
        files_rewrite(host->files, record->marker, &err) < 0)
        log_warn("cannot update the ownership file", "profile", record->name, "err",
                 error_message(&err));
}

/* The spec cannot be loaded as things are; says why. */
static bool is_blocked(const struct round *round, const char *build)
{
    const struct record *record = round_record(round);
    _cleanup_error_ struct error err = {0};

    if (record->failed_build && strcmp(record->failed_build, build) == 0 &&
        clock_monotonic_ms() < record->failed_until_ms) {
        round_check_lost(round);
        return true;
    }
    if (ownership_check(round->reconciler->host, record, &record->claims, &err) == 0)
        return false;
    round_fail(round, &err, REASON_NAME_CONFLICT);
    return true;
}

/* Its own file has the text: the source has given it none, as this is what the node is to keep. */
static bool is_kept(const struct round *round)
{
    const struct record *record = round_record(round);

    return *record->spec->target && record->marker && !round->own_is_bad &&
           strcmp(record->marker->revision, record->spec->revision) == 0;
}

/* Compares what is wanted with files and kernel and does the next thing. */
void round_evaluate(struct round *round)
{
    const struct host *host = round->reconciler->host;
    struct record *record = round_record(round);
    bool intact = record->marker && loaded_matches(host->loaded, record->marker);
    char build[DIGEST_HEX_SIZE];

    ownership_build(builder_compiler_id(host->builder), record->spec->revision, build);
    if (intact)
        round_check_file(round);
    if (is_current(host, record, build) && !round->own_is_bad) {
        if (intact) {
            refresh_marker(round);
            round_settle(round);
        } else {
            round_restore(round);
        }
    } else if (is_blocked(round, build)) {
        if (record->marker && !intact && !round->own_is_bad)
            round_restore(round);
        else
            round_done(round);
    } else if (!record->spec->text && is_kept(round)) {
        round_restore(round);
    } else if (!record->spec->text) {
        fetch(round, false);
    } else {
        install(round);
    }
}

static void select_node(struct round *round)
{
    struct source *source = round->reconciler->options.source;
    struct record *record = round_record(round);

    if (!policy_selector_matches(record->spec->selector, source->ops->node_labels(source))) {
        round_release(round, true);
        return;
    }
    record->releasing = false;
    round->wanted = true;
    round_evaluate(round);
}

/*
 * What lookup has told is older than what this node knows already, as the cache that a watch begins
 * with may be: policy must not go back in time. (After a restore of the cluster's data the newest
 * there is may be older, and then it holds.)
 */
static bool is_behind(const struct record *record, const struct source_meta *meta)
{
    const struct policy_profile *spec = record->spec;
    const struct marker *marker = record->marker;

    return *meta->uid &&
           ((spec && strcmp(spec->uid, meta->uid) == 0 && spec->generation > meta->generation) ||
            (marker && strcmp(marker->uid, meta->uid) == 0 &&
             marker->generation > meta->generation));
}

void round_want(struct round *round, const struct source_meta *meta)
{
    struct record *record = round_record(round);
    const struct marker *marker = record->marker;

    if (record->spec && strcmp(record->version, meta->version) == 0) {
        select_node(round);
    } else if (marker && *meta->uid && strcmp(marker->uid, meta->uid) == 0 &&
               marker->generation == meta->generation && !meta->outgrown) {
        /* Our own file says what this generation's spec is: an unchanged node reads nothing. */
        record_set_spec(record, ownership_profile(marker), meta->version);
        select_node(round);
    } else {
        fetch(round, is_behind(record, meta));
    }
}

static bool is_outdated(const struct round *round)
{
    struct source *source = round->reconciler->options.source;
    const struct record *record = round_record(round);
    enum install_progress progress = install_progress(round->install);
    struct source_meta meta = {0};

    if (progress == INSTALL_CHANGES)
        return false;
    switch (source->ops->lookup(source, round->key, record->marker, &meta)) {
    case SOURCE_DELETED:
        return true;
    case SOURCE_PRESENT:
        return meta.deleting || (!round->own && progress == INSTALL_WAITS &&
                                 strcmp(record->version, meta.version) != 0);
    default:
        return false;
    }
}

void round_reconsider(struct round *round)
{
    if (!round->install || !is_outdated(round))
        return;
    install_cancel(round->install);
    round->install = NULL;
    round_done(round);
}
