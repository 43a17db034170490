// SPDX-License-Identifier: Apache-2.0
#include "controller/sources.h"

#include <assert.h>
#include <string.h>

#include "controller/conditions.h"
#include "controller/controller_metrics.h"
#include "controller/profiles.h"
#include "controller/resources.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/map.h"

enum source_kind { SOURCE_PROFILES, SOURCE_REPORTS, SOURCE_NODES, SOURCE_PODS, SOURCE_FEATURES };

/* Of the pods of deploy/base/agent-daemonset.yaml. */
#define AGENT_SELECTOR SOURCES_AGENT_LABEL "=" SOURCES_AGENT

struct source {
    struct sources *sources;
    const struct kube_resource *resource;
    struct kube_informer *informer;
};

struct sources {
    struct sources_options options;
    struct source items[SOURCES];
    struct map *unread; /* by uid, of struct node_report; see project_report() */
    bool synced;
};

/* --- AppArmorProfiles ----------------------------------------------------------- */

static void profile_set(void *userdata, struct kube_object *object)
{
    const struct source *source = userdata;
    const struct sources_options *options = &source->sources->options;
    struct profile_spec spec;

    profile_spec_read(&spec, kube_object_json(object));
    node_index_set_profile(options->index, &spec);
    options->profile_seen(options->userdata, object);
}

static void profile_updated(void *userdata, _unused_ struct kube_object *old,
                            struct kube_object *object)
{
    profile_set(userdata, object);
}

static void profile_deleted(void *userdata, struct kube_object *last,
                            _unused_ enum kube_delete_cause cause)
{
    const struct source *source = userdata;
    const struct sources_options *options = &source->sources->options;

    node_index_remove_profile(options->index, kube_object_name(last));
    options->profile_gone(options->userdata, kube_object_name(last));
}

/* --- what is kept of the others --------------------------------------------------- */

static void keep_only(cJSON *object, const char *const *keys, size_t count)
{
    cJSON *item = object ? object->child : NULL;

    while (item) {
        cJSON *next = item->next;
        bool keep = false;

        for (size_t i = 0; i < count; i++)
            keep = keep || strcmp(item->string, keys[i]) == 0;
        if (!keep)
            cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
        item = next;
    }
}

/* --- AppArmorNodes ---------------------------------------------------------------- */

/* The informer has shown this version of the object, and will not show it again. */
static bool is_shown(const struct sources *sources, const cJSON *metadata)
{
    const char *name = json_string(metadata, "name");
    const char *version = json_string(metadata, "resourceVersion");
    const struct kube_object *shown =
        kube_informer_get(sources->items[SOURCE_REPORTS].informer, NULL, name ? name : "");

    return shown && version && strcmp(kube_object_resource_version(shown), version) == 0;
}

/* Out of the status, which is not kept. */
static void raise_unconfined(cJSON *object)
{
    cJSON *status = cJSON_GetObjectItemCaseSensitive(object, "status");
    cJSON *list = cJSON_DetachItemFromObjectCaseSensitive(status, SOURCES_UNCONFINED);

    cJSON_DeleteItemFromObjectCaseSensitive(object, SOURCES_UNCONFINED);
    if (cJSON_GetArraySize(list) > 0)
        json_add(object, SOURCES_UNCONFINED, list);
    else
        json_free(list);
}

static void raise_owner(cJSON *object)
{
    const cJSON *owner = cJSON_GetArrayItem(json_get(object, "metadata", "ownerReferences"), 0);
    const char *uid = json_string(owner, "uid");

    cJSON_DeleteItemFromObjectCaseSensitive(object, SOURCES_OWNER);
    if (uid)
        json_add_string(object, SOURCES_OWNER, uid);
}

/*
 * What thousands of nodes say about hundreds of profiles is kept once, in the index, where equal
 * reports are one: it is read as the object comes in, and the store is left with names and
 * versions, and the few containers that run unconfined. Until the handlers hear of the object,
 * which is when a list is complete, the report waits.
 */
static cJSON *project_report(void *userdata, cJSON *object)
{
    static const char *const top[] = {"metadata", SOURCES_UNCONFINED, SOURCES_OWNER};
    static const char *const identity[] = {"name", "uid", "resourceVersion"};
    cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    const char *uid = json_string(metadata, "uid");
    struct sources *sources = userdata;

    if (uid && !is_shown(sources, metadata))
        map_set(sources->unread, uid,
                node_index_read_report(sources->options.index, json_get(object, "status")));
    raise_unconfined(object);
    raise_owner(object);
    keep_only(object, top, ARRAY_SIZE(top));
    keep_only(metadata, identity, ARRAY_SIZE(identity));
    return object;
}

static void free_report(void *report)
{
    node_report_free(report);
}

static void report_set(void *userdata, struct kube_object *object)
{
    const struct source *source = userdata;
    const struct sources_options *options = &source->sources->options;
    struct node_report *report = map_take(source->sources->unread, kube_object_uid(object));

    assert(report);
    kernels_set_node(options->kernels, kube_object_name(object),
                     report->enabled ? report->features : NULL, clock_monotonic_ms());
    node_index_set_report(options->index, kube_object_name(object), report);
    options->report_seen(options->userdata, kube_object_name(object));
}

static void report_updated(void *userdata, _unused_ struct kube_object *old,
                           struct kube_object *object)
{
    report_set(userdata, object);
}

static void report_deleted(void *userdata, struct kube_object *last,
                           _unused_ enum kube_delete_cause cause)
{
    const struct source *source = userdata;

    map_remove(source->sources->unread, kube_object_uid(last));
    kernels_set_node(source->sources->options.kernels, kube_object_name(last), NULL,
                     clock_monotonic_ms());
    node_index_remove_report(source->sources->options.index, kube_object_name(last));
}

/* --- readiness ---------------------------------------------------------------------- */

#define READY SOURCES_READY

/* Condition Ready, out of the status, which is not kept; absent for no. */
static void raise_ready(cJSON *object)
{
    const char *ready =
        json_string(condition_find(json_get(object, "status", "conditions"), "Ready"), "status");

    cJSON_DeleteItemFromObjectCaseSensitive(object, READY);
    if (ready && strcmp(ready, "True") == 0)
        json_add_bool(object, READY, true);
}

static bool is_ready(const struct kube_object *object)
{
    return json_bool(json_get(kube_object_json(object), READY), false);
}

/* --- Nodes -------------------------------------------------------------------------- */

static cJSON *project_node(_unused_ void *userdata, cJSON *object)
{
    static const char *const top[] = {"metadata", READY};
    static const char *const metadata[] = {"name", "uid", "resourceVersion", "labels"};

    raise_ready(object);
    keep_only(object, top, ARRAY_SIZE(top));
    keep_only(cJSON_GetObjectItemCaseSensitive(object, "metadata"), metadata, ARRAY_SIZE(metadata));
    return object;
}

static void node_set(void *userdata, struct kube_object *object)
{
    const struct source *source = userdata;
    const struct sources_options *options = &source->sources->options;

    liveness_set_node(options->liveness, kube_object_name(object), is_ready(object),
                      clock_monotonic_ms());
    node_index_set_node(options->index, kube_object_name(object),
                        json_get(kube_object_json(object), "metadata", "labels"));
}

static void node_updated(void *userdata, _unused_ struct kube_object *old,
                         struct kube_object *object)
{
    node_set(userdata, object);
}

static void node_deleted(void *userdata, struct kube_object *last,
                         _unused_ enum kube_delete_cause cause)
{
    const struct source *source = userdata;
    const struct sources_options *options = &source->sources->options;

    liveness_remove_node(options->liveness, kube_object_name(last));
    node_index_remove_node(options->index, kube_object_name(last));
}

/* --- the agents' pods ----------------------------------------------------------------- */

#define NODE "node"

static cJSON *project_pod(_unused_ void *userdata, cJSON *object)
{
    static const char *const top[] = {"metadata", READY, NODE};
    static const char *const metadata[] = {"name", "namespace", "uid", "resourceVersion"};
    cJSON *node =
        cJSON_DetachItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, "spec"),
                                                "nodeName");

    raise_ready(object);
    cJSON_DeleteItemFromObjectCaseSensitive(object, NODE);
    if (node)
        json_add(object, NODE, node);
    keep_only(object, top, ARRAY_SIZE(top));
    keep_only(cJSON_GetObjectItemCaseSensitive(object, "metadata"), metadata, ARRAY_SIZE(metadata));
    return object;
}

static void pod_added(void *userdata, struct kube_object *object)
{
    const struct source *source = userdata;
    const char *node = json_string(kube_object_json(object), NODE);

    if (node)
        liveness_add_pod(source->sources->options.liveness, node, is_ready(object),
                         clock_monotonic_ms());
}

static void pod_removed(void *userdata, const struct kube_object *object)
{
    const struct source *source = userdata;
    const char *node = json_string(kube_object_json(object), NODE);

    if (node)
        liveness_remove_pod(source->sources->options.liveness, node, is_ready(object),
                            clock_monotonic_ms());
}

static void pod_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    /* In this order a pod that stays Ready is Ready all the time. */
    pod_added(userdata, object);
    pod_removed(userdata, old);
}

static void pod_deleted(void *userdata, struct kube_object *last,
                        _unused_ enum kube_delete_cause cause)
{
    pod_removed(userdata, last);
}

/* --- kernel features ------------------------------------------------------------------ */

static cJSON *project_features(_unused_ void *userdata, cJSON *object)
{
    static const char *const top[] = {"metadata", "data"};
    static const char *const metadata[] = {"name", "namespace", "uid", "resourceVersion"};
    static const char *const data[] = {FEATURES_KEY};

    keep_only(object, top, ARRAY_SIZE(top));
    keep_only(cJSON_GetObjectItemCaseSensitive(object, "metadata"), metadata, ARRAY_SIZE(metadata));
    keep_only(cJSON_GetObjectItemCaseSensitive(object, "data"), data, ARRAY_SIZE(data));
    return object;
}

static void features_set(void *userdata, struct kube_object *object)
{
    const struct source *source = userdata;

    kernels_set_text(source->sources->options.kernels, kube_object_name(object),
                     json_string(kube_object_json(object), "data", FEATURES_KEY),
                     clock_monotonic_ms());
}

static void features_updated(void *userdata, _unused_ struct kube_object *old,
                             struct kube_object *object)
{
    features_set(userdata, object);
}

static void features_deleted(void *userdata, struct kube_object *last,
                             _unused_ enum kube_delete_cause cause)
{
    const struct source *source = userdata;

    kernels_remove_text(source->sources->options.kernels, kube_object_name(last));
}

/* --- all ------------------------------------------------------------------------------ */

static void source_synced(void *userdata)
{
    struct source *source = userdata;
    struct sources *sources = source->sources;

    if (sources->synced)
        return;
    for (size_t i = 0; i < SOURCES; i++)
        if (!kube_informer_synced(sources->items[i].informer))
            return;
    sources->synced = true;
    sources->options.synced(sources->options.userdata);
}

static void source_failed(void *userdata, const struct error *err)
{
    const struct source *source = userdata;

    /* A list that was not completed: the next one brings it all again. */
    if (source == &source->sources->items[SOURCE_REPORTS])
        map_clear(source->sources->unread);
    metrics_add(source->sources->options.metrics, METRIC_INFORMER_FAILURES, 1,
                (const char *const[]){source->resource->plural});
    log_warn("cannot follow the cluster; will try again", "resource", source->resource->plural,
             "err", error_message(err));
}

static const char *source_check(void *userdata)
{
    const struct source *source = userdata;

    if (!kube_informer_synced(source->informer))
        return kube_informer_resource_was_missing(source->informer)
                   ? "the API server does not have this resource: apply the CRDs of this release"
                   : "not read yet";
    if (!kube_informer_connected(source->informer))
        return "the watch is interrupted: what is known may be out of date";
    return NULL;
}

static const struct {
    const struct kube_resource *resource;
    struct kube_informer_options options;
    struct kube_handler handler;
} source_table[SOURCES] = {
    [SOURCE_PROFILES] = {&resource_profiles,
                         {.project = profile_project},
                         {.added = profile_set,
                          .updated = profile_updated,
                          .deleted = profile_deleted}},
    [SOURCE_REPORTS] = {&resource_nodes,
                        {.project = project_report},
                        {.added = report_set,
                         .updated = report_updated,
                         .deleted = report_deleted}},
    [SOURCE_NODES] = {&kube_nodes,
                      {.project = project_node},
                      {.added = node_set, .updated = node_updated, .deleted = node_deleted}},
    [SOURCE_PODS] = {&kube_pods,
                     {.project = project_pod, .label_selector = AGENT_SELECTOR},
                     {.added = pod_added, .updated = pod_updated, .deleted = pod_deleted}},
    [SOURCE_FEATURES] = {&resource_configmaps,
                         {.project = project_features, .label_selector = FEATURES_LABEL "=true"},
                         {.added = features_set,
                          .updated = features_updated,
                          .deleted = features_deleted}},
};

static void source_init(struct sources *sources, enum source_kind kind)
{
    struct source *source = &sources->items[kind];
    struct kube_informer_options options = source_table[kind].options;
    struct kube_handler handler = source_table[kind].handler;

    source->sources = sources;
    source->resource = options.resource = source_table[kind].resource;
    options.project_userdata = sources;
    if (source->resource->namespaced)
        options.ns = sources->options.agent_namespace;
    source->informer = kube_informer_new(sources->options.client, &options);
    handler.synced = source_synced;
    handler.failed = source_failed;
    handler.userdata = source;
    kube_informer_add_handler(source->informer, &handler);
}

struct sources *sources_new(const struct sources_options *options)
{
    struct sources *sources = xcalloc(1, sizeof(*sources));

    sources->options = *options;
    sources->unread = map_new(free_report);
    for (size_t i = 0; i < SOURCES; i++)
        source_init(sources, (enum source_kind) i);
    return sources;
}

void sources_free(struct sources *sources)
{
    if (!sources)
        return;
    for (size_t i = 0; i < SOURCES; i++)
        kube_informer_free(sources->items[i].informer);
    map_free(sources->unread);
    free(sources);
}

void sources_start(struct sources *sources)
{
    for (size_t i = 0; i < SOURCES; i++)
        kube_informer_start(sources->items[i].informer);
}

bool sources_synced(const struct sources *sources)
{
    return sources->synced;
}

const struct kube_informer *sources_profiles(const struct sources *sources)
{
    return sources->items[SOURCE_PROFILES].informer;
}

const struct kube_informer *sources_reports(const struct sources *sources)
{
    return sources->items[SOURCE_REPORTS].informer;
}

const struct kube_informer *sources_nodes(const struct sources *sources)
{
    return sources->items[SOURCE_NODES].informer;
}

const struct kube_informer *sources_features(const struct sources *sources)
{
    return sources->items[SOURCE_FEATURES].informer;
}

void sources_checks(struct sources *sources, struct health_check ret[static SOURCES])
{
    for (size_t i = 0; i < SOURCES; i++)
        ret[i] = (struct health_check){sources->items[i].resource->plural, source_check,
                                       &sources->items[i]};
}
