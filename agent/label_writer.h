// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/attempt.h"
#include "agent/labels.h"
#include "agent/node.h"
#include "lib/base/metrics.h"
#include "lib/kube/client.h"

/*
 * Writes the agent's labels to its Node, and knows what is on it: a write whose answer was lost may
 * have arrived, and what a watch shows may be old, so that a label counts as gone only when an
 * answer of the server has said so.
 */
struct label_writer;

struct label_writer_options {
    struct kube_client *client;
    struct node *node;
    struct metrics *metrics;
    /* A request has been answered, or has failed. */
    void (*answered)(void *userdata);
    void *userdata;
};

struct label_writer *label_writer_new(const struct label_writer_options *options);
void label_writer_free(struct label_writer *writer);
DEFINE_CLEANUP(struct label_writer *, label_writer_free)

/* Begins what there is to do, unless something is under way or it is too soon after a failure. */
void label_writer_flush(struct label_writer *writer, const struct labels_wanted *wanted);
/* The Node has what the last flush wanted. */
bool label_writer_is_done(const struct label_writer *writer);
/* When to flush again after a failure. */
const struct attempt *label_writer_attempt(const struct label_writer *writer);
/*
 * The Node does not have the object's label, as the server has said, and no write may set it. When
 * that is not known, the next flush asks.
 */
bool label_writer_gone(struct label_writer *writer, const char *object);
