// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kube/client.h"

/*
 * Plays the agents of many nodes towards the API server: each follows its Node, its AppArmorNode
 * and the metadata of AppArmorProfiles (all from the same few watches), reads what has changed,
 * comes to a result after a while, and writes the labels of its Node and its status. A text fails
 * on a few nodes, which depends on the names alone.
 */
struct agents;

struct agents_options {
    struct kube_client *client;
    const char *prefix; /* of the names of Nodes that are played */
    unsigned delay_ms;  /* until an agent has dealt with a change: up to this */
};

struct agents *agents_new(const struct agents_options *options);
void agents_free(struct agents *agents);
void agents_start(struct agents *agents);

bool agents_synced(const struct agents *agents);
/* Nodes that are there, and those of them whose agents have something to do. */
size_t agents_count(const struct agents *agents);
size_t agents_busy(const struct agents *agents);
/* Writes that have succeeded. */
uint64_t agents_writes(const struct agents *agents);
bool agents_has_node(const struct agents *agents, const char *node);
/* Of that name; borrowed, or NULL. */
const struct kube_object *agents_profile(const struct agents *agents, const char *profile);
