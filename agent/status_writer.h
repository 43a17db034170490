// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/attempt.h"
#include "agent/node.h"
#include "agent/status.h"
#include "lib/base/metrics.h"
#include "lib/kube/client.h"

/*
 * Keeps the node's AppArmorNode: creates it, and patches its status where that differs from what is
 * on the server. Only the object's metadata are watched: its status is this agent's to know.
 */
struct status_writer;

struct status_writer_options {
    struct kube_client *client;
    struct node *node;
    struct metrics *metrics;
    /* A request has been answered, or the object has appeared or gone. */
    void (*answered)(void *userdata);
    /* What the status said at the start, once, before anything is written. */
    void (*adopt)(void *userdata, const cJSON *status);
    void *userdata;
};

struct status_writer *status_writer_new(const struct status_writer_options *options);
void status_writer_free(struct status_writer *writer);
DEFINE_CLEANUP(struct status_writer *, status_writer_free)
void status_writer_start(struct status_writer *writer);

/*
 * Begins the next step towards a status that says this, unless one is under way or it is too soon
 * after a failure. `records` may be NULL. The first time it is known what the server has, records
 * whose state is that of their entry take over its lastTransitionTime.
 */
void status_writer_flush(struct status_writer *writer, const struct status_node *node,
                         const struct records *records);
/* The object says what the last flush wanted. */
bool status_writer_is_done(const struct status_writer *writer);
/* When to flush again after a failure. */
const struct attempt *status_writer_attempt(const struct status_writer *writer);
