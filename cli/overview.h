// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"

/*
 * The state of the whole cluster out of its objects, which come one by one and are not kept: pure,
 * no I/O. All objects are borrowed for the call.
 */
struct overview;

/* `nodes`: whether each node is to be in the result. */
struct overview *overview_new(int64_t now_ms, bool nodes);
void overview_free(struct overview *overview);
DEFINE_CLEANUP(struct overview *, overview_free)

void overview_add_profile(struct overview *overview, const cJSON *profile);
void overview_add_apparmor_node(struct overview *overview, const cJSON *node);
/* A Node, or its metadata alone. */
void overview_add_node(struct overview *overview, const cJSON *node);
void overview_add_agent_pod(struct overview *overview, const cJSON *pod);
/* The Lease of the controllers; NULL: there is none. */
void overview_set_lease(struct overview *overview, const cJSON *lease);
/* Something could not be read: the rest still counts. */
void overview_add_gap(struct overview *overview, const char *message);

/* {profiles, nodes, controller, problems, notRead}; the caller owns it. */
cJSON *overview_finish(struct overview *overview);
