// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/strv.h"
#include "lib/compile/features.h"

/*
 * The kinds of kernels that the cluster's nodes have: ids of features as AppArmorNodes report them,
 * and their texts as ConfigMaps have them. Both come from agents, of whom one may lie: a text
 * counts only for the id that is its digest, and only when a node has reported that id.
 *
 * One that no node has any more counts for an hour, so that nodes that come and go do not have all
 * policy compiled again each time.
 *
 * Times are clock_monotonic_ms().
 */
struct kernels;

#define KERNELS_UNUSED_MS (UINT64_C(60) * 60 * 1000)

/* `changed`: what kernels_list() gives may have changed. */
struct kernels *kernels_new(void (*changed)(void *userdata), void *userdata);
void kernels_free(struct kernels *kernels);
DEFINE_CLEANUP(struct kernels *, kernels_free)

/* `id`: of the features that the node reports; NULL or "": none. */
void kernels_set_node(struct kernels *kernels, const char *node, const char *id, uint64_t now_ms);
/* A ConfigMap of this name has this text; NULL: it has none. */
void kernels_set_text(struct kernels *kernels, const char *configmap, const char *text,
                      uint64_t now_ms);
void kernels_remove_text(struct kernels *kernels, const char *configmap);

/* Those to compile for, at most `max`, those of most nodes first; returns how many. Borrowed until
 * the next change. */
size_t kernels_list(const struct kernels *kernels, struct features **ret, size_t max);
/* Appends the names of ConfigMaps that are of no use: not what they are named after, or of kernels
 * that no node has had for an hour. */
void kernels_list_garbage(const struct kernels *kernels, uint64_t now_ms, struct strv *ret);
