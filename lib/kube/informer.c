// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/informer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"
#include "lib/kube/reflector.h"
#include "lib/kube/store.h"

/* How long the tree of an object that was read stays, as it may be read again. */
#define PACK_AFTER_MS 1000

struct kube_informer {
    struct reflector *reflector;
    struct store *store;
    struct loop_timer *pack;
    struct kube_handler *handlers;
    size_t handler_count;
    cJSON *(*project)(void *userdata, cJSON *object);
    void *project_userdata;
    bool started, synced;
    unsigned busy; /* a handler is on the stack */
    bool freed;
};

/* --- handlers, each of which may free the informer ---------------------------------------------
 */

static void destroy(struct kube_informer *informer)
{
    loop_timer_free(informer->pack);
    store_free(informer->store);
    free(informer->handlers);
    free(informer);
}

static void enter(struct kube_informer *informer)
{
    informer->busy++;
}

/* False when the informer is no more. */
static bool leave(struct kube_informer *informer)
{
    if (--informer->busy > 0 || !informer->freed)
        return !informer->freed;
    destroy(informer);
    return false;
}

/* Calls a member of each handler as long as the informer lives. */
#define EACH_HANDLER(informer, member, ...)                                                      \
    do {                                                                                         \
        for (size_t each_ = 0; each_ < (informer)->handler_count && !(informer)->freed; each_++) \
            if ((informer)->handlers[each_].member)                                              \
                (informer)->handlers[each_].member((informer)->handlers[each_].userdata,         \
                                                   ##__VA_ARGS__);                               \
    } while (0)

static bool same_uid(const struct kube_object *a, const struct kube_object *b)
{
    return strcmp(kube_object_uid(a), kube_object_uid(b)) == 0;
}

/* An object that has taken the name of another is another object: the old one's end was missed. */
static void notify_new(struct kube_informer *informer, struct kube_object *old,
                       struct kube_object *object, enum kube_delete_cause cause)
{
    if (old && same_uid(old, object)) {
        if (strcmp(kube_object_resource_version(old), kube_object_resource_version(object)) != 0)
            EACH_HANDLER(informer, updated, old, object);
        return;
    }
    if (old)
        EACH_HANDLER(informer, deleted, old, cause);
    EACH_HANDLER(informer, added, object);
}

/* --- packing ---------------------------------------------------------------------------------- */

static void on_pack(void *userdata)
{
    struct kube_informer *informer = userdata;

    store_pack(informer->store);
}

static void on_loose(void *userdata)
{
    struct kube_informer *informer = userdata;

    if (!loop_timer_active(informer->pack))
        loop_timer_start(informer->pack, PACK_AFTER_MS);
}

static void use_store(struct kube_informer *informer, struct store *store)
{
    informer->store = store;
    store_on_loose(store, on_loose, informer);
}

/* --- what the reflector reports ------------------------------------------------------------------
 */

static struct kube_object *on_prepare(void *userdata, cJSON *json)
{
    struct kube_informer *informer = userdata;
    cJSON *metadata;

    if (informer->project)
        json = informer->project(informer->project_userdata, json);
    metadata = cJSON_GetObjectItemCaseSensitive(json, "metadata");
    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(metadata, "name"))) {
        json_free(json);
        return NULL;
    }
    if (!informer->project)
        cJSON_DeleteItemFromObjectCaseSensitive(metadata, "managedFields");
    return kube_object_new(json);
}

static void notify_deleted(struct kube_informer *informer, struct store *old,
                           enum kube_delete_cause cause)
{
    struct kube_object *object;
    size_t position = 0;

    while (!informer->freed && (object = store_next(old, &position))) {
        if (!store_find(informer->store, object))
            EACH_HANDLER(informer, deleted, object, cause);
        store_pack(old);
    }
}

static void notify_present(struct kube_informer *informer, struct store *old,
                           enum kube_delete_cause cause)
{
    struct kube_object *object;
    size_t position = 0;

    /* The store cannot change meanwhile: only the reflector, which is calling us, changes it. */
    while (!informer->freed && (object = store_next(informer->store, &position))) {
        notify_new(informer, store_find(old, object), object, cause);
        store_pack(informer->store);
        store_pack(old);
    }
}

static void carry_over(const struct store *old, struct store *fresh)
{
    struct kube_object *object;
    size_t position = 0;

    while ((object = store_next(old, &position)))
        if (!store_find(fresh, object))
            store_put(fresh, object);
}

static void on_replace(void *userdata, struct store *fresh, bool was_missing, bool incomplete)
{
    struct kube_informer *informer = userdata;
    _cleanup_(store_freep) struct store *old = informer->store;
    enum kube_delete_cause cause = was_missing ? KUBE_DELETED_RESOURCE : KUBE_DELETED_MISSED;

    if (incomplete)
        carry_over(old, fresh);
    /* Handlers that look at other objects see the collection as it is now. */
    use_store(informer, fresh);
    enter(informer);
    notify_deleted(informer, old, cause);
    notify_present(informer, old, cause);
    if (!informer->freed && !informer->synced) {
        informer->synced = true;
        EACH_HANDLER(informer, synced);
    }
    (void) leave(informer);
}

static void on_deleted(struct kube_informer *informer, struct kube_object *last)
{
    if (store_remove(informer->store, last))
        EACH_HANDLER(informer, deleted, last, KUBE_DELETED);
}

static void on_present(struct kube_informer *informer, struct kube_object *object)
{
    struct kube_object *old = kube_object_ref(store_find(informer->store, object));

    store_put(informer->store, object);
    notify_new(informer, old, object, KUBE_DELETED_MISSED);
    kube_object_unref(old);
}

static void on_change(void *userdata, enum watch_event type, struct kube_object *object)
{
    struct kube_informer *informer = userdata;

    /* What the change before has left. */
    store_pack(informer->store);
    enter(informer);
    if (type == WATCH_DELETED)
        on_deleted(informer, object);
    else
        on_present(informer, object);
    (void) leave(informer);
}

static void on_failed(void *userdata, const struct error *err)
{
    struct kube_informer *informer = userdata;

    enter(informer);
    EACH_HANDLER(informer, failed, err);
    (void) leave(informer);
}

/* --- life ----------------------------------------------------------------------------------- */

struct kube_informer *kube_informer_new(struct kube_client *client,
                                        const struct kube_informer_options *options)
{
    struct kube_informer *informer = xcalloc(1, sizeof(*informer));
    const struct reflector_options reflector_options = {
        .resource = options->resource,
        .ns = options->ns,
        .field_selector = options->field_selector,
        .label_selector = options->label_selector,
        .metadata_only = options->metadata_only,
        .page_size = options->page_size,
    };
    const struct reflector_hooks hooks = {
        .prepare = on_prepare,
        .replace = on_replace,
        .change = on_change,
        .failed = on_failed,
        .userdata = informer,
    };

    informer->project = options->project;
    informer->project_userdata = options->project_userdata;
    informer->pack = loop_timer_new(kube_client_loop(client), on_pack, informer);
    use_store(informer, store_new());
    informer->reflector = reflector_new(client, &reflector_options, &hooks);
    return informer;
}

void kube_informer_free(struct kube_informer *informer)
{
    if (!informer)
        return;
    reflector_free(TAKE_PTR(informer->reflector));
    informer->freed = true;
    if (informer->busy == 0)
        destroy(informer);
}

void kube_informer_add_handler(struct kube_informer *informer, const struct kube_handler *handler)
{
    assert(!informer->started);
    informer->handlers =
        xreallocarray(informer->handlers, informer->handler_count + 1, sizeof(*informer->handlers));
    informer->handlers[informer->handler_count++] = *handler;
}

void kube_informer_start(struct kube_informer *informer)
{
    assert(!informer->started);
    informer->started = true;
    reflector_start(informer->reflector);
}

bool kube_informer_synced(const struct kube_informer *informer)
{
    return informer->synced;
}

bool kube_informer_connected(const struct kube_informer *informer)
{
    return reflector_connected(informer->reflector);
}

bool kube_informer_resource_was_missing(const struct kube_informer *informer)
{
    return reflector_resource_was_missing(informer->reflector);
}

struct kube_object *kube_informer_get(const struct kube_informer *informer, const char *ns,
                                      const char *name)
{
    return store_get(informer->store, ns, name);
}

size_t kube_informer_size(const struct kube_informer *informer)
{
    return store_size(informer->store);
}

void kube_informer_each(const struct kube_informer *informer, kube_item_fn fn, void *userdata)
{
    struct kube_object *object;
    size_t position = 0;

    while ((object = store_next(informer->store, &position)))
        fn(userdata, object);
}
