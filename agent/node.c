// SPDX-License-Identifier: Apache-2.0
#include "agent/node.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/kube/informer.h"

struct node {
    char *name;
    struct kube_informer *informer;
    struct kube_object *object;
    uint64_t newest; /* version that has been shown, also of a Node that is gone */
    struct node_listener listeners[NODE_LISTENERS_MAX];
    size_t listener_count;
};

static void notify(struct node *node)
{
    for (size_t i = 0; i < node->listener_count; i++)
        node->listeners[i].changed(node->listeners[i].userdata);
}

/* Resource versions of one resource are comparable decimal numbers in every supported release. */
static bool is_news(struct node *node, const struct kube_object *object)
{
    uint64_t version = strtoull(kube_object_resource_version(object), NULL, 10);

    if (version < node->newest)
        return false;
    node->newest = version;
    return true;
}

static void set_object(struct node *node, struct kube_object *object)
{
    if (object)
        kube_object_ref(object);
    kube_object_unref(node->object);
    node->object = object;
    notify(node);
}

static void on_added(void *userdata, struct kube_object *object)
{
    if (is_news(userdata, object))
        set_object(userdata, object);
}

static void on_updated(void *userdata, _unused_ struct kube_object *old, struct kube_object *object)
{
    if (is_news(userdata, object))
        set_object(userdata, object);
}

/* An answer to a request may have shown the next Node of that name already. */
static void on_deleted(void *userdata, struct kube_object *last,
                       _unused_ enum kube_delete_cause cause)
{
    struct node *node = userdata;

    if (node->object && strcmp(kube_object_uid(node->object), kube_object_uid(last)) != 0)
        return;
    (void) is_news(node, last);
    set_object(node, NULL);
}

static void on_synced(void *userdata)
{
    notify(userdata);
}

static void on_failed(void *userdata, const struct error *err)
{
    struct node *node = userdata;

    log_warn("watch failed", "resource", "nodes", "node", node->name, "err", error_message(err));
}

struct node *node_new(struct kube_client *client, const char *name)
{
    struct node *node = xcalloc(1, sizeof(*node));
    _cleanup_free_ char *selector = xasprintf("metadata.name=%s", name);
    struct kube_informer_options options = {
        .resource = &kube_nodes,
        .field_selector = selector,
        .metadata_only = true,
    };
    struct kube_handler handler = {
        .added = on_added,
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = on_synced,
        .failed = on_failed,
        .userdata = node,
    };

    node->name = xstrdup(name);
    node->informer = kube_informer_new(client, &options);
    kube_informer_add_handler(node->informer, &handler);
    return node;
}

void node_free(struct node *node)
{
    if (!node)
        return;
    kube_informer_free(node->informer);
    kube_object_unref(node->object);
    free(node->name);
    free(node);
}

void node_listen(struct node *node, const struct node_listener *listener)
{
    if (node->listener_count == NODE_LISTENERS_MAX)
        abort();
    node->listeners[node->listener_count++] = *listener;
}

void node_start(struct node *node)
{
    kube_informer_start(node->informer);
}

const char *node_name(const struct node *node)
{
    return node->name;
}

bool node_synced(const struct node *node)
{
    return kube_informer_synced(node->informer);
}

struct kube_object *node_object(const struct node *node)
{
    return node->object;
}

const cJSON *node_labels(const struct node *node)
{
    return node->object ? json_get(kube_object_json(node->object), "metadata", "labels") : NULL;
}

void node_answered(struct node *node, struct kube_object *object)
{
    if (is_news(node, object))
        set_object(node, object);
}
