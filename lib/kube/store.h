// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/kube/object.h"

/*
 * Objects by namespace and name. Holds a reference to each. An object that only the store holds is
 * kept packed; read, it has a tree until store_pack().
 */
struct store;

struct store *store_new(void);
void store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free)

size_t store_size(const struct store *store);
/* Borrowed, or NULL. */
struct kube_object *store_get(const struct store *store, const char *ns, const char *name);
/* The object of the same namespace and name; borrowed, or NULL. */
struct kube_object *store_find(const struct store *store, const struct kube_object *like);
/* Takes a reference of its own; replaces what has the same key. */
void store_put(struct store *store, struct kube_object *object);
bool store_remove(struct store *store, const struct kube_object *like);
/* `*position` starts at 0; NULL at the end. The entry just returned may be removed. */
struct kube_object *store_next(const struct store *store, size_t *position);

/* Called when there is something to pack. */
void store_on_loose(struct store *store, void (*loose)(void *userdata), void *userdata);
/*
 * Drops the trees of objects that nobody but the store holds: what was borrowed of them ends here.
 * Only from the loop, not from what a program has called.
 */
void store_pack(struct store *store);
