// SPDX-License-Identifier: Apache-2.0
#include "agent/label_writer.h"

#include "agent/agent_metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

static const struct kube_write_options write_options = {.field_manager = "apparmor-agent"};

struct label_writer {
    struct label_writer_options options;
    struct kube_request *request; /* of whatever kind; one at a time */
    struct attempt attempt;
    struct kube_object *missing; /* the Node that the server says it does not have */
    bool certain;                /* an answer has told the labels since the last doubtful write */
    bool ask;                    /* somebody wants to be certain */
    bool done;
};

static void log_failure(const struct label_writer *writer, const char *what,
                        const struct error *err)
{
    log_warn(what, "node", node_name(writer->options.node), "reason", error_reason(err, ""), "err",
             error_message(err));
}

static void note_missing(struct label_writer *writer)
{
    struct kube_object *node = node_object(writer->options.node);

    kube_object_unref(writer->missing);
    writer->missing = node ? kube_object_ref(node) : NULL;
}

/* What the answer to any request has in common. */
static void answered(struct label_writer *writer, struct kube_object *object,
                     const struct error *err)
{
    writer->request = NULL;
    if (object) {
        writer->certain = true;
        writer->ask = false;
        node_answered(writer->options.node, object);
    } else if (kube_error_is_not_found(err)) {
        /* There is none of this name now: the watch will tell. */
        note_missing(writer);
    } else {
        attempt_failed(&writer->attempt);
    }
    writer->options.answered(writer->options.userdata);
}

static void on_read(void *userdata, struct kube_object *object, const struct error *err)
{
    struct label_writer *writer = userdata;

    if (!object && !kube_error_is_not_found(err))
        log_failure(writer, "Node not read", err);
    answered(writer, object, err);
}

static void on_written(void *userdata, struct kube_object *object, const struct error *err)
{
    struct label_writer *writer = userdata;
    const char *values[] = {"Node", err->code ? RESULT_FAILURE : RESULT_SUCCESS};

    metrics_add(writer->options.metrics, METRIC_API_WRITES, 1, values);
    if (object) {
        attempt_succeeded(&writer->attempt);
    } else {
        log_failure(writer, "labels not written", err);
        /* It may have arrived, or the Node may be another of the same name. */
        writer->certain = false;
        writer->ask = true;
    }
    answered(writer, object, err);
}

static void read_node(struct label_writer *writer)
{
    writer->request = kube_get(writer->options.client, &kube_nodes, NULL,
                               node_name(writer->options.node), NULL, on_read, writer);
}

static void write_labels(struct label_writer *writer, const cJSON *patch)
{
    writer->request =
        kube_patch(writer->options.client, &kube_nodes, NULL, node_name(writer->options.node), NULL,
                   KUBE_PATCH_MERGE, patch, &write_options, on_written, writer);
}

void label_writer_flush(struct label_writer *writer, const struct labels_wanted *wanted)
{
    struct kube_object *node = node_object(writer->options.node);
    _cleanup_json_ cJSON *patch = NULL;

    writer->done = false;
    if (writer->request || !node || node == writer->missing || !attempt_is_due(&writer->attempt))
        return;
    if (writer->ask) {
        read_node(writer);
        return;
    }
    patch = labels_patch(node_labels(writer->options.node), kube_object_uid(node), wanted);
    if (patch)
        write_labels(writer, patch);
    else
        writer->done = true;
}

bool label_writer_is_done(const struct label_writer *writer)
{
    return writer->done;
}

const struct attempt *label_writer_attempt(const struct label_writer *writer)
{
    return &writer->attempt;
}

bool label_writer_gone(struct label_writer *writer, const char *object)
{
    if (!node_object(writer->options.node))
        return !writer->request;
    if (!writer->certain)
        writer->ask = true;
    return writer->certain && !writer->request &&
           !labels_has_profile(node_labels(writer->options.node), object);
}

struct label_writer *label_writer_new(const struct label_writer_options *options)
{
    struct label_writer *writer = xcalloc(1, sizeof(*writer));

    writer->options = *options;
    return writer;
}

void label_writer_free(struct label_writer *writer)
{
    if (!writer)
        return;
    kube_request_cancel(writer->request);
    kube_object_unref(writer->missing);
    free(writer);
}
