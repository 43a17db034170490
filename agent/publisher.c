// SPDX-License-Identifier: Apache-2.0
#include "agent/publisher.h"

#include "agent/agent_metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/kube/informer.h"
#include "lib/policy/profile.h"

/* From a change to its flush, and between two flushes, when nothing else is under way … */
#define GATHER_MS 20
#define INTERVAL_MS 200
/* … and in a burst, in which a state may last for less than a write takes: doubled each time. */
#define BURST_MIN_MS 1000
#define BURST_MAX_MS 5000
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 30000
#define FIELD_MANAGER "apparmor-agent"

static const struct kube_resource nodes_of_ours = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmornodes",
    .kind = "AppArmorNode",
};

static const struct kube_write_options write_options = {.field_manager = FIELD_MANAGER};

struct publisher {
    struct publisher_options options;
    struct loop_timer *timer;
    uint64_t due_ms; /* when the timer is active */
    uint64_t flushed_ms;
    uint64_t burst_ms; /* the next wait in a burst; 0: there is none */
    uint64_t retry_ms;

    struct kube_request *label_request;
    struct kube_object *refused; /* the Node as it was when the server refused to label it */

    /* Our AppArmorNode: only its metadata is watched, its status is ours to know. */
    struct kube_informer *informer;
    struct kube_request *object_request; /* of whatever kind; one at a time */
    cJSON *written;                      /* status on the server; NULL: not known */
    cJSON *pending;                      /* status in the request under way */
    bool adopted, published;
};

static void start_timer(struct publisher *publisher, uint64_t due_ms)
{
    uint64_t now = clock_monotonic_ms();

    publisher->due_ms = due_ms;
    loop_timer_start(publisher->timer, due_ms > now ? due_ms - now : 0);
}

/* When the next flush is due for a change that happens now. */
static uint64_t next_flush(struct publisher *publisher)
{
    uint64_t now = clock_monotonic_ms(), earliest = publisher->flushed_ms + INTERVAL_MS;

    if (publisher->options.busy(publisher->options.userdata))
        return now + (publisher->burst_ms ? publisher->burst_ms : BURST_MIN_MS);
    publisher->burst_ms = 0;
    return now + GATHER_MS > earliest ? now + GATHER_MS : earliest;
}

void publisher_changed(struct publisher *publisher)
{
    uint64_t due_ms;

    /* After a failure nothing is sooner than its retry. */
    if (publisher->retry_ms && loop_timer_active(publisher->timer))
        return;
    due_ms = next_flush(publisher);
    if (!loop_timer_active(publisher->timer) || due_ms < publisher->due_ms)
        start_timer(publisher, due_ms);
}

static void retry(struct publisher *publisher)
{
    uint64_t ms = publisher->retry_ms ? publisher->retry_ms : RETRY_MIN_MS;

    publisher->retry_ms = ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : ms * 2;
    start_timer(publisher, clock_monotonic_ms() + ms);
}

static void count(const struct publisher *publisher, const char *object, const struct error *err)
{
    const char *values[] = {object, err->code ? RESULT_FAILURE : RESULT_SUCCESS};

    metrics_add(publisher->options.metrics, METRIC_API_WRITES, 1, values);
}

static void log_failure(const struct publisher *publisher, const char *what,
                        const struct error *err)
{
    log_warn(what, "node", node_name(publisher->options.node), "reason", error_reason(err, ""),
             "err", error_message(err));
}

/* --- labels ---------------------------------------------------------------------------------- */

static void refuse(struct publisher *publisher)
{
    struct kube_object *node = node_object(publisher->options.node);

    kube_object_unref(publisher->refused);
    publisher->refused = node ? kube_object_ref(node) : NULL;
}

static void on_labels(void *userdata, struct kube_object *object, const struct error *err)
{
    struct publisher *publisher = userdata;

    publisher->label_request = NULL;
    count(publisher, "Node", err);
    if (object) {
        publisher->retry_ms = 0;
        node_answered(publisher->options.node, object);
    } else if (kube_error_is_conflict(err) || kube_error_is_not_found(err)) {
        /* Another Node has this name now, or none: the watch will tell. */
        log_failure(publisher, "labels refused", err);
        refuse(publisher);
    } else {
        log_failure(publisher, "labels not written", err);
        retry(publisher);
    }
    publisher->options.answered(publisher->options.userdata);
    publisher_changed(publisher);
}

static void want_labels(const struct publisher *publisher, struct labels_wanted *ret)
{
    const struct records *records = NULL;
    const struct record *record;
    struct status_node node = {0};
    size_t position = 0;

    publisher->options.describe(publisher->options.userdata, &node, &records);
    ret->enabled = node.enabled;
    ret->keep_others = node.unsure;
    while (records && (record = records_next(records, &position)))
        if (record->labelled)
            strv_add(&ret->profiles, record->name);
}

static void flush_labels(struct publisher *publisher)
{
    struct kube_object *node = node_object(publisher->options.node);
    struct labels_wanted wanted = {0};
    _cleanup_json_ cJSON *patch = NULL;

    if (publisher->label_request || !node || node == publisher->refused)
        return;
    want_labels(publisher, &wanted);
    patch = labels_patch(node_labels(publisher->options.node), kube_object_uid(node), &wanted);
    strv_done(&wanted.profiles);
    if (patch)
        publisher->label_request =
            kube_patch(publisher->options.client, &kube_nodes, NULL,
                       node_name(publisher->options.node), NULL, KUBE_PATCH_MERGE, patch,
                       &write_options, on_labels, publisher);
}

bool publisher_label_gone(const struct publisher *publisher, const char *object)
{
    return !publisher->label_request &&
           !labels_has_profile(node_labels(publisher->options.node), object);
}

/* --- AppArmorNode ---------------------------------------------------------------------------- */

static void set_written(struct publisher *publisher, cJSON *status)
{
    cJSON_Delete(publisher->written);
    publisher->written = status;
}

/* What the answer to any request on our object has in common. */
static void object_answered(struct publisher *publisher, const struct error *err)
{
    publisher->object_request = NULL;
    if (err->code == 0) {
        publisher->retry_ms = 0;
    } else {
        /* Somebody else's creation or deletion of the object is no failure, only not seen yet. */
        if (!kube_error_is_not_found(err) && !kube_error_is_already_exists(err))
            log_failure(publisher, "AppArmorNode not written", err);
        retry(publisher);
    }
    publisher->options.answered(publisher->options.userdata);
    publisher_changed(publisher);
}

static void on_created(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct publisher *publisher = userdata;

    count(publisher, "AppArmorNode", err);
    if (err->code == 0)
        set_written(publisher, cJSON_CreateObject());
    object_answered(publisher, err);
}

static void create(struct publisher *publisher, struct kube_object *node)
{
    _cleanup_json_ cJSON *body =
        status_object(node_name(publisher->options.node), kube_object_uid(node));

    publisher->object_request = kube_create(publisher->options.client, &nodes_of_ours, NULL, body,
                                            &write_options, on_created, publisher);
}

static void on_read(void *userdata, struct kube_object *object, const struct error *err)
{
    struct publisher *publisher = userdata;
    const cJSON *status;

    if (object) {
        status = json_get(kube_object_json(object), "status");
        set_written(publisher, status ? cJSON_Duplicate(status, true) : cJSON_CreateObject());
    }
    object_answered(publisher, err);
}

static void read_object(struct publisher *publisher)
{
    publisher->object_request =
        kube_get(publisher->options.client, &nodes_of_ours, NULL,
                 node_name(publisher->options.node), NULL, on_read, publisher);
}

static void on_patched(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct publisher *publisher = userdata;

    count(publisher, "AppArmorNode", err);
    /* What was sent, not what came back: a definition that drops a field is not written for ever.
     */
    set_written(publisher, err->code ? NULL : TAKE_PTR(publisher->pending));
    cJSON_Delete(TAKE_PTR(publisher->pending));
    object_answered(publisher, err);
}

static void write_status(struct publisher *publisher)
{
    _cleanup_json_ cJSON *status = NULL;
    _cleanup_json_ cJSON *patch = NULL;
    const struct records *records = NULL;
    struct status_node node = {0};

    publisher->options.describe(publisher->options.userdata, &node, &records);
    if (records && !publisher->adopted)
        status_adopt_times(records, publisher->written);
    publisher->adopted = true;
    status = status_json(&node, records);
    patch = status_patch(publisher->written, status);
    if (!patch)
        return;
    publisher->pending = TAKE_PTR(status);
    publisher->object_request =
        kube_patch(publisher->options.client, &nodes_of_ours, NULL,
                   node_name(publisher->options.node), "status", KUBE_PATCH_MERGE, patch,
                   &write_options, on_patched, publisher);
}

static void flush_object(struct publisher *publisher)
{
    struct kube_object *node = node_object(publisher->options.node);

    if (publisher->object_request || !kube_informer_synced(publisher->informer))
        return;
    if (publisher->written)
        write_status(publisher);
    else if (kube_informer_get(publisher->informer, NULL, node_name(publisher->options.node)))
        read_object(publisher);
    else if (node)
        create(publisher, node);
}

static void on_object_deleted(void *userdata, _unused_ struct kube_object *last,
                              _unused_ enum kube_delete_cause cause)
{
    struct publisher *publisher = userdata;

    set_written(publisher, NULL);
    publisher_changed(publisher);
}

static void on_object_synced(void *userdata)
{
    publisher_changed(userdata);
}

static void on_object_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("watch failed", "resource", nodes_of_ours.plural, "err", error_message(err));
}

static void watch_object(struct publisher *publisher)
{
    _cleanup_free_ char *selector =
        xasprintf("metadata.name=%s", node_name(publisher->options.node));
    struct kube_informer_options options = {
        .resource = &nodes_of_ours,
        .field_selector = selector,
        .metadata_only = true,
    };
    struct kube_handler handler = {
        .deleted = on_object_deleted,
        .synced = on_object_synced,
        .failed = on_object_failed,
        .userdata = publisher,
    };

    publisher->informer = kube_informer_new(publisher->options.client, &options);
    kube_informer_add_handler(publisher->informer, &handler);
}

/* --- the module ------------------------------------------------------------------------------ */

static uint64_t grow(uint64_t burst_ms)
{
    uint64_t next = burst_ms ? burst_ms * 2 : BURST_MIN_MS * 2;

    return next > BURST_MAX_MS ? BURST_MAX_MS : next;
}

static void flush(void *userdata)
{
    struct publisher *publisher = userdata;

    if (!publisher->options.ready(publisher->options.userdata))
        return;
    publisher->flushed_ms = clock_monotonic_ms();
    if (publisher->options.busy(publisher->options.userdata))
        publisher->burst_ms = grow(publisher->burst_ms);
    flush_labels(publisher);
    flush_object(publisher);
    if (publisher->written && !publisher->label_request && !publisher->object_request)
        publisher->published = true;
}

bool publisher_has_published(const struct publisher *publisher)
{
    return publisher->published;
}

static void on_node(void *userdata)
{
    struct publisher *publisher = userdata;

    publisher->options.answered(publisher->options.userdata);
    publisher_changed(publisher);
}

struct publisher *publisher_new(const struct publisher_options *options)
{
    struct publisher *publisher = xcalloc(1, sizeof(*publisher));
    struct node_listener listener = {.changed = on_node, .userdata = publisher};

    publisher->options = *options;
    publisher->timer = loop_timer_new(kube_client_loop(options->client), flush, publisher);
    node_listen(options->node, &listener);
    watch_object(publisher);
    return publisher;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    kube_request_cancel(publisher->label_request);
    kube_request_cancel(publisher->object_request);
    kube_object_unref(publisher->refused);
    kube_informer_free(publisher->informer);
    loop_timer_free(publisher->timer);
    cJSON_Delete(publisher->written);
    cJSON_Delete(publisher->pending);
    free(publisher);
}

void publisher_start(struct publisher *publisher)
{
    kube_informer_start(publisher->informer);
}
