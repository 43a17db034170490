// SPDX-License-Identifier: Apache-2.0
#include "agent/source_cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/deletions.h"
#include "agent/fetches.h"
#include "agent/labels.h"
#include "agent/staged.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/kube/informer.h"
#include "lib/policy/names.h"
#include "lib/policy/selector.h"

static const struct kube_resource profiles = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmorprofiles",
    .kind = "AppArmorProfile",
};

struct source_cluster {
    struct source source;
    struct kube_client *client;
    struct node *node;
    struct kube_informer *informer;
    struct fetches *fetches;
    struct deletions *deletions;
    cJSON *labels; /* of the Node, as last compared */
    char *version; /* what the last lookup has returned */
    bool was_synced;
};

struct source_fetch {
    struct source_cluster *cluster;
    struct fetch *object;
    struct staged *staged; /* follows the object */
    struct marker *held;   /* identity alone, or NULL */
    char *version;
    source_fetch_fn fn;
    void *userdata;
};

static struct source_cluster *of(const struct source *source)
{
    return container_of(source, struct source_cluster, source);
}

static char *version_of(const struct source_cluster *cluster, const struct kube_object *object)
{
    _cleanup_free_ char *staged = staged_version(node_name(cluster->node), object);

    return xasprintf("%s/%" PRId64 "%s", kube_object_uid(object), kube_object_generation(object),
                     staged);
}

static void tell(struct source_cluster *cluster, const char *name)
{
    cluster->source.listener.changed(cluster->source.listener.userdata, name);
}

static void tell_all(struct source_cluster *cluster)
{
    cluster->source.listener.all_changed(cluster->source.listener.userdata);
}

/* --- the watch ----------------------------------------------------------------------------- */

static bool synced(const struct source *source)
{
    const struct source_cluster *cluster = of(source);

    return kube_informer_synced(cluster->informer) && node_object(cluster->node);
}

static int64_t created_ms(const struct kube_object *object)
{
    const char *text = json_string(kube_object_json(object), "metadata", "creationTimestamp");
    int64_t ms = 0;

    if (text)
        (void) clock_parse(text, &ms);
    return ms;
}

static void on_present(struct source_cluster *cluster, struct kube_object *object)
{
    const char *name = kube_object_name(object);

    if (!kube_object_deleting(object))
        deletions_forget(cluster->deletions, name);
    else if (deletions_verdict(cluster->deletions, name) == DELETION_NONE)
        deletions_ask(cluster->deletions, name, created_ms(object), true);
    if (synced(&cluster->source))
        tell(cluster, name);
}

static void on_added(void *userdata, struct kube_object *object)
{
    on_present(userdata, object);
}

static bool published_alike(const struct kube_object *old, const struct kube_object *object)
{
    const char *before = kube_object_annotation(old, POLICY_ROLLOUT_ANNOTATION);
    const char *now = kube_object_annotation(object, POLICY_ROLLOUT_ANNOTATION);

    return before == now || (before && now && strcmp(before, now) == 0);
}

/* Status and labels of the object change more often than what matters here. */
static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    if (strcmp(kube_object_uid(old), kube_object_uid(object)) != 0 ||
        kube_object_generation(old) != kube_object_generation(object) ||
        kube_object_deleting(old) != kube_object_deleting(object) || !published_alike(old, object))
        on_present(userdata, object);
}

static void on_deleted(void *userdata, struct kube_object *last, enum kube_delete_cause cause)
{
    struct source_cluster *cluster = userdata;
    const char *name = kube_object_name(last);

    if (cause == KUBE_DELETED_RESOURCE)
        deletions_orphan(cluster->deletions, name);
    else if (deletions_verdict(cluster->deletions, name) == DELETION_NONE)
        deletions_ask(cluster->deletions, name, created_ms(last), true);
    tell(cluster, name);
}

static void tell_one(void *userdata, struct kube_object *object)
{
    tell(userdata, kube_object_name(object));
}

static void check_synced(struct source_cluster *cluster)
{
    if (cluster->was_synced || !synced(&cluster->source))
        return;
    cluster->was_synced = true;
    kube_informer_each(cluster->informer, tell_one, cluster);
    tell_all(cluster);
}

static void on_synced(void *userdata)
{
    check_synced(userdata);
}

static void on_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("watch failed", "resource", profiles.plural, "err", error_message(err));
}

/* --- the Node ------------------------------------------------------------------------------ */

/* The labels without those that we write ourselves, which select nothing but add up. */
static cJSON *selecting_labels(const cJSON *labels)
{
    cJSON *copy = cJSON_CreateObject();
    const cJSON *label;

    cJSON_ArrayForEach(label, labels)
    {
        if (strncmp(label->string, POLICY_NODE_PROFILE, strlen(POLICY_NODE_PROFILE)) != 0)
            json_add(copy, label->string, cJSON_Duplicate(label, true));
    }
    return copy;
}

static void on_node(void *userdata)
{
    struct source_cluster *cluster = userdata;
    _cleanup_json_ cJSON *labels = selecting_labels(node_labels(cluster->node));

    check_synced(cluster);
    if (!node_object(cluster->node) || json_equal(labels, cluster->labels))
        return;
    cJSON_Delete(cluster->labels);
    cluster->labels = TAKE_PTR(labels);
    if (cluster->was_synced)
        tell_all(cluster);
}

static const cJSON *labels_of_node(struct source *source)
{
    return of(source)->labels;
}

/* --- questions ----------------------------------------------------------------------------- */

static enum source_presence presence_of(enum deletion verdict)
{
    switch (verdict) {
    case DELETION_MEANT:
        return SOURCE_DELETED;
    case DELETION_ASKING:
        return SOURCE_ASKING;
    case DELETION_NONE:
    case DELETION_NOT_MEANT:
        break;
    }
    return SOURCE_UNKNOWN;
}

static enum source_presence lookup_absent(struct source_cluster *cluster, const char *name,
                                          const struct marker *held)
{
    enum deletion verdict = deletions_verdict(cluster->deletions, name);

    if (verdict != DELETION_NONE)
        return presence_of(verdict);
    /* What was loaded without a cluster is not the cluster's to remove. */
    if (!held || !*held->uid)
        return SOURCE_UNKNOWN;
    if (kube_informer_resource_was_missing(cluster->informer)) {
        deletions_orphan(cluster->deletions, name);
        return SOURCE_UNKNOWN;
    }
    deletions_ask(cluster->deletions, name, held->created_ms, false);
    return SOURCE_ASKING;
}

static enum source_presence lookup(struct source *source, const char *name,
                                   const struct marker *held, struct source_meta *ret)
{
    struct source_cluster *cluster = of(source);
    const struct kube_object *object;
    enum deletion verdict;

    if (!synced(source))
        return SOURCE_UNKNOWN;
    object = kube_informer_get(cluster->informer, NULL, name);
    if (!object)
        return lookup_absent(cluster, name, held);
    verdict = deletions_verdict(cluster->deletions, name);
    if (kube_object_deleting(object) && verdict != DELETION_MEANT)
        return presence_of(verdict);
    free(cluster->version);
    cluster->version = version_of(cluster, object);
    *ret = (struct source_meta){
        .uid = kube_object_uid(object),
        .generation = kube_object_generation(object),
        .deleting = kube_object_deleting(object),
        .version = cluster->version,
        .outgrown = held && staged_outgrown(node_name(cluster->node), object, held),
    };
    return SOURCE_PRESENT;
}

static void forget(struct source *source, const char *name)
{
    struct source_cluster *cluster = of(source);

    if (!kube_informer_get(cluster->informer, NULL, name))
        deletions_forget(cluster->deletions, name);
}

static void fetch_free(struct source_fetch *fetch)
{
    fetch_cancel(fetch->object);
    staged_cancel(fetch->staged);
    marker_free(fetch->held);
    free(fetch->version);
    free(fetch);
}

static void on_staged(void *userdata, struct policy_profile *profile, const struct error *err)
{
    struct source_fetch *fetch = userdata;

    fetch->staged = NULL;
    fetch->fn(fetch->userdata, profile, fetch->version, err);
    fetch_free(fetch);
}

/* Where the node is not selected, it is all the same which text it is. */
static bool selects_node(const struct source_cluster *cluster, const struct policy_profile *profile)
{
    return policy_selector_matches(profile->selector, cluster->labels);
}

/* What this node is to have of it; 1 when that is to be fetched still. */
static int choose(struct source_fetch *fetch, const struct kube_object *object,
                  struct policy_profile **ret, struct error *err)
{
    const struct source_cluster *cluster = fetch->cluster;
    int r = policy_profile_parse(kube_object_json(object), ret, err);

    if (r < 0)
        return r;
    fetch->version = version_of(cluster, object);
    if (!selects_node(cluster, *ret))
        return 0;
    return staged_choose(node_name(cluster->node), object, *ret, fetch->held, err);
}

static void on_fetched(void *userdata, struct kube_object *object, const struct error *err)
{
    struct source_fetch *fetch = userdata;
    _cleanup_(policy_profile_freep) struct policy_profile *profile = NULL;
    _cleanup_error_ struct error failure = {0};

    fetch->object = NULL;
    if (err->code) {
        error_copy(&failure, err);
        /* The server's -EINVAL is about the request, not about the object. */
        if (failure.code == -EINVAL || failure.code == -EAGAIN)
            failure.code = -EIO;
        on_staged(fetch, NULL, &failure);
        return;
    }
    switch (choose(fetch, object, &profile, &failure)) {
    case 0:
        on_staged(fetch, TAKE_PTR(profile), &failure);
        break;
    case 1:
        fetch->staged =
            staged_fetch(fetch->cluster->client, object, TAKE_PTR(profile), on_staged, fetch);
        break;
    default:
        on_staged(fetch, NULL, &failure);
        break;
    }
}

/* What of it matters here: the record itself may be another by the time of the answer. */
static struct marker *copy_held(const struct marker *held)
{
    struct marker *copy = xcalloc(1, sizeof(*copy));

    copy->uid = xstrdup(held->uid);
    memcpy(copy->revision, held->revision, sizeof(copy->revision));
    copy->mode = held->mode;
    copy->allow_host_attachment = held->allow_host_attachment;
    return copy;
}

static struct source_fetch *fetch(struct source *source, const char *name,
                                  const struct marker *held, bool newest, source_fetch_fn fn,
                                  void *userdata)
{
    struct source_cluster *cluster = of(source);
    const struct kube_object *seen = kube_informer_get(cluster->informer, NULL, name);
    const struct fetch_what what = {
        .name = name,
        .version = newest ? NULL
                   : seen ? kube_object_resource_version(seen)
                          : "0",
    };
    struct source_fetch *result = xcalloc(1, sizeof(*result));

    result->cluster = cluster;
    result->held = held ? copy_held(held) : NULL;
    result->fn = fn;
    result->userdata = userdata;
    result->object = fetches_add(cluster->fetches, &what, on_fetched, result);
    return result;
}

static void cancel(_unused_ struct source *source, struct source_fetch *fetch_to_end)
{
    fetch_free(fetch_to_end);
}

static size_t count_objects(void *userdata)
{
    const struct source_cluster *cluster = userdata;

    return kube_informer_size(cluster->informer);
}

/* --- the module ---------------------------------------------------------------------------- */

static void start(struct source *source)
{
    kube_informer_start(of(source)->informer);
}

static void on_decided(void *userdata, const char *object)
{
    tell(userdata, object);
}

static void cluster_free(struct source *source)
{
    struct source_cluster *cluster = of(source);

    kube_informer_free(cluster->informer);
    fetches_free(cluster->fetches);
    deletions_free(cluster->deletions);
    cJSON_Delete(cluster->labels);
    free(cluster->version);
    free(cluster);
}

static const struct source_ops ops = {
    .start = start,
    .free = cluster_free,
    .synced = synced,
    .lookup = lookup,
    .forget = forget,
    .fetch = fetch,
    .cancel = cancel,
    .node_labels = labels_of_node,
};

struct source *source_cluster_new(struct kube_client *client, struct node *node)
{
    struct source_cluster *cluster = xcalloc(1, sizeof(*cluster));
    struct kube_informer_options options = {.resource = &profiles, .metadata_only = true};
    struct kube_handler handler = {
        .added = on_added,
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = on_synced,
        .failed = on_failed,
        .userdata = cluster,
    };
    struct node_listener listener = {.changed = on_node, .userdata = cluster};
    struct fetches_options fetches_options = {.client = client,
                                              .resource = &profiles,
                                              .total = count_objects,
                                              .userdata = cluster};

    cluster->source.ops = &ops;
    cluster->client = client;
    cluster->node = node;
    cluster->deletions = deletions_new(client, &profiles, on_decided, cluster);
    cluster->informer = kube_informer_new(client, &options);
    cluster->fetches = fetches_new(&fetches_options);
    kube_informer_add_handler(cluster->informer, &handler);
    node_listen(node, &listener);
    return &cluster->source;
}

bool source_cluster_connected(const struct source *source)
{
    return kube_informer_connected(of(source)->informer);
}
