// SPDX-License-Identifier: Apache-2.0
#include "controller/reconciler.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "controller/conditions.h"
#include "controller/controller_metrics.h"
#include "controller/patch.h"
#include "controller/protection.h"
#include "controller/resources.h"
#include "controller/rollout_look.h"
#include "controller/rollup.h"
#include "controller/transitions.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/kube/workqueue.h"

#define FIELD_MANAGER "apparmor-controller"
#define DEFAULT_INTERVAL_MS 1000
#define DEFAULT_MAX_ACTIVE 8
#define RETRY_MAX_MS 60000
/* Between two writes about who still uses what is being deleted. */
#define TERMINATING_INTERVAL_MS 10000

struct reconciler {
    struct reconciler_options options;
    struct kube_workqueue *queue;
    struct map *records;  /* of struct record */
    bool told_definition; /* that it is old */
};

/* What is remembered of a profile between two looks. */
/* Between two writes of a status that differs in its counts of violations alone. */
#define COUNTS_INTERVAL_MS 60000

struct record {
    bool wrote;
    uint64_t wrote_ms; /* monotonic, when the last write began */
    /*
     * The status that the server acknowledged and the informer does not show yet, and its version.
     * Without it, the next look would compare with the past, and write the same again.
     */
    cJSON *written;
    char *written_version;
    /*
     * A status of which the server has dropped fields, as a definition older than this program
     * does, and what it has kept: where that is still there, what was meant is compared with.
     * Otherwise the same would be written for ever.
     */
    cJSON *meant, *kept;
    char *awaited;       /* version with other finalizers, likewise; nothing is done before */
    struct write *write; /* under way, or NULL */
    char *uid;           /* whose what follows is; NULL before the first look */
    struct good_news news;
    struct deletion_watch deletion;
};

/* At one profile. */
struct look {
    struct reconciler *reconciler;
    struct kube_work *work;
    uint64_t began_ms; /* monotonic */
    const struct kube_object *profile;
    const struct tally *tally;
    struct record *record;
    const cJSON *old; /* status */
    struct profile_spec spec;
    struct holders holders;     /* while it is being deleted */
    struct rollout rollout;     /* of one that is valid and not being deleted */
    bool rolls_out;             /* there is that */
    struct promotion promotion; /* likewise */
    struct protection protection;
    struct opinion opinion;
    uint64_t hold_ms; /* there may be one soon */
};

struct write {
    struct reconciler *reconciler;
    struct kube_request *request;
    struct kube_work *work;
    char *profile;
    cJSON *status;                 /* NULL: of metadata, … */
    enum controller_metric metric; /* … which, this tells */
    uint64_t began_ms, again_ms;
    /* To be told when the write has succeeded. */
    struct transition_list transitions;
    struct good_news news;
};

static void write_free(struct write *write)
{
    if (!write)
        return;
    kube_request_cancel(write->request);
    cJSON_Delete(write->status);
    transition_list_done(&write->transitions);
    free(write->profile);
    free(write);
}

static void record_forget_written(struct record *record)
{
    cJSON_Delete(record->written);
    free(record->written_version);
    record->written = NULL;
    record->written_version = NULL;
}

static void record_forget_meant(struct record *record)
{
    cJSON_Delete(record->meant);
    cJSON_Delete(record->kept);
    record->meant = record->kept = NULL;
}

static void record_free(void *value)
{
    struct record *record = value;

    write_free(record->write);
    record_forget_written(record);
    record_forget_meant(record);
    free(record->awaited);
    free(record->uid);
    free(record);
}

static struct record *record_get(struct reconciler *reconciler, const char *profile)
{
    struct record *record = map_get(reconciler->records, profile);

    if (!record) {
        record = xcalloc(1, sizeof(*record));
        map_set(reconciler->records, profile, record);
    }
    return record;
}

static void finish(struct reconciler *reconciler, struct kube_work *work, uint64_t began_ms,
                   struct kube_result result)
{
    metrics_observe(reconciler->options.metrics, METRIC_RECONCILE_SECONDS,
                    (double) (clock_monotonic_ms() - began_ms) / 1000, NULL);
    kube_work_done(work, result);
}

/* --- writing ------------------------------------------------------------------ */

static void log_written(const char *profile, const cJSON *status)
{
    const cJSON *ready = condition_find(json_get(status, "conditions"), "Ready");

    log_debug("status written", "profile", profile, "ready", json_string(ready, "status"), "reason",
              json_string(ready, "reason"), "text", json_string(ready, "message"));
}

static void tell(const struct write *write, const struct kube_object *profile)
{
    const struct kube_informer *profiles = write->reconciler->options.profiles;

    for (size_t i = 0; i < write->transitions.len; i++) {
        const struct transition *transition = &write->transitions.items[i];
        const struct kube_object *object =
            transition->other ? kube_informer_get(profiles, NULL, transition->other) : profile;
        char api_version[KUBE_API_VERSION_MAX];
        struct kube_reference about;

        if (!object)
            continue;
        about = kube_reference_to(object, &resource_profiles, api_version);
        kube_recorder_event(write->reconciler->options.recorder, &about,
                            transition->warning ? KUBE_EVENT_WARNING : KUBE_EVENT_NORMAL,
                            transition->reason, "%s", transition->message);
    }
}

static enum kube_outcome write_failed(const char *profile, const struct error *err,
                                      const char **ret_outcome)
{
    if (kube_error_is_not_found(err)) {
        *ret_outcome = "gone";
        return KUBE_DONE;
    }
    /* It has changed, or is another of the same name: the informer will show it. */
    if (kube_error_is_conflict(err)) {
        *ret_outcome = "conflict";
        return KUBE_RETRY;
    }
    *ret_outcome = "error";
    log_warn("cannot write status or finalizers; will try again", "profile", profile, "err",
             error_message(err));
    return KUBE_RETRY;
}

static void compare_with_meant(const struct write *write, struct record *record,
                               const cJSON *status)
{
    struct reconciler *reconciler = write->reconciler;

    record_forget_meant(record);
    if (json_equal(status, write->status))
        return;
    record->meant = cJSON_Duplicate(write->status, true);
    record->kept = cJSON_Duplicate(status, true);
    if (!reconciler->told_definition)
        log_warn("the API server drops fields of the status: its definition of AppArmorProfiles is "
                 "older than this program; apply the CRDs of this release (crds/)",
                 "profile", write->profile);
    reconciler->told_definition = true;
}

static void status_written(struct write *write, struct record *record,
                           const struct kube_object *object)
{
    const char *version = kube_object_resource_version(object);

    compare_with_meant(write, record, json_get(kube_object_json(object), "status"));
    log_written(write->profile, write->status);
    record->news = write->news;
    record->written = TAKE_PTR(write->status);
    record->written_version = xstrdup(version);
}

static void metadata_written(const struct write *write, struct record *record, const char *version)
{
    log_debug("metadata written", "profile", write->profile);
    free(record->awaited);
    record->awaited = xstrdup(version);
}

/* For a queue: looks again after that time, 0: not by itself. */
static struct kube_result again_after(uint64_t ms)
{
    return (struct kube_result){.outcome = ms > 0 ? KUBE_REQUEUE_AFTER : KUBE_DONE, .after_ms = ms};
}

static void write_done(void *userdata, struct kube_object *object, const struct error *err)
{
    struct write *write = userdata;
    struct reconciler *reconciler = write->reconciler;
    struct record *record = record_get(reconciler, write->profile);
    struct kube_result result = again_after(write->again_ms);
    const char *outcome = "ok";

    record->write = NULL;
    write->request = NULL;
    if (err->code != 0) {
        record->wrote = false; /* the queue's back-off takes over */
        result.outcome = write_failed(write->profile, err, &outcome);
    } else {
        tell(write, object);
        if (write->status)
            status_written(write, record, object);
        else
            metadata_written(write, record, kube_object_resource_version(object));
        reconciler_observed(reconciler,
                            kube_informer_get(reconciler->options.profiles, NULL, write->profile));
    }
    metrics_add(reconciler->options.metrics, write->metric, 1, (const char *const[]){outcome});
    finish(reconciler, write->work, write->began_ms, result);
    write_free(write);
}

/* With the uid, a re-created object of the same name refuses what was meant for its predecessor. */
static cJSON *write_body(const struct look *look)
{
    cJSON *body = cJSON_CreateObject(), *metadata = json_add_object(body, "metadata");

    json_add_string(metadata, "uid", kube_object_uid(look->profile));
    json_add_string(metadata, "resourceVersion",
                    look->record->written ? look->record->written_version
                                          : kube_object_resource_version(look->profile));
    return body;
}

static void write_begin(const struct look *look, struct write *write, enum controller_metric metric,
                        const cJSON *body)
{
    const struct kube_write_options options = {.field_manager = FIELD_MANAGER};
    struct reconciler *reconciler = look->reconciler;

    write->reconciler = reconciler;
    write->metric = metric;
    write->work = look->work;
    write->profile = xstrdup(look->spec.name);
    write->began_ms = look->began_ms;
    look->record->write = write;
    write->request = kube_patch(reconciler->options.client, &resource_profiles, NULL,
                                write->profile, write->status ? "status" : NULL, KUBE_PATCH_MERGE,
                                body, &options, write_done, write);
}

static void write_status(const struct look *look, struct write *write, cJSON *patch)
{
    _cleanup_json_ cJSON *body = write_body(look);
    struct record *record = look->record;

    json_add(body, "status", patch);
    record->wrote = true;
    record->wrote_ms = look->began_ms;
    record_forget_written(record);
    write_begin(look, write, METRIC_STATUS_WRITES, body);
}

/*
 * Other finalizers are in the list, too. The version sees to it that it is still the list that the
 * informer has shown: a status that was written since was refused if anything else had changed.
 */
static void write_finalizers(const struct look *look)
{
    _cleanup_json_ cJSON *body = write_body(look);
    struct write *write = xcalloc(1, sizeof(*write));
    enum protection_act act = look->protection.act;

    if (act != PROTECTION_ADD)
        transitions_find_release(act == PROTECTION_FORCE, transitions_told_deletion(look->old),
                                 &look->holders, &write->transitions);
    json_add(cJSON_GetObjectItemCaseSensitive(body, "metadata"), "finalizers",
             protection_finalizers(kube_object_json(look->profile), act == PROTECTION_ADD));
    write_begin(look, write, METRIC_FINALIZER_WRITES, body);
}

/* One step, at one write, however many nodes there are. */
static void write_rollout(const struct look *look)
{
    _cleanup_json_ cJSON *body = write_body(look);
    struct write *write = xcalloc(1, sizeof(*write));
    const struct rollout *rollout = &look->rollout;
    _cleanup_free_ char *text = NULL;
    cJSON *annotations =
        json_add_object(cJSON_GetObjectItemCaseSensitive(body, "metadata"), "annotations");

    if (rollout->publish == ROLLOUT_PUBLISH_REMOVAL) {
        json_add(annotations, POLICY_ROLLOUT_ANNOTATION, cJSON_CreateNull());
    } else {
        text = policy_rollout_print(&rollout->next);
        json_add_string(annotations, POLICY_ROLLOUT_ANNOTATION, text);
        transitions_find_step(&rollout->next, &write->transitions);
    }
    write_begin(look, write, METRIC_ROLLOUT_WRITES, body);
}

/* --- deciding ----------------------------------------------------------------- */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t time_to_wait(const struct look *look)
{
    const struct record *record = look->record;
    uint64_t since = look->began_ms - record->wrote_ms;
    uint64_t interval = look->reconciler->options.interval_ms;

    if (look->spec.deleting && transitions_told_deletion(look->old) &&
        interval < TERMINATING_INTERVAL_MS)
        interval = TERMINATING_INTERVAL_MS;
    return record->wrote && since < interval ? interval - since : 0;
}

static void reconcile_gone(struct reconciler *reconciler, const char *profile)
{
    map_remove(reconciler->records, profile);
    reviews_forget(reconciler->options.reviews, profile);
    controller_metrics_remove_profile(reconciler->options.metrics, profile);
}

/* What another replica, or another object of the name, has told. */
static void record_know(struct record *record, const struct kube_object *profile,
                        const cJSON *status)
{
    if (record->uid && strcmp(record->uid, kube_object_uid(profile)) == 0)
        return;
    record_forget_meant(record);
    free(record->uid);
    record->uid = xstrdup(kube_object_uid(profile));
    record->news = good_news_of(status);
    record->deletion = (struct deletion_watch){0};
}

/* When to look again, changes or not; 0: need not. */
static uint64_t again_ms(const struct look *look)
{
    const uint64_t times[] = {look->protection.again_ms, look->rollout.again_ms,
                              look->promotion.again_ms};
    uint64_t first = 0;

    for (size_t i = 0; i < ARRAY_SIZE(times); i++)
        if (times[i] > 0 && (first == 0 || times[i] < first))
            first = times[i];
    return first;
}

/* The write that would make the status into this, with what there is to be told; takes ownership.
 */
static struct write *write_new(const struct look *look, cJSON *status)
{
    struct write *write = xcalloc(1, sizeof(*write));
    const struct status_change change = {.index = look->reconciler->options.index,
                                         .profile = look->spec.name,
                                         .old = look->old,
                                         .new = status};

    write->status = status;
    write->again_ms = again_ms(look);
    write->news = look->record->news;
    transitions_find(&change, &write->news, &write->transitions);
    return write;
}

static bool may_write(const struct reconciler *reconciler)
{
    return reconciler->options.may_write(reconciler->options.userdata);
}

static void look_done(const struct look *look, uint64_t again_ms)
{
    finish(look->reconciler, look->work, look->began_ms, again_after(again_ms));
}

/* Counts that have gone on are written now and then: nodes tell of theirs each at its own time. */
static uint64_t time_to_hold_counts(const struct look *look, const cJSON *patch)
{
    uint64_t since = look->began_ms - look->record->wrote_ms;
    const cJSON *counts = json_get(patch, ROLLUP_VIOLATIONS);

    if (!cJSON_IsObject(counts) || counts != patch->child || counts->next ||
        !json_get(look->old, ROLLUP_VIOLATIONS) || !look->record->wrote ||
        since >= COUNTS_INTERVAL_MS)
        return 0;
    return COUNTS_INTERVAL_MS - since;
}

static void reconcile_status(const struct look *look)
{
    const struct rollup rollup = {.profile = &look->spec,
                                  .tally = look->tally,
                                  .holders = look->spec.deleting ? &look->holders : NULL,
                                  .rollout = look->rolls_out ? &look->rollout : NULL,
                                  .promotion = &look->promotion,
                                  .opinion = &look->opinion,
                                  .violations =
                                      node_index_violations(look->reconciler->options.index,
                                                            look->spec.name),
                                  .old = look->old,
                                  .now_ms = clock_realtime_ms()};
    uint64_t hold_ms;
    _cleanup_json_ cJSON *status = rollup_status(&rollup), *patch = merge_patch(look->old, status);

    controller_metrics_set_profile(look->reconciler->options.metrics, look->spec.name, look->tally,
                                   status);
    hold_ms = patch ? time_to_hold_counts(look, patch) : 0;
    if (hold_ms > 0)
        look_done(look, again_ms(look) > 0 && again_ms(look) < hold_ms ? again_ms(look) : hold_ms);
    else if (patch && may_write(look->reconciler))
        write_status(look, write_new(look, TAKE_PTR(status)), TAKE_PTR(patch));
    else
        look_done(look, again_ms(look));
}

static void look_at_rollout(struct look *look)
{
    const struct reconciler_options *options = &look->reconciler->options;
    const struct rollout_sources sources = {.index = options->index,
                                            .liveness = options->liveness,
                                            .history = options->history};

    const struct rollout_subject subject = {.profile = look->profile,
                                            .spec = &look->spec,
                                            .status = look->old,
                                            .opinion = &look->opinion,
                                            .hold_ms = look->hold_ms};

    look->rolls_out = !look->spec.deleting && !look->spec.invalid_reason;
    if (!look->rolls_out)
        return;
    rollout_look(&sources, &subject, look->began_ms, &look->rollout);
    promotion_look(options->index, options->liveness, &look->spec, look->old, look->began_ms,
                   options->promotable_after_ms, &look->promotion);
}

/* The status that there is, as far as it is known, or was meant to be. */
static const cJSON *status_of(const struct record *record, const cJSON *shown)
{
    if (record->written)
        return record->written;
    return record->kept && json_equal(record->kept, shown) ? record->meant : shown;
}

static void look_init(struct look *look)
{
    const struct reconciler_options *options = &look->reconciler->options;
    const cJSON *json = kube_object_json(look->profile);

    look->began_ms = clock_monotonic_ms();
    record_know(look->record, look->profile, json_get(json, "status"));
    look->old = status_of(look->record, json_get(json, "status"));
    profile_spec_read(&look->spec, json);
    if (look->spec.deleting)
        look->opinion = opinion_of(look->old);
    else if (!look->spec.invalid_reason)
        look->hold_ms =
            reviews_look(options->reviews, look->profile, &look->spec, look->old, &look->opinion);
    if (look->spec.deleting)
        holders_find(&look->holders, options->index, options->liveness, look->spec.name,
                     look->began_ms);
    look->protection = protection_decide(&look->spec, look->spec.deleting ? &look->holders : NULL,
                                         &look->record->deletion, look->began_ms);
    look_at_rollout(look);
}

static void act(const struct look *look)
{
    uint64_t wait_ms = later(time_to_wait(look), look->hold_ms), later_ms = again_ms(look);

    switch (look->protection.act) {
    case PROTECTION_ADD:
    case PROTECTION_RELEASE:
    case PROTECTION_FORCE:
        if (may_write(look->reconciler))
            write_finalizers(look);
        else
            look_done(look, 0);
        break;
    case PROTECTION_NONE:
    case PROTECTION_WAIT:
        if (look->rollout.publish != ROLLOUT_PUBLISH_NOTHING && may_write(look->reconciler))
            write_rollout(look);
        else if (!look->protection.tells)
            look_done(look, later_ms);
        else if (wait_ms > 0)
            look_done(look, later_ms > 0 && later_ms < wait_ms ? later_ms : wait_ms);
        else
            reconcile_status(look);
        break;
    }
}

/*
 * Versions of one kind can be compared as numbers since Kubernetes 1.35, and could before, as etcd
 * gives them out (https://kep.k8s.io/5504). Anything else counts as news.
 */
static bool version_before(const char *a, const char *b)
{
    char *end_a, *end_b;
    unsigned long long one = strtoull(a, &end_a, 10), other = strtoull(b, &end_b, 10);

    return *a && *b && !*end_a && !*end_b && one < other;
}

/* The informer will show it. */
static bool is_awaited(struct record *record, const struct kube_object *profile)
{
    if (record->awaited && version_before(kube_object_resource_version(profile), record->awaited))
        return true;
    free(record->awaited);
    record->awaited = NULL;
    return false;
}

static void reconcile(void *userdata, const char *key, struct kube_work *work)
{
    struct reconciler *reconciler = userdata;
    struct look look = {
        .reconciler = reconciler,
        .work = work,
        .profile = kube_informer_get(reconciler->options.profiles, NULL, key),
        .tally = node_index_tally(reconciler->options.index, key),
    };

    if (!look.profile || !look.tally) {
        reconcile_gone(reconciler, key);
        kube_work_done(work, again_after(0));
        return;
    }
    look.record = record_get(reconciler, key);
    if (is_awaited(look.record, look.profile)) {
        kube_work_done(work, again_after(0));
        return;
    }
    look_init(&look);
    history_keep(reconciler->options.history, look.profile);
    act(&look);
    rollout_done(&look.rollout);
    promotion_done(&look.promotion);
}

static void observe_wait(void *userdata, double seconds)
{
    const struct reconciler *reconciler = userdata;

    metrics_observe(reconciler->options.metrics, METRIC_QUEUE_SECONDS, seconds, NULL);
}

/* --- life ------------------------------------------------------------------------ */

struct reconciler *reconciler_new(const struct reconciler_options *options)
{
    struct reconciler *reconciler = xcalloc(1, sizeof(*reconciler));
    struct kube_workqueue_options queue = {
        .base_delay_ms = options->interval_ms ? options->interval_ms : DEFAULT_INTERVAL_MS,
        .max_delay_ms = RETRY_MAX_MS,
        .max_active = options->max_active ? options->max_active : DEFAULT_MAX_ACTIVE,
        .reconcile = reconcile,
        .observe = observe_wait,
        .userdata = reconciler,
    };

    reconciler->options = *options;
    if (reconciler->options.interval_ms == 0)
        reconciler->options.interval_ms = DEFAULT_INTERVAL_MS;
    reconciler->records = map_new(record_free);
    reconciler->queue = kube_workqueue_new(kube_client_loop(options->client), &queue);
    return reconciler;
}

void reconciler_free(struct reconciler *reconciler)
{
    if (!reconciler)
        return;
    map_free(reconciler->records);
    kube_workqueue_free(reconciler->queue);
    free(reconciler);
}

void reconciler_enqueue(struct reconciler *reconciler, const char *profile)
{
    kube_workqueue_add(reconciler->queue, profile);
}

void reconciler_observed(struct reconciler *reconciler, const struct kube_object *profile)
{
    struct record *record =
        profile ? map_get(reconciler->records, kube_object_name(profile)) : NULL;

    if (record && record->written &&
        !version_before(kube_object_resource_version(profile), record->written_version))
        record_forget_written(record);
}

size_t reconciler_depth(const struct reconciler *reconciler)
{
    return kube_workqueue_depth(reconciler->queue);
}
