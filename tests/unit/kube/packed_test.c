// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/packed.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(packed, .init = alloc_init);

/* What is printed is the same to the last byte, and so is what links the nodes. */
static void expect_same_links(const cJSON *tree)
{
    const cJSON *last = NULL;

    for (const cJSON *child = tree->child; child; child = child->next) {
        if (last)
            cr_assert_eq(child->prev, last);
        expect_same_links(child);
        last = child;
    }
    if (last)
        cr_assert_eq(tree->child->prev, last, "the first child's prev is the last");
}

static void expect_round_trip(const cJSON *json)
{
    _cleanup_free_ struct packed *packed = packed_new(json);
    _cleanup_free_ cJSON *tree = packed_tree(packed);
    _cleanup_free_ char *before = json_print(json), *after = json_print(tree);

    cr_assert_str_eq(after, before);
    cr_assert(json_equal(tree, json));
    expect_same_links(tree);
}

static void expect_text(const char *text)
{
    _cleanup_json_ cJSON *json = NULL;
    struct error err = {0};

    cr_assert_eq(json_parse(text, strlen(text), &json, &err), 0, "%s", error_message(&err));
    expect_round_trip(json);
}

Test(packed, every_kind_of_value_comes_back)
{
    expect_text("{}");
    expect_text("[]");
    expect_text("{\"\":null,\"a\":true,\"b\":false,\"c\":\"\",\"d\":[],\"e\":{}}");
    expect_text(
        "{\"a\":{\"a\":{\"a\":[[[1,[2]],{\"x\":\"y\"}],\"z\"]}},\"tail\":[\"\\u00e4\\n\"]}");
}

Test(packed, every_number_comes_back)
{
    static const double numbers[] = {0,      -0.0,    1,      -1,     127,        128,
                                     0x1p31, -0x1p31, 0x1p53, 1e300,  1e-300,     0.5,
                                     16383,  16384,   1e15,   -1.5e9, 0x1p53 - 1, 4294967296};

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        _cleanup_json_ cJSON *json = cJSON_CreateNumber(numbers[i]);
        _cleanup_free_ struct packed *packed = packed_new(json);
        _cleanup_free_ cJSON *tree = packed_tree(packed);

        cr_assert_eq(memcmp(&tree->valuedouble, &json->valuedouble, sizeof(double)), 0, "%g",
                     numbers[i]);
        cr_assert_eq(tree->valueint, json->valueint, "%g", numbers[i]);
        cr_assert_eq(tree->type, json->type);
    }
}

Test(packed, deep_nesting_comes_back)
{
    cJSON *json = cJSON_CreateArray(), *inner = json;

    for (int i = 0; i < 900; i++) {
        cJSON *next = cJSON_CreateArray();

        json_append(inner, next);
        inner = next;
    }
    expect_round_trip(json);
    json_free(json);
}

/* Twice as many names as are kept, and long ones: those are in each object. */
Test(packed, more_names_than_are_kept_come_back)
{
    _cleanup_json_ cJSON *json = cJSON_CreateObject();
    _cleanup_free_ char *name = xmalloc(1001);

    for (int i = 0; i < 8192; i++) {
        _cleanup_free_ char *key = xasprintf("made-up-%d", i);

        json_add_int(json, key, i);
    }
    memset(name, 'n', 1000);
    name[1000] = '\0';
    json_add_string(json, name, "long");
    expect_round_trip(json);
    expect_round_trip(json);
}

Test(packed, a_duplicate_of_a_part_outlives_it)
{
    _cleanup_json_ cJSON *json = cJSON_CreateObject(), *copy = NULL;
    _cleanup_free_ struct packed *packed = NULL;
    _cleanup_free_ cJSON *tree = NULL;

    json_add_string(json_add_object(json, "metadata"), "name", "one");
    packed = packed_new(json);
    tree = packed_tree(packed);
    copy = cJSON_Duplicate(json_get(tree, "metadata"), true);
    free(TAKE_PTR(tree));
    free(TAKE_PTR(packed));
    cr_assert_str_eq(json_string(copy, "name"), "one");
    json_add_string(copy, "name2", "two");
    cJSON_DeleteItemFromObjectCaseSensitive(copy, "name");
    cr_assert_null(json_string(copy, "name"));
}

Test(packed, an_object_takes_less_than_its_text)
{
    _cleanup_json_ cJSON *json = cJSON_CreateObject();
    cJSON *list = json_add_array(json, "profiles");
    struct packed *packed;
    _cleanup_free_ char *text = NULL;

    for (int i = 0; i < 100; i++) {
        cJSON *entry = cJSON_CreateObject();

        json_add_string(entry, "name", "web");
        json_add_string(entry, "state", "Loaded");
        json_add_int(entry, "generation", i);
        json_append(list, entry);
    }
    text = json_print(json);
    packed = packed_new(json);
    cr_assert_lt(packed_size(packed), strlen(text) / 2);
    free(packed);
}
