// SPDX-License-Identifier: Apache-2.0
#include "agent/publisher.h"

#include "agent/label_writer.h"
#include "agent/pacer.h"
#include "agent/status_writer.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

struct publisher {
    struct publisher_options options;
    struct label_writer *labels;
    struct status_writer *status;
    struct loop_timer *timer;
    struct pacer pacer;
    uint64_t retry_ms; /* when a writer wants to try again; UINT64_MAX: none does */
    bool published;
};

/* --- when ------------------------------------------------------------------------------------ */

static uint64_t pace(const struct publisher *publisher)
{
    return publisher->options.pace(publisher->options.userdata);
}

static uint64_t due(const struct publisher *publisher)
{
    uint64_t pace_ms = pace(publisher), due_ms = pacer_due(&publisher->pacer, pace_ms);

    /* All that there was when the agent started has been looked at: nothing more comes with it. */
    if (!publisher->published && pace_ms == 0 && due_ms != UINT64_MAX)
        due_ms = publisher->pacer.flushed_ms ? due_ms : 0;

    return due_ms < publisher->retry_ms ? due_ms : publisher->retry_ms;
}

static void schedule(struct publisher *publisher)
{
    uint64_t now = clock_monotonic_ms(), due_ms = due(publisher);

    if (due_ms == UINT64_MAX)
        loop_timer_stop(publisher->timer);
    else
        loop_timer_start(publisher->timer, due_ms > now ? due_ms - now : 0);
}

void publisher_changed(struct publisher *publisher)
{
    pacer_changed(&publisher->pacer, clock_monotonic_ms());
    schedule(publisher);
}

/* The writers keep to their own times after failures. */
static void retry_after(struct publisher *publisher, const struct attempt *attempt)
{
    if (!attempt_is_due(attempt) && attempt->not_before_ms < publisher->retry_ms)
        publisher->retry_ms = attempt->not_before_ms;
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

static void flush(struct publisher *publisher)
{
    struct labels_wanted wanted = {0};
    const struct records *records = NULL;
    struct status_node node = {0};

    pacer_flushed(&publisher->pacer, clock_monotonic_ms(), pace(publisher));
    publisher->retry_ms = UINT64_MAX;
    publisher->options.describe(publisher->options.userdata, &node, &records);
    want_labels(&node, records, &wanted);
    label_writer_flush(publisher->labels, &wanted);
    strv_done(&wanted.profiles);
    status_writer_flush(publisher->status, &node, records);
    retry_after(publisher, label_writer_attempt(publisher->labels));
    retry_after(publisher, status_writer_attempt(publisher->status));
    if (label_writer_is_done(publisher->labels) && status_writer_is_done(publisher->status))
        publisher->published = true;
}

static void on_timer(void *userdata)
{
    struct publisher *publisher = userdata;

    /* What is under way may be more now than when the timer was set. */
    if (clock_monotonic_ms() >= due(publisher) &&
        publisher->options.ready(publisher->options.userdata))
        flush(publisher);
    if (publisher->options.ready(publisher->options.userdata))
        schedule(publisher);
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
    publisher->timer = loop_timer_new(kube_client_loop(options->client), on_timer, publisher);
    publisher->retry_ms = UINT64_MAX;
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
