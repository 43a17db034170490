// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "cli/command.h"
#include "lib/kube/client.h"

/*
 * The user's cluster, asked in turns: requests are begun, several at once, and then waited for.
 * Each has an error of its own, since a user may be allowed to see one thing and not another.
 */
struct cluster;

_must_check_ int cluster_open(const struct cli *cli, struct cluster **ret, struct error *err);
void cluster_free(struct cluster *cluster);
DEFINE_CLEANUP(struct cluster *, cluster_free)

extern const struct kube_resource cluster_profiles, cluster_apparmor_nodes;

/*
 * Pages of a list, so that a cluster of any size is read in bounded memory: `item` gets each object
 * (borrowed) and keeps what it needs. `ret_err` is filled by cluster_wait().
 */
void cluster_list(struct cluster *cluster, const struct kube_resource *resource, const char *ns,
                  const struct kube_list_options *options, kube_item_fn item, void *userdata,
                  struct error *ret_err);
/* `ret` is NULL after a failure. */
void cluster_get(struct cluster *cluster, const struct kube_resource *resource, const char *ns,
                 const char *name, struct kube_object **ret, struct error *ret_err);
/* A merge patch; as cluster_get(). */
void cluster_patch(struct cluster *cluster, const struct kube_resource *resource, const char *name,
                   const cJSON *patch, bool dry_run, struct kube_object **ret,
                   struct error *ret_err);
/* Until all that was begun has ended. */
void cluster_wait(struct cluster *cluster);

/* Adds to an error what a user can do about it: no right, no CRDs. Returns its code. */
int cluster_explain(struct error *err, const char *what);
/* Says in the list `notRead` of a result what could not be read, if `err` tells of something; ends
 * `err`. */
void cluster_note_gap(cJSON *result, struct error *err, const char *what);
