// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/store.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/kube/object_internal.h"

struct store {
    struct map *objects;
    LIST_HEAD(, kube_object) loose;
    void (*on_loose)(void *userdata);
    void *userdata;
};

static void unref(void *value)
{
    kube_object_unref(value);
}

struct store *store_new(void)
{
    struct store *store = xcalloc(1, sizeof(*store));

    store->objects = map_new(unref);
    LIST_INIT(&store->loose);
    return store;
}

/* --- what is to be packed ------------------------------------------------------------------- */

static void detach(struct store *store, struct kube_object *object)
{
    if (!object || object->store != store)
        return;
    if (object->loose)
        LIST_REMOVE(object, link);
    object->loose = false;
    object->store = NULL;
}

static void attach(struct store *store, struct kube_object *object)
{
    if (object->store)
        detach(object->store, object);
    object->store = store;
}

void store_note_loose(struct store *store, struct kube_object *object)
{
    bool first = LIST_EMPTY(&store->loose);

    if (object->loose)
        return;
    object->loose = true;
    LIST_INSERT_HEAD(&store->loose, object, link);
    if (first && store->on_loose)
        store->on_loose(store->userdata);
}

void store_on_loose(struct store *store, void (*loose)(void *userdata), void *userdata)
{
    store->on_loose = loose;
    store->userdata = userdata;
}

void store_pack(struct store *store)
{
    struct kube_object *object;

    while ((object = LIST_FIRST(&store->loose))) {
        LIST_REMOVE(object, link);
        object->loose = false;
        /* Who has taken a reference meanwhile keeps the tree, and gives the object back. */
        if (object->refs == 1)
            object_pack(object);
    }
}

/* --- objects -------------------------------------------------------------------------------- */

void store_free(struct store *store)
{
    struct kube_object *object;
    size_t position = 0;

    if (!store)
        return;
    while ((object = store_next(store, &position)))
        detach(store, object);
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
    struct kube_object *old = map_get(store->objects, key);

    if (old == object)
        return;
    detach(store, old);
    attach(store, kube_object_ref(object));
    map_set(store->objects, key, object);
}

bool store_remove(struct store *store, const struct kube_object *like)
{
    char buffer[512];
    _cleanup_free_ char *owned = NULL;

    const char *key = make_key(kube_object_namespace(like), kube_object_name(like), buffer,
                               sizeof(buffer), &owned);

    detach(store, map_get(store->objects, key));
    return map_remove(store->objects, key);
}

struct kube_object *store_next(const struct store *store, size_t *position)
{
    const char *key;
    void *value;

    return map_next(store->objects, position, &key, &value) ? value : NULL;
}
