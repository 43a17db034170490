// SPDX-License-Identifier: Apache-2.0
#include "controller/evictor.h"

#include <string.h>

#include "controller/controller_metrics.h"
#include "controller/eviction.h"
#include "controller/resources.h"
#include "controller/sources.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/kube/workqueue.h"

#define NODES_AT_ONCE 4
/* Until an evicted pod is looked at again, to see whether it has gone. */
#define GOING_MS 5000
/* What people may change: annotations. No watch tells of them. */
#define AGAIN_MS 60000
#define RETRY_MIN_MS 5000
#define RETRY_MAX_MS 300000

struct evictor {
    struct evictor_options options;
    struct kube_workqueue *queue;
    struct map *walks; /* of struct walk, by node */
};

/* Through what one node reports, entry after entry, up to the first pod that goes. */
struct walk {
    struct evictor *evictor;
    struct kube_work *work;
    const char *node; /* the work's */
    cJSON *entries;
    const cJSON *entry; /* being looked at */
    struct kube_object *pod;
    struct kube_request *request;
    bool blocked; /* one is to be tried again */
};

static void walk_free(void *value)
{
    struct walk *walk = value;

    kube_request_cancel(walk->request);
    kube_object_unref(walk->pod);
    json_free(walk->entries);
    free(walk);
}

static void finish(struct walk *walk, enum kube_outcome outcome, uint64_t after_ms)
{
    struct kube_work *work = walk->work;
    struct kube_result result = {.outcome = outcome, .after_ms = after_ms};

    map_remove(walk->evictor->walks, walk->node);
    kube_work_done(work, result);
}

/* --- telling --- */

static void count(const struct evictor *evictor, const char *outcome)
{
    metrics_add(evictor->options.metrics, METRIC_EVICTIONS, 1, (const char *const[]){outcome});
}

static void tell(const struct walk *walk, enum kube_event_type type, const char *reason,
                 const char *message)
{
    char api_version[KUBE_API_VERSION_MAX];
    const struct kube_reference about = kube_reference_to(walk->pod, &kube_pods, api_version);

    log_info(message, "namespace", about.ns, "pod", about.name, "node", walk->node);
    kube_recorder_event(walk->evictor->options.recorder, &about, type, reason, "%s", message);
}

static void tell_evicted(const struct walk *walk)
{
    _cleanup_free_ char *message =
        xasprintf("evicted, so that container %s starts again confined: it asks for %s and runs "
                  "unconfined",
                  json_string(walk->entry, "container"), json_string(walk->entry, "asked"));

    tell(walk, KUBE_EVENT_NORMAL, "AppArmorEvicted", message);
}

static void tell_blocked(const struct walk *walk, const struct error *err)
{
    _cleanup_free_ char *message =
        xasprintf("not evicted yet, though container %s runs unconfined: %s",
                  json_string(walk->entry, "container"), error_message(err));

    tell(walk, KUBE_EVENT_WARNING, "AppArmorEvictionBlocked", message);
}

/* --- one entry --- */

static void next(struct walk *walk);

static void fail(struct walk *walk, const char *what, const struct error *err)
{
    log_warn("cannot evict an unconfined pod; will try again", "node", walk->node, "what", what,
             "err", error_message(err));
    count(walk->evictor, "error");
    walk->blocked = true;
    next(walk);
}

/* It, or its container, is another by now; the node will tell. */
static bool has_changed(const struct error *err)
{
    return kube_error_is_not_found(err) || kube_error_is_conflict(err);
}

static void on_evicted(void *userdata, _unused_ struct kube_object *answer, const struct error *err)
{
    struct walk *walk = userdata;

    walk->request = NULL;
    if (err->code == 0) {
        count(walk->evictor, "evicted");
        tell_evicted(walk);
        finish(walk, KUBE_REQUEUE_AFTER, GOING_MS);
    } else if (kube_error_is_throttled(err)) {
        count(walk->evictor, "blocked");
        tell_blocked(walk, err);
        walk->blocked = true;
        next(walk);
    } else if (has_changed(err)) {
        next(walk);
    } else {
        fail(walk, "eviction", err);
    }
}

/* One is going already, by us or by somebody else: the others wait. */
static void evict(struct walk *walk)
{
    const struct evictor_options *options = &walk->evictor->options;

    if (kube_object_deleting(walk->pod)) {
        log_debug("an unconfined pod has not gone yet", "node", walk->node, "pod",
                  kube_object_name(walk->pod));
        finish(walk, KUBE_REQUEUE_AFTER, GOING_MS);
    } else if (!options->may_write(options->userdata)) {
        finish(walk, KUBE_DONE, 0);
    } else {
        walk->request =
            kube_evict(options->client, kube_object_namespace(walk->pod),
                       kube_object_name(walk->pod), kube_object_uid(walk->pod), on_evicted, walk);
    }
}

static void on_namespace(void *userdata, struct kube_object *namespace, const struct error *err)
{
    struct walk *walk = userdata;

    walk->request = NULL;
    if (err->code != 0 && !has_changed(err))
        fail(walk, "namespace", err);
    else if (namespace && eviction_opts_in(kube_object_json(namespace)))
        evict(walk);
    else
        next(walk);
}

static void on_pod(void *userdata, struct kube_object *pod, const struct error *err)
{
    struct walk *walk = userdata;

    walk->request = NULL;
    if (err->code != 0) {
        if (has_changed(err))
            next(walk);
        else
            fail(walk, "pod", err);
        return;
    }
    walk->pod = kube_object_ref(pod);
    switch (eviction_of(walk->entry, walk->node, kube_object_json(pod))) {
    case EVICTION_NO:
        next(walk);
        break;
    case EVICTION_YES:
        evict(walk);
        break;
    case EVICTION_ASK_NAMESPACE:
        walk->request = kube_get(walk->evictor->options.client, &resource_namespaces, NULL,
                                 kube_object_namespace(pod), NULL, on_namespace, walk);
        break;
    }
}

/* --- all entries of a node --- */

/* Ends the walk when there is no further entry. */
static void next(struct walk *walk)
{
    const char *ns, *pod;

    kube_object_unref(walk->pod);
    walk->pod = NULL;
    walk->entry = walk->entry ? walk->entry->next : walk->entries->child;
    if (!walk->entry) {
        finish(walk, walk->blocked ? KUBE_RETRY : KUBE_REQUEUE_AFTER, AGAIN_MS);
        return;
    }
    ns = json_string(walk->entry, "namespace");
    pod = json_string(walk->entry, "pod");
    walk->request = kube_get(walk->evictor->options.client, &kube_pods, ns ? ns : "",
                             pod ? pod : "", NULL, on_pod, walk);
}

static void reconcile(void *userdata, const char *node, struct kube_work *work)
{
    struct evictor *evictor = userdata;
    const struct kube_object *report = kube_informer_get(evictor->options.reports, NULL, node);
    const cJSON *entries = report ? json_get(kube_object_json(report), SOURCES_UNCONFINED) : NULL;
    struct walk *walk;

    if (!cJSON_IsArray(entries) || !evictor->options.may_write(evictor->options.userdata)) {
        kube_work_done(work, (struct kube_result){.outcome = KUBE_DONE});
        return;
    }
    walk = xcalloc(1, sizeof(*walk));
    walk->evictor = evictor;
    walk->work = work;
    walk->node = node;
    walk->entries = cJSON_Duplicate(entries, true);
    map_set(evictor->walks, node, walk);
    next(walk);
}

/* --- life --- */

struct evictor *evictor_new(const struct evictor_options *options)
{
    struct evictor *evictor = xcalloc(1, sizeof(*evictor));
    struct kube_workqueue_options queue = {
        .base_delay_ms = RETRY_MIN_MS,
        .max_delay_ms = RETRY_MAX_MS,
        .max_active = NODES_AT_ONCE,
        .reconcile = reconcile,
        .userdata = evictor,
    };

    evictor->options = *options;
    evictor->walks = map_new(walk_free);
    evictor->queue = kube_workqueue_new(kube_client_loop(options->client), &queue);
    return evictor;
}

void evictor_free(struct evictor *evictor)
{
    if (!evictor)
        return;
    map_free(evictor->walks);
    kube_workqueue_free(evictor->queue);
    free(evictor);
}

void evictor_enqueue(struct evictor *evictor, const char *node)
{
    kube_workqueue_add(evictor->queue, node);
}
