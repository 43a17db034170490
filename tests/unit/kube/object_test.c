// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/object.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/store.h"

TestSuite(object, .init = alloc_init);

static struct kube_object *object(const char *text)
{
    return kube_object_new(cJSON_Parse(text));
}

Test(object, its_fields_are_read)
{
    _cleanup_(kube_object_unrefp) struct kube_object *o = object(
        "{\"metadata\":{\"name\":\"n\",\"namespace\":\"s\",\"uid\":\"u\",\"resourceVersion\":"
        "\"7\",\"generation\":3,\"deletionTimestamp\":\"2026-01-01T00:00:00Z\",\"labels\":"
        "{\"a\":\"b\"},\"annotations\":{\"c\":\"d\"}},\"x\":1}");

    cr_assert_str_eq(kube_object_name(o), "n");
    cr_assert_str_eq(kube_object_namespace(o), "s");
    cr_assert_str_eq(kube_object_uid(o), "u");
    cr_assert_str_eq(kube_object_resource_version(o), "7");
    cr_assert_eq(kube_object_generation(o), 3);
    cr_assert(kube_object_deleting(o));
    cr_assert_str_eq(kube_object_label(o, "a"), "b");
    cr_assert_null(kube_object_label(o, "c"));
    cr_assert_str_eq(kube_object_annotation(o, "c"), "d");
    cr_assert_not_null(json_get(kube_object_json(o), "x"));
}

Test(object, fields_that_are_missing_or_odd_are_empty)
{
    static const char *const texts[] = {
        "{}", "{\"metadata\":null}", "{\"metadata\":[1]}",
        "{\"metadata\":{\"name\":1,\"namespace\":null,\"uid\":{},\"resourceVersion\":7,"
        "\"generation\":\"3\",\"deletionTimestamp\":null,\"labels\":[],\"annotations\":{\"c\":1}}"
        "}"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_(kube_object_unrefp) struct kube_object *o = object(texts[i]);

        cr_assert_str_eq(kube_object_name(o), "");
        cr_assert_str_eq(kube_object_namespace(o), "");
        cr_assert_str_eq(kube_object_uid(o), "");
        cr_assert_str_eq(kube_object_resource_version(o), "");
        cr_assert_eq(kube_object_generation(o), 0);
        cr_assert_not(kube_object_deleting(o));
        cr_assert_null(kube_object_label(o, "a"));
        cr_assert_null(kube_object_annotation(o, "c"));
    }
}

Test(object, a_reference_keeps_it)
{
    struct kube_object *o = object("{\"metadata\":{\"name\":\"n\"}}");

    cr_assert_eq(kube_object_ref(o), o);
    kube_object_unref(o);
    cr_assert_str_eq(kube_object_name(o), "n");
    kube_object_unref(o);
    cr_assert_null(kube_object_ref(NULL));
    kube_object_unref(NULL);
}

static void put(struct store *store, const char *ns, const char *name, const char *uid)
{
    _cleanup_free_ char *text =
        xasprintf("{\"metadata\":{\"namespace\":\"%s\",\"name\":\"%s\",\"uid\":\"%s\"}}", ns, name,
                  uid);
    struct kube_object *o = object(text);

    store_put(store, o);
    kube_object_unref(o);
}

Test(object, a_store_tells_namespaces_apart)
{
    _cleanup_(store_freep) struct store *store = store_new();
    struct kube_object *o;
    size_t position = 0, count = 0;
    char long_name[600];

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    put(store, "a", "n", "1");
    put(store, "b", "n", "2");
    put(store, "", "n", "3");
    put(store, "a", long_name, "4");
    put(store, "a", "n", "5");
    cr_assert_eq(store_size(store), 4);
    cr_assert_str_eq(kube_object_uid(store_get(store, "a", "n")), "5");
    cr_assert_str_eq(kube_object_uid(store_get(store, "b", "n")), "2");
    cr_assert_str_eq(kube_object_uid(store_get(store, NULL, "n")), "3");
    cr_assert_str_eq(kube_object_uid(store_get(store, "", "n")), "3");
    cr_assert_str_eq(kube_object_uid(store_get(store, "a", long_name)), "4");
    cr_assert_null(store_get(store, "c", "n"));
    while ((o = store_next(store, &position))) {
        cr_assert_eq(store_find(store, o), o);
        cr_assert(store_remove(store, o));
        count++;
    }
    cr_assert_eq(count, 4);
    cr_assert_eq(store_size(store), 0);
    store_free(NULL);
}
