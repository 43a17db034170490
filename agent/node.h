// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/kube/client.h"

/*
 * The agent's own Node, watched: its labels decide which profiles select it, its uid makes writes
 * refuse a re-created Node of the same name.
 */
struct node;

struct node_listener {
    void (*changed)(void *userdata);
    void *userdata;
};

#define NODE_LISTENERS_MAX 4

struct node *node_new(struct kube_client *client, const char *name);
void node_free(struct node *node);
DEFINE_CLEANUP(struct node *, node_free)

/* Before the start. */
void node_listen(struct node *node, const struct node_listener *listener);
void node_start(struct node *node);

const char *node_name(const struct node *node);
/* The first list has been answered, with or without a Node. */
bool node_synced(const struct node *node);
/* The newest that the server has shown, be it by the watch or as answer to a patch; or NULL. */
struct kube_object *node_object(const struct node *node);
/* JSON object of labels; NULL without a Node or labels. */
const cJSON *node_labels(const struct node *node);
/* The answer to a patch of this Node: newer than what the watch has shown, most of the time. */
void node_answered(struct node *node, struct kube_object *object);
