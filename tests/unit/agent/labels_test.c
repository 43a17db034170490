// SPDX-License-Identifier: Apache-2.0
#include "agent/labels.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(labels, .init = alloc_init);

struct labels_case {
    const char *what, *labels;
    struct {
        bool enabled, keep_others;
        const char *profiles[3];
    } wanted;
    const char *patch; /* NULL: nothing to write */
};

#define META(labels) "{\"metadata\":{\"uid\":\"u\",\"labels\":{" labels "}}}"

static const struct labels_case CASES[] = {
    {"a new Node gets everything",
     NULL,
     {true, false, {"web"}},
     META("\"apparmor.io/enabled\":\"true\",\"apparmor.io/profile-web\":\"true\"")},
    {"what holds already is not written",
     "{\"apparmor.io/enabled\":\"true\",\"apparmor.io/profile-web\":\"true\",\"zone\":\"a\"}",
     {true, false, {"web"}},
     NULL},
    {"what does not hold goes, others' labels stay",
     "{\"apparmor.io/enabled\":\"true\",\"apparmor.io/profile-old\":\"true\","
     "\"apparmor.io/other\":\"x\",\"zone\":\"a\"}",
     {true, false, {NULL}},
     META("\"apparmor.io/profile-old\":null")},
    {"a value that somebody else has set is put right",
     "{\"apparmor.io/enabled\":\"false\",\"apparmor.io/profile-web\":\"no\"}",
     {true, false, {"web"}},
     META("\"apparmor.io/enabled\":\"true\",\"apparmor.io/profile-web\":\"true\"")},
    {"a node that cannot look keeps what it promised",
     "{\"apparmor.io/enabled\":\"true\",\"apparmor.io/profile-web\":\"true\"}",
     {false, true, {NULL}},
     META("\"apparmor.io/enabled\":\"false\"")},
    {"a node without AppArmor promises nothing",
     "{\"apparmor.io/enabled\":\"true\",\"apparmor.io/profile-web\":\"true\"}",
     {false, false, {NULL}},
     META("\"apparmor.io/enabled\":\"false\",\"apparmor.io/profile-web\":null")},
};

static cJSON *parse(const char *text)
{
    cJSON *json = NULL;

    if (text)
        cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0);
    return json;
}

Test(labels, the_patch_makes_what_is_there_into_what_holds)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        const struct labels_case *c = &CASES[i];
        _cleanup_json_ cJSON *labels = parse(c->labels);
        _cleanup_json_ cJSON *expected = parse(c->patch);
        struct labels_wanted wanted = {.enabled = c->wanted.enabled,
                                       .keep_others = c->wanted.keep_others};

        for (size_t j = 0; j < 3 && c->wanted.profiles[j]; j++)
            strv_add(&wanted.profiles, c->wanted.profiles[j]);

        _cleanup_json_ cJSON *patch = labels_patch(labels, "u", &wanted);
        _cleanup_free_ char *text = patch ? json_print(patch) : NULL;

        cr_expect(json_equal(patch, expected), "%s: %s", c->what, text ? text : "nothing");
        strv_done(&wanted.profiles);
    }
}

Test(labels, a_label_counts_only_with_its_value)
{
    _cleanup_json_ cJSON *labels =
        parse("{\"apparmor.io/profile-web\":\"true\",\"apparmor.io/profile-db\":\"\"}");

    cr_assert(labels_has_profile(labels, "web"));
    cr_assert_not(labels_has_profile(labels, "db"));
    cr_assert_not(labels_has_profile(labels, "we"));
    cr_assert_not(labels_has_profile(NULL, "web"));
}
