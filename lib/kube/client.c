// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/kube/path.h"
#include "lib/kube/request.h"
#include "lib/kube/watch.h"

#define REQUEST_TIMEOUT_MS 30000
#define RESPONSE_MAX (8 * 1024 * 1024)

const struct kube_resource kube_nodes = {"", "v1", "nodes", "Node", false};
const struct kube_resource kube_pods = {"", "v1", "pods", "Pod", true};
const struct kube_resource kube_events = {"", "v1", "events", "Event", true};
const struct kube_resource kube_leases = {"coordination.k8s.io", "v1", "leases", "Lease", true};

/* --- life --------------------------------------------------------------------------------- */

int kube_client_new(uv_loop_t *loop, struct kube_config *config,
                    const struct kube_client_options *options, struct kube_client **ret,
                    struct error *err)
{
    static const struct kube_client_options defaults;
    struct transport *transport;
    struct kube_client *client;
    int r;

    if (!options)
        options = &defaults;
    r = transport_new(loop, config, options->user_agent ? options->user_agent : "apparmor-operator",
                      &transport, err);
    if (r < 0)
        return r;
    client = xcalloc(1, sizeof(*client));
    client->loop = loop;
    client->transport = transport;
    client->request_timeout_ms =
        options->request_timeout_ms ? options->request_timeout_ms : REQUEST_TIMEOUT_MS;
    client->response_max = options->response_max ? options->response_max : RESPONSE_MAX;
    client->qps = options->qps;
    client->burst = options->burst > 0 ? options->burst : 1;
    client->tokens = client->burst;
    client->refilled_at = clock_monotonic_ms();
    client->observe = options->observe;
    client->userdata = options->userdata;
    TAILQ_INIT(&client->requests);
    TAILQ_INIT(&client->queue);
    LIST_INIT(&client->watches);
    *ret = client;
    return 0;
}

void kube_client_free(struct kube_client *client)
{
    struct kube_request *request;
    struct kube_watch *watch;

    if (!client)
        return;
    /* Nothing that waits may start while others are cancelled. */
    while ((request = TAILQ_FIRST(&client->queue)))
        kube_request_cancel(request);
    while ((request = TAILQ_FIRST(&client->requests)))
        kube_request_cancel(request);
    while ((watch = LIST_FIRST(&client->watches)))
        watch_orphan(watch);
    loop_timer_free(client->gate);
    transport_free(client->transport);
    free(client);
}

uv_loop_t *kube_client_loop(const struct kube_client *client)
{
    return client->loop;
}

const struct kube_config *kube_client_config(const struct kube_client *client)
{
    return transport_config(client->transport);
}

/* --- requests for one object --------------------------------------------------------------- */

static void on_object_done(struct kube_request *request, const struct error *failure)
{
    _cleanup_(kube_object_unrefp) struct kube_object *object = NULL;
    _cleanup_error_ struct error err = {0};
    kube_response_fn fn = request->fn;
    void *userdata = request->userdata;

    error_copy(&err, failure);
    if (err.code == 0 && request_take_object(request, &object, &err) < 0)
        object = NULL;
    request_free(request);
    if (fn)
        fn(userdata, object, &err);
}

static const struct request_hooks object_hooks = {
    .data = request_collect,
    .done = on_object_done,
};

static struct kube_request *object_request(struct kube_client *client, const char *method,
                                           kube_response_fn fn, void *userdata)
{
    struct kube_request *request = request_new(client, &object_hooks, NULL);

    request->method = method;
    request->fn = fn;
    request->userdata = userdata;
    return request;
}

static void set_body(struct kube_request *request, const char *content_type, const cJSON *body)
{
    request->content_type = content_type;
    request->body = json_print(body);
}

static struct kube_request *submit(struct kube_request *request, struct buf *target)
{
    if (target->overflow && request->failure.code == 0)
        error_set(&request->failure, -EFBIG, "the request's path is longer than %zu bytes",
                  target->max);
    request->target = buf_take(target);
    request_submit(request);
    return request;
}

static void add_write_options(struct buf *target, const struct kube_write_options *options)
{
    if (!options)
        return;
    path_add_query(target, "fieldManager", options->field_manager);
    if (options->force)
        path_add_query(target, "force", "true");
    if (options->dry_run)
        path_add_query(target, "dryRun", "All");
}

struct kube_request *kube_get(struct kube_client *client, const struct kube_resource *resource,
                              const char *ns, const char *name, const char *min_version,
                              kube_response_fn fn, void *userdata)
{
    struct kube_request *request = object_request(client, "GET", fn, userdata);
    struct buf target = BUF_INIT(PATH_MAX_BYTES);

    if (path_of(&target, resource, ns, name, NULL, &request->failure) == 0)
        path_add_query(&target, "resourceVersion", min_version);
    return submit(request, &target);
}

struct kube_request *kube_create(struct kube_client *client, const struct kube_resource *resource,
                                 const char *ns, const cJSON *body,
                                 const struct kube_write_options *options, kube_response_fn fn,
                                 void *userdata)
{
    struct kube_request *request = object_request(client, "POST", fn, userdata);
    struct buf target = BUF_INIT(PATH_MAX_BYTES);

    if (resource->namespaced && !ns)
        error_set(&request->failure, -EINVAL, "%s are namespaced: no namespace was given",
                  resource->plural);
    else if (path_of(&target, resource, ns, NULL, NULL, &request->failure) == 0)
        add_write_options(&target, options);
    set_body(request, "application/json", body);
    return submit(request, &target);
}

static const char *patch_type_of(enum kube_patch_type type)
{
    switch (type) {
    case KUBE_PATCH_MERGE:
        return "application/merge-patch+json";
    case KUBE_PATCH_JSON:
        return "application/json-patch+json";
    case KUBE_PATCH_APPLY:
        break;
    }
    /* JSON is YAML. */
    return "application/apply-patch+yaml";
}

struct kube_request *kube_patch(struct kube_client *client, const struct kube_resource *resource,
                                const char *ns, const char *name, const char *subresource,
                                enum kube_patch_type type, const cJSON *body,
                                const struct kube_write_options *options, kube_response_fn fn,
                                void *userdata)
{
    struct kube_request *request = object_request(client, "PATCH", fn, userdata);
    struct buf target = BUF_INIT(PATH_MAX_BYTES);

    if (type == KUBE_PATCH_APPLY && (!options || !options->field_manager))
        error_set(&request->failure, -EINVAL, "a server-side apply needs a field manager");
    else if (path_of(&target, resource, ns, name, subresource, &request->failure) == 0)
        add_write_options(&target, options);
    set_body(request, patch_type_of(type), body);
    return submit(request, &target);
}

/* Adds the precondition to DeleteOptions. */
static void add_uid(cJSON *options, const char *uid)
{
    if (uid)
        json_add_string(json_add_object(options, "preconditions"), "uid", uid);
}

struct kube_request *kube_delete(struct kube_client *client, const struct kube_resource *resource,
                                 const char *ns, const char *name, const char *uid,
                                 kube_response_fn fn, void *userdata)
{
    struct kube_request *request = object_request(client, "DELETE", fn, userdata);
    struct buf target = BUF_INIT(PATH_MAX_BYTES);
    _cleanup_json_ cJSON *body = cJSON_CreateObject();
    int r = path_of(&target, resource, ns, name, NULL, &request->failure);

    (void) r; /* reported by submit() */
    json_add_string(body, "apiVersion", "v1");
    json_add_string(body, "kind", "DeleteOptions");
    add_uid(body, uid);
    set_body(request, "application/json", body);
    return submit(request, &target);
}

struct kube_request *kube_evict(struct kube_client *client, const char *ns, const char *name,
                                const char *uid, kube_response_fn fn, void *userdata)
{
    struct kube_request *request = object_request(client, "POST", fn, userdata);
    struct buf target = BUF_INIT(PATH_MAX_BYTES);
    _cleanup_json_ cJSON *body = cJSON_CreateObject();
    cJSON *metadata;
    int r = path_of(&target, &kube_pods, ns, name, "eviction", &request->failure);

    (void) r; /* reported by submit() */
    json_add_string(body, "apiVersion", "policy/v1");
    json_add_string(body, "kind", "Eviction");
    metadata = json_add_object(body, "metadata");
    json_add_string(metadata, "namespace", ns);
    json_add_string(metadata, "name", name);
    add_uid(json_add_object(body, "deleteOptions"), uid);
    set_body(request, "application/json", body);
    return submit(request, &target);
}
