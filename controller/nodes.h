// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "controller/profiles.h"
#include "controller/tally.h"
#include "controller/violation_sum.h"
#include "lib/base/cleanup.h"
#include "lib/base/json.h"

/*
 * What is known of all nodes and profiles, kept up to date from informer events: per profile a
 * tally. Events may come in any order, as those of three informers do.
 *
 *   a node's report changes      O(entries of the report); a change of its violations alone leaves
 *                                the tally as it is, and is told of as a change of it
 *   a node's labels change,
 *   it comes or goes             O(profiles)
 *   a profile's spec changes     O(nodes)
 */
struct node_index;

/* The tally of a known profile, or what a node says of its violations, has changed. Must not change
 * the index. */
typedef void (*node_index_changed_fn)(void *userdata, const char *profile);

struct node_index *node_index_new(node_index_changed_fn changed, void *userdata);
void node_index_free(struct node_index *index);
DEFINE_CLEANUP(struct node_index *, node_index_free)

/* Node: `labels` is metadata.labels or NULL, copied. An AppArmorNode without its Node counts for
 * nothing. */
void node_index_set_node(struct node_index *index, const char *name, const cJSON *labels);
void node_index_remove_node(struct node_index *index, const char *name);

/*
 * AppArmorNode, in two steps, so that nobody keeps the object in between: what it says is read, and
 * takes effect later. `status` is its status or NULL. The index must outlive what it gives out.
 */
struct node_report *node_index_read_report(struct node_index *index, const cJSON *status);
/* Takes ownership of the report. */
void node_index_set_report(struct node_index *index, const char *name, struct node_report *report);
void node_index_remove_report(struct node_index *index, const char *name);

/*
 * Asks of each node that reports whether it is lost (liveness.h): then what it has not loaded is
 * not waited for. It is taken for live again when it is not, or reports.
 */
typedef bool (*node_index_lost_fn)(void *userdata, const char *node);
void node_index_look_for_lost(struct node_index *index, node_index_lost_fn fn, void *userdata);

/* AppArmorProfile; what the spec borrows is copied. */
void node_index_set_profile(struct node_index *index, const struct profile_spec *spec);
void node_index_remove_profile(struct node_index *index, const char *name);

/* NULL for a profile that is not known. Borrowed until the next change. */
const struct tally *node_index_tally(const struct node_index *index, const char *profile);

/* NODE_UNCOUNTED when either is not known. */
enum node_state node_index_state(const struct node_index *index, const char *profile,
                                 const char *node);

/* What a Node of the cluster means for a profile. */
struct node_view {
    const char *name;
    enum node_state state;
    const struct report *report;       /* or NULL */
    const struct violation *violation; /* likewise */
    bool sees_denials;                 /* the kernel tells its agent of them */
};
typedef void (*node_index_each_fn)(void *userdata, const struct node_view *node);
/* For each Node, in no order; `fn` must not change the index. */
void node_index_each(const struct node_index *index, const char *profile, node_index_each_fn fn,
                     void *userdata);

/* What the cluster's Nodes say of the revision that the profile has now. In time for all nodes. */
struct violation_sum node_index_violations(const struct node_index *index, const char *profile);

size_t node_index_nodes(const struct node_index *index);
size_t node_index_profiles(const struct node_index *index);
/* Distinct reports in memory. */
size_t node_index_reports(const struct node_index *index);
