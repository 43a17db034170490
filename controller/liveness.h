// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

/*
 * Which nodes can be waited for. A node is lost when it has not been Ready, or has had no Ready pod
 * of the agent's, for a while (DESIGN §6). Where no pod of the agent's has ever been seen, agents
 * run as plain services of their nodes, and the Node alone counts.
 *
 * Times are clock_monotonic_ms(), of when this process saw it: the clocks of nodes and of the API
 * server may differ from ours, and to lose a node too early is worse than too late. So after a
 * start of the program the while begins anew.
 */
struct liveness;

/* `lost_after_ms`: how long the while is. */
struct liveness *liveness_new(uint64_t lost_after_ms);
void liveness_free(struct liveness *liveness);
DEFINE_CLEANUP(struct liveness *, liveness_free)

/* The Node is there; again when `ready` may have changed. */
void liveness_set_node(struct liveness *liveness, const char *node, bool ready, uint64_t now_ms);
void liveness_remove_node(struct liveness *liveness, const char *node);

/* A pod of the agent's on that node; what was added is removed with the same `ready`. */
void liveness_add_pod(struct liveness *liveness, const char *node, bool ready, uint64_t now_ms);
void liveness_remove_pod(struct liveness *liveness, const char *node, bool ready, uint64_t now_ms);

/*
 * Since a Node that is not known is no node, it is lost. Of one that is not lost `*ret_lost_ms` is
 * when it will be, if nothing changes; UINT64_MAX: never.
 */
bool liveness_lost(const struct liveness *liveness, const char *node, uint64_t now_ms,
                   uint64_t *ret_lost_ms);
/* For how long it has been away, as above: 0 when it is not; UINT64_MAX: there is no such Node. */
uint64_t liveness_away_ms(const struct liveness *liveness, const char *node, uint64_t now_ms);
