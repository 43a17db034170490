// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/node.h"
#include "agent/source.h"
#include "lib/kube/client.h"

/*
 * AppArmorProfiles of a cluster: a watch of their metadata, and a read of an object when its
 * generation is new (DESIGN §6). Selection needs the labels of the agent's own Node, so nothing
 * counts as known before that has been seen. Both are borrowed; the caller starts the node's watch.
 */
struct source *source_cluster_new(struct kube_client *client, struct node *node);

/* The watch is established; for readiness. */
bool source_cluster_connected(const struct source *source);
