// SPDX-License-Identifier: Apache-2.0
#include "controller/controller.h"

#include <stdio.h>
#include <string.h>

#include "controller/controller_metrics.h"
#include "controller/nodes.h"
#include "controller/profiles.h"
#include "controller/reconciler.h"
#include "controller/resources.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/options.h"
#include "lib/kube/client.h"
#include "lib/kube/config.h"
#include "lib/kube/informer.h"
#include "lib/serve/health.h"
#include "lib/serve/serve.h"

#define API_QPS 50
#define API_BURST 100

enum source_kind { SOURCE_PROFILES, SOURCE_REPORTS, SOURCE_NODES, SOURCE_COUNT };

struct source {
    struct controller *controller;
    const struct kube_resource *resource;
    struct kube_informer *informer;
};

struct controller {
    uv_loop_t *loop;
    struct kube_client *client;
    struct source sources[SOURCE_COUNT];
    struct node_index *index;
    struct reconciler *reconciler;
    bool started; /* all sources are complete: counts mean something */
    struct metrics *metrics;
    struct health *health;
    struct server *server;
};

/* --- events ------------------------------------------------------------------- */

static void index_changed(void *userdata, const char *profile)
{
    struct controller *controller = userdata;

    if (controller->started)
        reconciler_enqueue(controller->reconciler, profile);
}

static void profile_set(void *userdata, struct kube_object *object)
{
    struct source *source = userdata;
    struct controller *controller = source->controller;
    struct profile_spec spec;

    profile_spec_read(&spec, kube_object_json(object));
    node_index_set_profile(controller->index, &spec);
    reconciler_observed(controller->reconciler, object);
    if (controller->started)
        reconciler_enqueue(controller->reconciler, kube_object_name(object));
}

static void profile_updated(void *userdata, _unused_ struct kube_object *old,
                            struct kube_object *object)
{
    profile_set(userdata, object);
}

static void profile_deleted(void *userdata, struct kube_object *last,
                            _unused_ enum kube_delete_cause cause)
{
    struct source *source = userdata;
    struct controller *controller = source->controller;

    node_index_remove_profile(controller->index, kube_object_name(last));
    if (controller->started)
        reconciler_enqueue(controller->reconciler, kube_object_name(last));
}

static void report_set(void *userdata, struct kube_object *object)
{
    struct source *source = userdata;

    node_index_set_report(source->controller->index, kube_object_name(object),
                          json_get(kube_object_json(object), "status"));
}

static void report_updated(void *userdata, _unused_ struct kube_object *old,
                           struct kube_object *object)
{
    report_set(userdata, object);
}

static void report_deleted(void *userdata, struct kube_object *last,
                           _unused_ enum kube_delete_cause cause)
{
    struct source *source = userdata;

    node_index_remove_report(source->controller->index, kube_object_name(last));
}

static void node_set(void *userdata, struct kube_object *object)
{
    struct source *source = userdata;

    node_index_set_node(source->controller->index, kube_object_name(object),
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
    struct source *source = userdata;

    node_index_remove_node(source->controller->index, kube_object_name(last));
}

static void enqueue_profile(void *userdata, struct kube_object *object)
{
    struct controller *controller = userdata;

    reconciler_enqueue(controller->reconciler, kube_object_name(object));
}

static void log_synced(const struct controller *controller)
{
    char profiles[24], nodes[24];

    (void) snprintf(profiles, sizeof(profiles), "%zu", node_index_profiles(controller->index));
    (void) snprintf(nodes, sizeof(nodes), "%zu", node_index_nodes(controller->index));
    log_info("in sync with the cluster", "profiles", profiles, "nodes", nodes);
}

/* Before all three are complete, counts would tell of nodes that are merely not read yet. */
static void source_synced(void *userdata)
{
    struct source *source = userdata;
    struct controller *controller = source->controller;

    if (controller->started)
        return;
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        if (!kube_informer_synced(controller->sources[i].informer))
            return;
    controller->started = true;
    log_synced(controller);
    kube_informer_each(controller->sources[SOURCE_PROFILES].informer, enqueue_profile, controller);
}

static void source_failed(void *userdata, const struct error *err)
{
    const struct source *source = userdata;

    metrics_add(source->controller->metrics, METRIC_INFORMER_FAILURES, 1,
                (const char *const[]){source->resource->plural});
    log_warn("cannot follow the cluster; will try again", "resource", source->resource->plural,
             "err", error_message(err));
}

/* --- what is kept of objects ---------------------------------------------------- */

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

/* Of a Node, its labels. */
static cJSON *project_node(_unused_ void *userdata, cJSON *object)
{
    static const char *const top[] = {"metadata"};
    static const char *const metadata[] = {"name", "uid", "resourceVersion", "labels"};

    keep_only(object, top, ARRAY_SIZE(top));
    keep_only(cJSON_GetObjectItemCaseSensitive(object, "metadata"), metadata, ARRAY_SIZE(metadata));
    return object;
}

/* Of an AppArmorNode, the reports. */
static cJSON *project_report(_unused_ void *userdata, cJSON *object)
{
    static const char *const top[] = {"metadata", "status"};
    static const char *const metadata[] = {"name", "uid", "resourceVersion"};
    static const char *const status[] = {"apparmor", "profiles"};

    keep_only(object, top, ARRAY_SIZE(top));
    keep_only(cJSON_GetObjectItemCaseSensitive(object, "metadata"), metadata, ARRAY_SIZE(metadata));
    keep_only(cJSON_GetObjectItemCaseSensitive(object, "status"), status, ARRAY_SIZE(status));
    return object;
}

static const struct {
    const struct kube_resource *resource;
    struct kube_informer_options options;
    struct kube_handler handler;
} source_table[SOURCE_COUNT] = {
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
                      {.project = project_node, .metadata_only = true},
                      {.added = node_set, .updated = node_updated, .deleted = node_deleted}},
};

static void source_init(struct controller *controller, enum source_kind kind)
{
    struct source *source = &controller->sources[kind];
    struct kube_informer_options options = source_table[kind].options;
    struct kube_handler handler = source_table[kind].handler;

    source->controller = controller;
    source->resource = options.resource = source_table[kind].resource;
    source->informer = kube_informer_new(controller->client, &options);
    handler.synced = source_synced;
    handler.failed = source_failed;
    handler.userdata = source;
    kube_informer_add_handler(source->informer, &handler);
}

/* --- health ----------------------------------------------------------------------- */

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

static void collect(void *userdata)
{
    struct controller *controller = userdata;

    metrics_set(controller->metrics, METRIC_QUEUE_DEPTH,
                (double) reconciler_depth(controller->reconciler), NULL);
    metrics_set(controller->metrics, METRIC_NODES_KNOWN,
                (double) node_index_nodes(controller->index), NULL);
    metrics_set(controller->metrics, METRIC_PROFILES_KNOWN,
                (double) node_index_profiles(controller->index), NULL);
}

static int controller_serve(struct controller *controller, const struct controller_options *options,
                            struct error *err)
{
    const struct server_options server = {.address = options->listen_address,
                                          .port = options->listen_port};
    struct server_route routes[HEALTH_ROUTES];
    struct health_check checks[SOURCE_COUNT];

    for (size_t i = 0; i < SOURCE_COUNT; i++)
        checks[i] = (struct health_check){source_table[i].resource->plural, source_check,
                                          &controller->sources[i]};
    controller->health = health_new(controller->metrics, checks, SOURCE_COUNT);
    health_set_collect(controller->health, collect, controller);
    health_routes(controller->health, routes);
    return server_new(controller->loop, &server, routes, HEALTH_ROUTES, &controller->server, err);
}

/* --- life --------------------------------------------------------------------------- */

static int controller_connect(struct controller *controller,
                              const struct controller_options *options, struct error *err)
{
    const struct kube_config_source source = {.kubeconfig = options->kubeconfig};
    _cleanup_free_ char *agent = xasprintf("apparmor-controller/%s", options_version());
    const struct kube_client_options client = {.user_agent = agent,
                                               .qps = API_QPS,
                                               .burst = API_BURST};
    _cleanup_(kube_config_freep) struct kube_config *config = NULL;
    int r;

    r = kube_config_load(&source, &config, err);
    if (r < 0)
        return r;
    log_info("starting", "version", options_version(), "server", kube_config_server(config),
             "config", kube_config_origin(config));
    r = kube_client_new(controller->loop, config, &client, &controller->client, err);
    if (r == 0)
        (void) TAKE_PTR(config);
    return r;
}

static void controller_start(struct controller *controller)
{
    struct reconciler_options reconciler;

    controller->index = node_index_new(index_changed, controller);
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        source_init(controller, (enum source_kind) i);
    reconciler = (struct reconciler_options){
        .client = controller->client,
        .profiles = controller->sources[SOURCE_PROFILES].informer,
        .index = controller->index,
        .metrics = controller->metrics,
    };
    controller->reconciler = reconciler_new(&reconciler);
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        kube_informer_start(controller->sources[i].informer);
}

int controller_new(uv_loop_t *loop, const struct controller_options *options,
                   struct controller **ret, struct error *err)
{
    _cleanup_(controller_freep) struct controller *controller = xcalloc(1, sizeof(*controller));
    int r;

    controller->loop = loop;
    controller->metrics = controller_metrics_new();
    r = controller_connect(controller, options, err);
    if (r < 0)
        return r;
    controller_start(controller);
    if (options->listen) {
        r = controller_serve(controller, options, err);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(controller);
    return 0;
}

void controller_free(struct controller *controller)
{
    if (!controller)
        return;
    server_free(controller->server);
    reconciler_free(controller->reconciler);
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        kube_informer_free(controller->sources[i].informer);
    kube_client_free(controller->client);
    node_index_free(controller->index);
    health_free(controller->health);
    metrics_free(controller->metrics);
    free(controller);
}

uint16_t controller_port(const struct controller *controller)
{
    return controller->server ? server_port(controller->server) : 0;
}
