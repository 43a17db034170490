// SPDX-License-Identifier: Apache-2.0
#include "controller/reconciler.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "controller/conditions.h"
#include "controller/controller_metrics.h"
#include "controller/patch.h"
#include "controller/resources.h"
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

struct reconciler {
    struct reconciler_options options;
    struct kube_workqueue *queue;
    struct map *records; /* of struct record */
};

/* What is remembered of a profile between two looks. */
struct record {
    bool wrote;
    uint64_t wrote_ms; /* monotonic, when the last write began */
    /*
     * The status that the server acknowledged and the informer does not show yet, and its version.
     * Without it, the next look would compare with the past, and write the same again.
     */
    cJSON *written;
    char *written_version;
    struct write *write; /* under way, or NULL */
    char *uid;           /* whose good news it is; NULL before the first look */
    struct good_news news;
};

struct write {
    struct reconciler *reconciler;
    struct kube_request *request;
    struct kube_work *work;
    char *profile;
    cJSON *status;
    uint64_t began_ms;
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

static void record_free(void *value)
{
    struct record *record = value;

    write_free(record->write);
    record_forget_written(record);
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
    char api_version[KUBE_API_VERSION_MAX];
    const struct kube_reference about = kube_reference_to(profile, &resource_profiles, api_version);

    for (size_t i = 0; i < write->transitions.len; i++) {
        const struct transition *transition = &write->transitions.items[i];

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
    log_warn("cannot write a status; will try again", "profile", profile, "err",
             error_message(err));
    return KUBE_RETRY;
}

static void write_done(void *userdata, struct kube_object *object, const struct error *err)
{
    struct write *write = userdata;
    struct reconciler *reconciler = write->reconciler;
    struct record *record = record_get(reconciler, write->profile);
    struct kube_result result = {.outcome = KUBE_DONE};
    const char *outcome = "ok";

    record->write = NULL;
    write->request = NULL;
    if (err->code != 0) {
        record->wrote = false; /* the queue's back-off takes over */
        result.outcome = write_failed(write->profile, err, &outcome);
    } else {
        log_written(write->profile, write->status);
        tell(write, object);
        record->news = write->news;
        record->written = TAKE_PTR(write->status);
        record->written_version = xstrdup(kube_object_resource_version(object));
        reconciler_observed(reconciler,
                            kube_informer_get(reconciler->options.profiles, NULL, write->profile));
    }
    metrics_add(reconciler->options.metrics, METRIC_STATUS_WRITES, 1,
                (const char *const[]){outcome});
    finish(reconciler, write->work, write->began_ms, result);
    write_free(write);
}

/* With the uid, a re-created object of the same name refuses what was meant for its predecessor. */
static cJSON *write_body(const struct kube_object *profile, const struct record *record,
                         cJSON *patch)
{
    cJSON *body = cJSON_CreateObject(), *metadata = json_add_object(body, "metadata");

    json_add_string(metadata, "uid", kube_object_uid(profile));
    json_add_string(metadata, "resourceVersion",
                    record->written ? record->written_version
                                    : kube_object_resource_version(profile));
    json_add(body, "status", patch);
    return body;
}

static void write_begin(struct reconciler *reconciler, struct kube_work *work,
                        const struct kube_object *profile, struct record *record,
                        struct write *write, cJSON *patch)
{
    const struct kube_write_options options = {.field_manager = FIELD_MANAGER};
    _cleanup_json_ cJSON *body = write_body(profile, record, patch);

    write->reconciler = reconciler;
    write->work = work;
    write->profile = xstrdup(kube_object_name(profile));
    write->began_ms = clock_monotonic_ms();
    record->wrote = true;
    record->wrote_ms = write->began_ms;
    record->write = write;
    record_forget_written(record);
    write->request =
        kube_patch(reconciler->options.client, &resource_profiles, NULL, write->profile, "status",
                   KUBE_PATCH_MERGE, body, &options, write_done, write);
}

/* --- deciding ----------------------------------------------------------------- */

static uint64_t time_to_wait(const struct reconciler *reconciler, const struct record *record)
{
    uint64_t since = clock_monotonic_ms() - record->wrote_ms;

    if (!record->wrote || since >= reconciler->options.interval_ms)
        return 0;
    return reconciler->options.interval_ms - since;
}

static void reconcile_gone(struct reconciler *reconciler, const char *profile)
{
    map_remove(reconciler->records, profile);
    controller_metrics_remove_profile(reconciler->options.metrics, profile);
}

/* What another replica, or another object of the name, has told. */
static void record_know(struct record *record, const struct kube_object *profile,
                        const cJSON *status)
{
    if (record->uid && strcmp(record->uid, kube_object_uid(profile)) == 0)
        return;
    free(record->uid);
    record->uid = xstrdup(kube_object_uid(profile));
    record->news = good_news_of(status);
}

/* The write that would make `old` into `status`, with what there is to be told; takes ownership. */
static struct write *write_new(const struct reconciler *reconciler, const char *profile,
                               const struct record *record, const cJSON *old, cJSON *status)
{
    struct write *write = xcalloc(1, sizeof(*write));
    const struct status_change change = {.index = reconciler->options.index,
                                         .profile = profile,
                                         .old = old,
                                         .new = status};

    write->status = status;
    write->news = record->news;
    transitions_find(&change, &write->news, &write->transitions);
    return write;
}

static void reconcile_status(struct reconciler *reconciler, struct kube_work *work,
                             const struct kube_object *profile, const struct tally *tally,
                             struct record *record)
{
    uint64_t began_ms = clock_monotonic_ms();
    const cJSON *json = kube_object_json(profile);
    const cJSON *old = record->written ? record->written : json_get(json, "status");
    struct profile_spec spec;
    struct rollup rollup = {.profile = &spec,
                            .tally = tally,
                            .old = old,
                            .now_ms = clock_realtime_ms()};
    _cleanup_json_ cJSON *status = NULL, *patch = NULL;

    profile_spec_read(&spec, json);
    record_know(record, profile, old);
    status = rollup_status(&rollup);
    patch = merge_patch(old, status);
    controller_metrics_set_profile(reconciler->options.metrics, spec.name, tally);
    if (patch && reconciler->options.may_write(reconciler->options.userdata))
        write_begin(reconciler, work, profile, record,
                    write_new(reconciler, spec.name, record, old, TAKE_PTR(status)),
                    TAKE_PTR(patch));
    else
        finish(reconciler, work, began_ms, (struct kube_result){.outcome = KUBE_DONE});
}

static void reconcile(void *userdata, const char *key, struct kube_work *work)
{
    struct reconciler *reconciler = userdata;
    const struct kube_object *profile = kube_informer_get(reconciler->options.profiles, NULL, key);
    const struct tally *tally = node_index_tally(reconciler->options.index, key);
    struct record *record;
    uint64_t wait_ms;

    if (!profile || !tally) {
        reconcile_gone(reconciler, key);
        kube_work_done(work, (struct kube_result){.outcome = KUBE_DONE});
        return;
    }
    record = record_get(reconciler, key);
    wait_ms = time_to_wait(reconciler, record);
    if (wait_ms > 0)
        kube_work_done(work,
                       (struct kube_result){.outcome = KUBE_REQUEUE_AFTER, .after_ms = wait_ms});
    else
        reconcile_status(reconciler, work, profile, tally, record);
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
