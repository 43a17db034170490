// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/store.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/object_internal.h"

TestSuite(store, .init = alloc_init);

static struct kube_object *new_object(const char *ns, const char *name, const char *value)
{
    cJSON *json = cJSON_CreateObject(), *metadata = json_add_object(json, "metadata");

    json_add_string(metadata, "name", name);
    if (ns)
        json_add_string(metadata, "namespace", ns);
    json_add_string(metadata, "uid", "1-2-3");
    json_add_string(metadata, "resourceVersion", "7");
    json_add_int(metadata, "generation", 5);
    json_add_string(json_add_object(metadata, "labels"), "app", "web");
    json_add_string(json, "value", value);
    return kube_object_new(json);
}

/* The store's alone. */
static struct kube_object *put(struct store *store, const char *name, const char *value)
{
    struct kube_object *object = new_object("ns", name, value);

    store_put(store, object);
    kube_object_unref(object);
    return store_get(store, "ns", name);
}

static const char *value_of(const struct kube_object *object)
{
    return json_string(kube_object_json(object), "value");
}

Test(store, an_object_is_found_by_namespace_and_name)
{
    _cleanup_(store_freep) struct store *store = store_new();
    _cleanup_(kube_object_unrefp) struct kube_object *plain = new_object(NULL, "b", "cluster");

    put(store, "b", "in a namespace");
    store_put(store, plain);
    cr_assert_eq(store_size(store), 2);
    cr_assert_str_eq(value_of(store_get(store, "ns", "b")), "in a namespace");
    cr_assert_eq(store_get(store, NULL, "b"), plain);
    cr_assert_eq(store_get(store, "", "b"), plain);
    cr_assert_null(store_get(store, "other", "b"));
    cr_assert(store_remove(store, plain));
    cr_assert_not(store_remove(store, plain));
    cr_assert_eq(store_size(store), 1);
}

Test(store, what_only_the_store_holds_is_packed_and_reads_the_same)
{
    _cleanup_(store_freep) struct store *store = store_new();
    struct kube_object *object = put(store, "a", "text");

    cr_assert_not_null(object->json);
    for (int round = 0; round < 3; round++) {
        store_pack(store);
        cr_assert_null(object->json, "packed");
        cr_assert_str_eq(kube_object_name(object), "a");
        cr_assert_str_eq(kube_object_namespace(object), "ns");
        cr_assert_str_eq(kube_object_uid(object), "1-2-3");
        cr_assert_str_eq(kube_object_resource_version(object), "7");
        cr_assert_null(object->json, "none of these needs the tree");
        cr_assert_eq(kube_object_generation(object), 5);
        cr_assert_str_eq(kube_object_label(object, "app"), "web");
        cr_assert_str_eq(value_of(object), "text");
    }
}

Test(store, strings_of_an_object_live_as_long_as_a_reference)
{
    _cleanup_(store_freep) struct store *store = store_new();
    struct kube_object *object = kube_object_ref(put(store, "a", "text"));
    const char *name = kube_object_name(object), *value = value_of(object);

    store_pack(store);
    put(store, "a", "another");
    store_pack(store);
    cr_assert_str_eq(name, "a");
    cr_assert_str_eq(value, "text");
    cr_assert_str_eq(value_of(object), "text");
    kube_object_unref(object);
}

Test(store, an_object_given_back_is_packed)
{
    _cleanup_(store_freep) struct store *store = store_new();
    struct kube_object *object = kube_object_ref(put(store, "a", "text"));

    store_pack(store);
    cr_assert_not_null(object->json, "somebody holds it");
    kube_object_unref(object);
    store_pack(store);
    cr_assert_null(object->json);
    kube_object_ref(object);
    cr_assert_str_eq(value_of(object), "text");
    store_pack(store);
    cr_assert_not_null(object->json, "somebody holds it again");
    kube_object_unref(object);
    store_pack(store);
    cr_assert_null(object->json);
}

Test(store, an_object_outlives_its_store_packed_or_not)
{
    struct store *store = store_new();
    struct kube_object *read = kube_object_ref(put(store, "a", "read"));
    struct kube_object *packed = put(store, "b", "packed");

    store_pack(store);
    kube_object_ref(packed);
    store_free(store);
    cr_assert_str_eq(value_of(read), "read");
    cr_assert_str_eq(value_of(packed), "packed");
    cr_assert_str_eq(kube_object_name(packed), "b");
    kube_object_unref(read);
    kube_object_unref(packed);
}

Test(store, an_object_moves_to_another_store)
{
    struct store *old = store_new();
    _cleanup_(store_freep) struct store *fresh = store_new();
    struct kube_object *loose = put(old, "a", "loose"), *packed;

    store_put(fresh, loose);
    store_pack(old);
    packed = put(old, "b", "packed");
    store_pack(old);
    store_put(fresh, packed);
    store_free(old);
    cr_assert_eq(store_size(fresh), 2);
    cr_assert_str_eq(value_of(loose), "loose");
    cr_assert_str_eq(value_of(packed), "packed");
    store_pack(fresh);
    cr_assert_null(loose->json);
    cr_assert_null(packed->json);
}

Test(store, putting_the_same_object_again_keeps_it)
{
    _cleanup_(store_freep) struct store *store = store_new();
    struct kube_object *object = put(store, "a", "text");

    store_put(store, object);
    store_pack(store);
    store_put(store, object);
    cr_assert_eq(store_size(store), 1);
    cr_assert_eq(object->refs, 1);
    cr_assert_str_eq(value_of(store_get(store, "ns", "a")), "text");
}

static void count(void *userdata)
{
    ++*(unsigned *) userdata;
}

Test(store, it_tells_once_that_there_is_something_to_pack)
{
    _cleanup_(store_freep) struct store *store = store_new();
    unsigned calls = 0;
    struct kube_object *one, *two;

    store_on_loose(store, count, &calls);
    one = put(store, "a", "1");
    two = put(store, "b", "2");
    cr_assert_eq(calls, 1);
    store_pack(store);
    cr_assert_str_eq(kube_object_name(one), "a");
    cr_assert_eq(calls, 1, "a name is there without a tree");
    cr_assert_str_eq(value_of(one), "1");
    cr_assert_str_eq(value_of(two), "2");
    cr_assert_eq(calls, 2);
    kube_object_unref(kube_object_ref(one));
    store_remove(store, one);
    store_pack(store);
    cr_assert_null(two->json);
    cr_assert_eq(calls, 2);
}
