// SPDX-License-Identifier: Apache-2.0
#include "agent/publisher.h"

#include "agent/label_writer.h"
#include "agent/status_writer.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

/* From a change to its flush, and between two flushes, when nothing else is under way … */
#define GATHER_MS 20
#define INTERVAL_MS 200
/* … and in a burst, in which a state may last for less than a write takes: doubled each time. */
#define BURST_MIN_MS 1000
#define BURST_MAX_MS 5000

struct publisher {
    struct publisher_options options;
    struct label_writer *labels;
    struct status_writer *status;
    struct loop_timer *timer;
    uint64_t due_ms; /* when the timer is active */
    uint64_t flushed_ms;
    uint64_t burst_ms; /* the next wait in a burst; 0: there is none */
    bool published;
};

/* --- when ------------------------------------------------------------------------------------ */

static void flush_by(struct publisher *publisher, uint64_t due_ms)
{
    uint64_t now = clock_monotonic_ms();

    if (loop_timer_active(publisher->timer) && publisher->due_ms <= due_ms)
        return;
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
    flush_by(publisher, next_flush(publisher));
}

/* The writers keep to their own times after failures. */
static void flush_after(struct publisher *publisher, const struct attempt *attempt)
{
    if (!attempt_is_due(attempt))
        flush_by(publisher, attempt->not_before_ms);
}

static uint64_t grow(uint64_t burst_ms)
{
    uint64_t next = burst_ms ? burst_ms * 2 : BURST_MIN_MS * 2;

    return next > BURST_MAX_MS ? BURST_MAX_MS : next;
}

/* --- what ------------------------------------------------------------------------------------ */

static void want_labels(const struct status_node *node, const struct records *records,
                        struct labels_wanted *ret)
{
    const struct record *record;
    size_t position = 0;

    ret->enabled = node->enabled;
    ret->keep_others = node->unsure;
    while (records && (record = records_next(records, &position)))
        if (record->labelled)
            strv_add(&ret->profiles, record->name);
}

static void flush(void *userdata)
{
    struct publisher *publisher = userdata;
    struct labels_wanted wanted = {0};
    const struct records *records = NULL;
    struct status_node node = {0};

    if (!publisher->options.ready(publisher->options.userdata))
        return;
    publisher->flushed_ms = clock_monotonic_ms();
    if (publisher->options.busy(publisher->options.userdata))
        publisher->burst_ms = grow(publisher->burst_ms);
    publisher->options.describe(publisher->options.userdata, &node, &records);
    want_labels(&node, records, &wanted);
    label_writer_flush(publisher->labels, &wanted);
    strv_done(&wanted.profiles);
    status_writer_flush(publisher->status, &node, records);
    flush_after(publisher, label_writer_attempt(publisher->labels));
    flush_after(publisher, status_writer_attempt(publisher->status));
    if (label_writer_is_done(publisher->labels) && status_writer_is_done(publisher->status))
        publisher->published = true;
}

bool publisher_has_published(const struct publisher *publisher)
{
    return publisher->published;
}

bool publisher_label_gone(struct publisher *publisher, const char *object)
{
    bool gone = label_writer_gone(publisher->labels, object);

    if (!gone)
        publisher_changed(publisher);
    return gone;
}

/* --- the module ------------------------------------------------------------------------------ */

/* A request has been answered, or the Node has changed. */
static void on_answered(void *userdata)
{
    struct publisher *publisher = userdata;

    publisher->options.answered(publisher->options.userdata);
    publisher_changed(publisher);
}

static void on_adopt(void *userdata, const cJSON *status)
{
    struct publisher *publisher = userdata;

    if (publisher->options.adopt)
        publisher->options.adopt(publisher->options.userdata, status);
}

struct publisher *publisher_new(const struct publisher_options *options)
{
    struct publisher *publisher = xcalloc(1, sizeof(*publisher));
    struct node_listener listener = {.changed = on_answered, .userdata = publisher};
    struct label_writer_options labels = {
        .client = options->client,
        .node = options->node,
        .metrics = options->metrics,
        .answered = on_answered,
        .userdata = publisher,
    };
    struct status_writer_options status = {
        .client = options->client,
        .node = options->node,
        .metrics = options->metrics,
        .answered = on_answered,
        .adopt = on_adopt,
        .userdata = publisher,
    };

    publisher->options = *options;
    publisher->timer = loop_timer_new(kube_client_loop(options->client), flush, publisher);
    publisher->labels = label_writer_new(&labels);
    publisher->status = status_writer_new(&status);
    node_listen(options->node, &listener);
    return publisher;
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    label_writer_free(publisher->labels);
    status_writer_free(publisher->status);
    loop_timer_free(publisher->timer);
    free(publisher);
}

void publisher_start(struct publisher *publisher)
{
    status_writer_start(publisher->status);
}
