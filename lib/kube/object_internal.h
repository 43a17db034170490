// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/queue.h>

#include "lib/kube/object.h"
#include "lib/kube/packed.h"

/*
 * What object.c and store.c share. An object in a store is packed as soon as nobody but the store
 * has a reference, and its tree is made again for whoever reads it. Who borrows an object without
 * taking a reference may do so until control returns to the loop: so trees are dropped, in
 * store_pack(), only when the loop has it.
 */
struct kube_object {
    unsigned refs;
    bool tree_is_block; /* of packed_tree() */
    bool loose;         /* in the store's list */
    cJSON *json;        /* NULL: only packed */
    struct packed *packed;
    /* Asked for all the time, in the tree or in `packed`; never NULL. */
    const char *name, *ns, *uid, *resource_version;
    struct store *store; /* NULL: in none */
    LIST_ENTRY(kube_object) link;
};

/* Leaves the object packed, without a tree. */
void object_pack(struct kube_object *object);

/* The object is in the store, has a tree, and nobody else has a reference. */
void store_note_loose(struct store *store, struct kube_object *object);
