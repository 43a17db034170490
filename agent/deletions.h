// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/kube/client.h"

/*
 * Whether an object that went was meant to go. Whoever removes the CustomResourceDefinition (a
 * chart that is uninstalled, say) takes all objects with it, one DELETED event each, and nobody may
 * have meant the policy on the nodes. So the definition is looked at after each deletion: when it
 * is gone, going, or younger than the object, the object is an orphan (DESIGN invariant 2).
 *
 * An object that was never seen may be missing from a list because that is old: the first list
 * comes from a server's cache. Its absence counts once a consistent read has confirmed it.
 */
struct deletions;

enum deletion {
    DELETION_NONE,   /* not noted */
    DELETION_ASKING, /* `decided` will be called */
    DELETION_MEANT,
    DELETION_NOT_MEANT,
};

typedef void (*deletion_fn)(void *userdata, const char *object);

struct deletions *deletions_new(struct kube_client *client, const struct kube_resource *resource,
                                deletion_fn decided, void *userdata);
void deletions_free(struct deletions *deletions);
DEFINE_CLEANUP(struct deletions *, deletions_free)

/* The object went, or is going, or (not `seen`) is not in a list; asks the server. Its creation is
 * in ms since the epoch. */
void deletions_ask(struct deletions *deletions, const char *object, int64_t created_ms, bool seen);
/* Its resource was missing meanwhile: nothing to ask. */
void deletions_orphan(struct deletions *deletions, const char *object);
/* It is back, or no longer of interest. */
void deletions_forget(struct deletions *deletions, const char *object);
enum deletion deletions_verdict(const struct deletions *deletions, const char *object);
