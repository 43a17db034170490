// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/labels.h"
#include "agent/node.h"
#include "agent/records.h"
#include "agent/status.h"
#include "lib/base/metrics.h"
#include "lib/kube/client.h"

/*
 * Writes what this node has to say: its Node's labels and its AppArmorNode, one patch of each per
 * flush, and nothing that is there already. When to flush: see pacer.h.
 */
struct publisher;

struct publisher_options {
    struct kube_client *client;
    struct node *node;
    struct metrics *metrics;
    /* Everything has been looked at: before that nothing is written. */
    bool (*ready)(void *userdata);
    /* How long a change takes that is under way (pacer.h); 0: none is. */
    uint64_t (*pace)(void *userdata);
    /* What the status says of the node itself, and the records, or NULL. Borrowed for the call. */
    void (*describe)(void *userdata, struct status_node *ret_node,
                     const struct records **ret_records);
    /* A write has been answered, or the Node has changed. */
    void (*answered)(void *userdata);
    /* What the AppArmorNode's status said at the start, once, before it is written; or NULL. */
    void (*adopt)(void *userdata, const cJSON *status);
    void *userdata;
};

struct publisher *publisher_new(const struct publisher_options *options);
void publisher_free(struct publisher *publisher);
DEFINE_CLEANUP(struct publisher *, publisher_free)
void publisher_start(struct publisher *publisher);

/* Something that is published may have changed. */
void publisher_changed(struct publisher *publisher);
/* At one time since the start, labels and AppArmorNode said all that there was to say. */
bool publisher_has_published(const struct publisher *publisher);
/* The Node does not have the object's label, as the server has said, and no write under way may set
 * it. `answered` is called when it may be worth asking again. */
bool publisher_label_gone(struct publisher *publisher, const char *object);
