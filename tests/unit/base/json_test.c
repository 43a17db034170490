// SPDX-License-Identifier: Apache-2.0
#include "lib/base/json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(json, .init = alloc_init);

static cJSON *parse(const char *text)
{
    cJSON *json = NULL;

    cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0, "%s", text);
    return json;
}

Test(json, walks_paths)
{
    _cleanup_json_ cJSON *pod = parse("{\"spec\":{\"nodeName\":\"n1\",\"n\":1}}");

    cr_assert_str_eq(json_string(pod, "spec", "nodeName"), "n1");
    cr_assert_null(json_string(pod, "spec", "n"));
    cr_assert_null(json_string(pod, "spec", "nodeName", "deeper"));
    cr_assert_null(json_get(pod, "Spec"));
    cr_assert_null(json_get((cJSON *) NULL, "spec"));
    cr_assert_eq(json_int(json_get(pod, "spec", "n"), -1), 1);
}

Test(json, numbers_that_are_no_integers_fall_back)
{
    _cleanup_json_ cJSON *numbers =
        parse("[9007199254740992, -5, 1.5, 1e300, -1e300, \"7\", 9223372036854775808, "
              "-9223372036854775808]");
    static const int64_t expected[] = {INT64_C(9007199254740992), -5, 7, 7, 7, 7, 7, INT64_MIN};

    for (int i = 0; i < 8; i++)
        cr_assert_eq(json_int(cJSON_GetArrayItem(numbers, i), 7), expected[i], "item %d", i);
    cr_assert_eq(json_int(NULL, 7), 7);
    cr_assert(json_bool(NULL, true));
    cr_assert(json_bool(numbers, true));
}

Test(json, parses_exactly_the_given_bytes)
{
    _cleanup_error_ struct error err = {0};
    cJSON *json = NULL;

    cr_assert_eq(json_parse("12345", 3, &json, &err), 0);
    cr_assert_eq(json_int(json, 0), 123);
    cJSON_Delete(json);
    cr_assert_eq(json_parse("{} \n\t", 5, &json, &err), 0);
    cJSON_Delete(json);
    json = NULL;
    cr_assert_eq(json_parse("{} x", 4, &json, &err), -EINVAL);
    cr_assert_str_eq(err.message, "invalid JSON: more text follows the value at offset 2");
    cr_assert_eq(json_parse("{\"a\":}", 6, &json, &err), -EINVAL);
    cr_assert_not_null(strstr(err.message, "offset 5 of 6"), "%s", err.message);
    cr_assert_eq(json_parse("", 0, &json, &err), -EINVAL);
    cr_assert_eq(json_parse("[1", 2, &json, &err), -EINVAL);
    cr_assert_eq(json_parse("\"a", 2, &json, &err), -EINVAL);
    cr_assert_null(json);
}

Test(json, refuses_endless_nesting)
{
    _cleanup_free_ char *text = xmalloc(2000000);
    cJSON *json;

    memset(text, '[', 2000000);
    cr_assert_eq(json_parse(text, 2000000, &json, NULL), -EINVAL);
}

Test(json, an_escaped_nul_cuts_no_string)
{
    _cleanup_json_ cJSON *json = parse("[\"a\\u0000b\", \"a\\\\u0000b\", \"a\\\\\\u0000b\"]");

    cr_assert_str_eq(cJSON_GetArrayItem(json, 0)->valuestring, "a\xef\xbf\xbd"
                                                               "b");
    cr_assert_str_eq(cJSON_GetArrayItem(json, 1)->valuestring, "a\\u0000b");
    cr_assert_str_eq(cJSON_GetArrayItem(json, 2)->valuestring, "a\\\xef\xbf\xbd"
                                                               "b");
}

/* Objects within objects, whose members come in this order or the other. */
static cJSON *nested(int depth, bool forward)
{
    cJSON *object = cJSON_CreateObject();

    for (int i = 0; i < depth; i++) {
        cJSON *outer = cJSON_CreateObject();

        json_add_int(outer, "first", 1);
        if (!forward)
            json_add_int(outer, "z", i);
        json_add(outer, "inner", object);
        if (forward)
            json_add_int(outer, "z", i);
        object = outer;
    }
    return object;
}

Test(json, equality_of_what_is_nested_takes_no_longer_with_each_level, .timeout = 20)
{
    _cleanup_json_ cJSON *a = nested(200, true), *b = nested(200, false), *c = nested(199, false);

    cr_assert(json_equal(a, b));
    cr_assert_not(json_equal(a, c));
}

Test(json, equality_of_many_members_in_another_order_is_quick, .timeout = 20)
{
    _cleanup_json_ cJSON *a = cJSON_CreateObject(), *b = cJSON_CreateObject();

    for (int i = 0; i < 300000; i++) {
        char key[16];

        (void) snprintf(key, sizeof(key), "%d", i);
        json_add_int(a, key, i);
        (void) snprintf(key, sizeof(key), "%d", 299999 - i);
        json_add_int(b, key, 299999 - i);
    }
    cr_assert(json_equal(a, b));
}

Test(json, values_are_counted_without_parsing)
{
    static const struct {
        const char *text;
        size_t count;
    } cases[] = {
        {"1", 1},    {"[1,2]", 3}, {"{\"a\":1,\"b\":[{}]}", 5}, {"\"a,[{\"", 1}, {"[\"\\\",\"]", 2},
        {"\"\\", 1}, {"", 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_assert_eq(json_count_values(cases[i].text, strlen(cases[i].text)), cases[i].count, "%s",
                     cases[i].text);
}

Test(json, equality_ignores_the_order_of_keys_alone)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1}", true},
        {"{\"a\":1,\"b\":2}", "{\"a\":1}", false},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":1,\"c\":2}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":1}", false},
        {"[1,2]", "[2,1]", false},
        {"[1,2]", "[1,2,3]", false},
        {"{}", "[]", false},
        {"\"1\"", "1", false},
        {"true", "false", false},
        {"null", "null", true},
        {"{\"A\":1}", "{\"a\":1}", false},
        {"{\"a\":{\"b\":{\"c\":\"x\"}}}", "{\"a\":{\"b\":{\"c\":\"y\"}}}", false},
        {"1.0", "1", true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *a = parse(cases[i].a), *b = parse(cases[i].b);
        cr_assert_eq(json_equal(a, b), cases[i].equal, "%s %s", cases[i].a, cases[i].b);
        cr_assert_eq(json_equal(b, a), cases[i].equal, "%s %s", cases[i].b, cases[i].a);
        cr_assert_not(json_equal(a, NULL));
    }
    cr_assert(json_equal(NULL, NULL));
}

Test(json, builds_and_prints)
{
    _cleanup_json_ cJSON *json = cJSON_CreateObject();

    json_add_string(json, "s", "\"x\"");
    json_add_int(json, "i", INT64_C(1234567890123));
    json_add_bool(json, "b", true);
    json_add_string(json_add_object(json, "o"), "k", "v");
    cJSON *list = json_add_array(json, "l");
    json_append_string(list, "a");
    json_append(list, cJSON_CreateNull());
    _cleanup_free_ char *text = json_print(json);
    cr_assert_str_eq(text, "{\"s\":\"\\\"x\\\"\",\"i\":1234567890123,\"b\":true,"
                           "\"o\":{\"k\":\"v\"},\"l\":[\"a\",null]}");
}
