// SPDX-License-Identifier: Apache-2.0
#include "agent/features_publisher.h"

#include <string.h>

#include "agent/attempt.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

/* An administrator, or the controller, may have deleted it. Thousands of nodes ask. */
#define AGAIN_MS (60 * 60 * 1000)

static const struct kube_resource configmaps = {
    .group = "",
    .version = "v1",
    .plural = "configmaps",
    .kind = "ConfigMap",
    .namespaced = true,
};

struct features_publisher {
    struct kube_client *client;
    const char *ns;
    struct features *features;
    char *name;
    struct kube_request *request;
    struct attempt attempt;
    struct loop_timer *timer;
};

static void settled(struct features_publisher *publisher)
{
    attempt_succeeded(&publisher->attempt);
    loop_timer_start(publisher->timer, AGAIN_MS);
}

static void again(struct features_publisher *publisher)
{
    attempt_failed(&publisher->attempt);
    loop_timer_start(publisher->timer, attempt_wait_ms(&publisher->attempt));
}

static void failed(struct features_publisher *publisher, const char *what, const struct error *err)
{
    log_debug(what, "configmap", publisher->name, "err", error_message(err));
    again(publisher);
}

static cJSON *make_body(const struct features_publisher *publisher)
{
    cJSON *body = cJSON_CreateObject(), *metadata = json_add_object(body, "metadata");
    _cleanup_buf_ struct buf text = BUF_INIT(FEATURES_MAX);
    _cleanup_error_ struct error err = {0};

    if (features_text(publisher->features, &text, &err) < 0)
        log_warn("kernel features cannot be read", "err", error_message(&err));
    json_add_string(body, "apiVersion", "v1");
    json_add_string(body, "kind", configmaps.kind);
    json_add_string(metadata, "name", publisher->name);
    json_add_string(json_add_object(metadata, "labels"), FEATURES_LABEL, "true");
    json_add_bool(body, "immutable", true);
    json_add_string(json_add_object(body, "data"), FEATURES_KEY, buf_string(&text));
    return body;
}

static void on_created(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct features_publisher *publisher = userdata;

    publisher->request = NULL;
    if (err->code && !kube_error_is_already_exists(err)) {
        failed(publisher, "kernel features are not published; will try again", err);
        return;
    }
    settled(publisher);
}

static void create(struct features_publisher *publisher)
{
    static const struct kube_write_options options = {.field_manager = "apparmor-agent"};
    _cleanup_json_ cJSON *body = make_body(publisher);

    publisher->request = kube_create(publisher->client, &configmaps, publisher->ns, body, &options,
                                     on_created, publisher);
}

static bool is_whole(const struct features_publisher *publisher, const struct kube_object *object)
{
    const char *text = json_string(kube_object_json(object), "data", FEATURES_KEY);
    char id[FEATURES_ID_SIZE];

    if (!text)
        return false;
    features_id_of(text, strlen(text), id);
    return strcmp(id, features_id(publisher->features)) == 0;
}

/* Asked first: a request to create what is there counts against the namespace's quota all the same,
 * until that is counted again. */
static void on_read(void *userdata, struct kube_object *object, const struct error *err)
{
    struct features_publisher *publisher = userdata;

    publisher->request = NULL;
    if (kube_error_is_not_found(err)) {
        create(publisher);
    } else if (err->code) {
        failed(publisher, "kernel features cannot be looked up; will try again", err);
    } else if (!is_whole(publisher, object)) {
        log_warn(
            "a ConfigMap claims to have this kernel's features, and has others: the controller "
            "will delete it",
            "configmap", publisher->name);
        again(publisher);
    } else {
        settled(publisher);
    }
}

static void look(void *userdata)
{
    struct features_publisher *publisher = userdata;

    publisher->request = kube_get(publisher->client, &configmaps, publisher->ns, publisher->name,
                                  "0", on_read, publisher);
}

struct features_publisher *features_publisher_new(struct kube_client *client, const char *ns,
                                                  struct features *features)
{
    struct features_publisher *publisher = xcalloc(1, sizeof(*publisher));

    publisher->client = client;
    publisher->ns = ns;
    publisher->features = features;
    publisher->name = xasprintf(FEATURES_PREFIX "%s", features_id(features));
    publisher->timer = loop_timer_new(kube_client_loop(client), look, publisher);
    loop_timer_start(publisher->timer, 0);
    return publisher;
}

void features_publisher_free(struct features_publisher *publisher)
{
    if (!publisher)
        return;
    kube_request_cancel(publisher->request);
    loop_timer_free(publisher->timer);
    free(publisher->name);
    free(publisher);
}
