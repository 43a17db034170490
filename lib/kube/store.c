// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/store.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"

struct store {
    struct map *objects;
};

static void unref(void *value)
{
    kube_object_unref(value);
}

struct store *store_new(void)
{
    struct store *store = xcalloc(1, sizeof(*store));

    store->objects = map_new(unref);
    return store;
}

void store_free(struct store *store)
{
    if (!store)
        return;
    map_free(store->objects);
    free(store);
}

size_t store_size(const struct store *store)
{
    return map_size(store->objects);
}

/* "namespace/name", which is unique as neither has a slash, or the name alone. `buffer` serves
 * all ordinary names; a longer key is allocated, and the caller frees `*ret_owned`. */
static const char *make_key(const char *ns, const char *name, char *buffer, size_t size,
                            char **ret_owned)
{
    size_t ns_len = ns ? strlen(ns) : 0, name_len = strlen(name);

    *ret_owned = NULL;
    if (ns_len == 0)
        return name;
    if (ns_len + name_len + 2 > size)
        buffer = *ret_owned = xmalloc(ns_len + name_len + 2);
    memcpy(buffer, ns, ns_len);
    buffer[ns_len] = '/';
    memcpy(buffer + ns_len + 1, name, name_len + 1);
    return buffer;
}

struct kube_object *store_get(const struct store *store, const char *ns, const char *name)
{
    char buffer[512];
    _cleanup_free_ char *owned = NULL;

    return map_get(store->objects, make_key(ns, name, buffer, sizeof(buffer), &owned));
}

struct kube_object *store_find(const struct store *store, const struct kube_object *like)
{
    return store_get(store, kube_object_namespace(like), kube_object_name(like));
}

void store_put(struct store *store, struct kube_object *object)
{
    char buffer[512];
    _cleanup_free_ char *owned = NULL;
    const char *key = make_key(kube_object_namespace(object), kube_object_name(object), buffer,
                               sizeof(buffer), &owned);

    map_set(store->objects, key, kube_object_ref(object));
}

bool store_remove(struct store *store, const struct kube_object *like)
{
    char buffer[512];
    _cleanup_free_ char *owned = NULL;

    return map_remove(store->objects, make_key(kube_object_namespace(like), kube_object_name(like),
                                               buffer, sizeof(buffer), &owned));
}

struct kube_object *store_next(const struct store *store, size_t *position)
{
    const char *key;
    void *value;

    return map_next(store->objects, position, &key, &value) ? value : NULL;
}
