// SPDX-License-Identifier: Apache-2.0
#include "agent/status_writer.h"

#include <string.h>

#include "agent/agent_metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/kube/informer.h"
#include "lib/policy/profile.h"

static const struct kube_resource nodes_of_ours = {
    .group = POLICY_GROUP,
    .version = POLICY_VERSION,
    .plural = "apparmornodes",
    .kind = "AppArmorNode",
};

static const struct kube_write_options write_options = {.field_manager = "apparmor-agent"};

struct status_writer {
    struct status_writer_options options;
    struct kube_informer *informer;
    struct kube_request *request; /* of whatever kind; one at a time */
    struct attempt attempt;
    cJSON *written; /* status on the server; NULL: not known */
    cJSON *pending; /* status in the request under way */
    bool replaced;  /* the object has gone since the request was sent */
    bool adopted, done;
};

static void set_written(struct status_writer *writer, cJSON *status)
{
    cJSON_Delete(writer->written);
    writer->written = status;
}

/* --- requests --- */

/* What the answer to any request has in common. */
static void answered(struct status_writer *writer, const struct error *err)
{
    writer->request = NULL;
    if (writer->replaced)
        set_written(writer, NULL);
    writer->replaced = false;
    if (err->code) {
        /* Somebody else's creation or deletion of the object is no failure, only not seen yet. */
        if (!kube_error_is_not_found(err) && !kube_error_is_already_exists(err))
            log_warn("AppArmorNode not written", "node", node_name(writer->options.node), "reason",
                     error_reason(err, ""), "err", error_message(err));
        attempt_failed(&writer->attempt);
    }
    writer->options.answered(writer->options.userdata);
}

static void count(const struct status_writer *writer, const struct error *err)
{
    const char *values[] = {"AppArmorNode", err->code ? RESULT_FAILURE : RESULT_SUCCESS};

    metrics_add(writer->options.metrics, METRIC_API_WRITES, 1, values);
}

static void on_created(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct status_writer *writer = userdata;

    count(writer, err);
    if (err->code == 0)
        set_written(writer, cJSON_CreateObject());
    answered(writer, err);
}

static void create(struct status_writer *writer, struct kube_object *node)
{
    _cleanup_json_ cJSON *body =
        status_object(node_name(writer->options.node), kube_object_uid(node));

    writer->request = kube_create(writer->options.client, &nodes_of_ours, NULL, body,
                                  &write_options, on_created, writer);
}

static void on_read(void *userdata, struct kube_object *object, const struct error *err)
{
    struct status_writer *writer = userdata;
    const cJSON *status;

    if (object) {
        status = json_get(kube_object_json(object), "status");
        set_written(writer, status ? cJSON_Duplicate(status, true) : cJSON_CreateObject());
    }
    answered(writer, err);
}

static void read_object(struct status_writer *writer)
{
    writer->request = kube_get(writer->options.client, &nodes_of_ours, NULL,
                               node_name(writer->options.node), NULL, on_read, writer);
}

static void on_patched(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct status_writer *writer = userdata;

    count(writer, err);
    /* Only this: that the object can be read is no sign that it can be written. */
    if (err->code == 0)
        attempt_succeeded(&writer->attempt);
    /* What was sent, not what came back: a definition that drops a field is not written for ever.
     */
    set_written(writer, err->code ? NULL : TAKE_PTR(writer->pending));
    cJSON_Delete(TAKE_PTR(writer->pending));
    answered(writer, err);
}

/* What an agent before this one has said. */
static void adopt(struct status_writer *writer, const struct records *records)
{
    if (records)
        status_adopt(records, writer->written);
    writer->options.adopt(writer->options.userdata, writer->written);
    writer->adopted = true;
}

static void write_status(struct status_writer *writer, const struct status_node *node,
                         const struct records *records)
{
    _cleanup_json_ cJSON *status = NULL;
    _cleanup_json_ cJSON *patch = NULL;

    if (!writer->adopted)
        adopt(writer, records);
    status = status_json(node, records);
    status_keep(status, node, writer->written);
    patch = status_patch(writer->written, status);
    if (!patch) {
        writer->done = true;
        return;
    }
    writer->pending = TAKE_PTR(status);
    writer->request =
        kube_patch(writer->options.client, &nodes_of_ours, NULL, node_name(writer->options.node),
                   "status", KUBE_PATCH_MERGE, patch, &write_options, on_patched, writer);
}

static bool exists(const struct status_writer *writer)
{
    return kube_informer_get(writer->informer, NULL, node_name(writer->options.node)) != NULL;
}

void status_writer_flush(struct status_writer *writer, const struct status_node *node,
                         const struct records *records)
{
    struct kube_object *own = node_object(writer->options.node);

    writer->done = false;
    if (writer->request || !kube_informer_synced(writer->informer) ||
        !attempt_is_due(&writer->attempt))
        return;
    if (writer->written)
        write_status(writer, node, records);
    else if (exists(writer))
        read_object(writer);
    else if (own)
        create(writer, own);
}

bool status_writer_is_done(const struct status_writer *writer)
{
    return writer->done;
}

const struct attempt *status_writer_attempt(const struct status_writer *writer)
{
    return &writer->attempt;
}

/* --- the watch --- */

/* What is on the server now, nobody has told. */
static void lose(struct status_writer *writer)
{
    set_written(writer, NULL);
    writer->replaced = writer->request != NULL;
    writer->options.answered(writer->options.userdata);
}

static void on_updated(void *userdata, struct kube_object *old, struct kube_object *object)
{
    if (strcmp(kube_object_uid(old), kube_object_uid(object)) != 0)
        lose(userdata);
}

static void on_deleted(void *userdata, _unused_ struct kube_object *last,
                       _unused_ enum kube_delete_cause cause)
{
    lose(userdata);
}

static void on_synced(void *userdata)
{
    struct status_writer *writer = userdata;

    /* Now, beside all else that a start waits for. */
    if (!writer->request && !writer->written && exists(writer))
        read_object(writer);
    writer->options.answered(writer->options.userdata);
}

static void on_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("watch failed", "resource", nodes_of_ours.plural, "err", error_message(err));
}

/* --- the module --- */

struct status_writer *status_writer_new(const struct status_writer_options *options)
{
    struct status_writer *writer = xcalloc(1, sizeof(*writer));
    _cleanup_free_ char *selector = xasprintf("metadata.name=%s", node_name(options->node));
    struct kube_informer_options informer = {
        .resource = &nodes_of_ours,
        .field_selector = selector,
        .metadata_only = true,
    };
    struct kube_handler handler = {
        .updated = on_updated,
        .deleted = on_deleted,
        .synced = on_synced,
        .failed = on_failed,
        .userdata = writer,
    };

    writer->options = *options;
    writer->informer = kube_informer_new(options->client, &informer);
    kube_informer_add_handler(writer->informer, &handler);
    return writer;
}

void status_writer_free(struct status_writer *writer)
{
    if (!writer)
        return;
    kube_request_cancel(writer->request);
    kube_informer_free(writer->informer);
    cJSON_Delete(writer->written);
    cJSON_Delete(writer->pending);
    free(writer);
}

void status_writer_start(struct status_writer *writer)
{
    kube_informer_start(writer->informer);
}
