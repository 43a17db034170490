// SPDX-License-Identifier: Apache-2.0
#include "cli/denial_set.h"

#include <criterion/criterion.h>
#include <string.h>

#include "cli/values.h"
#include "lib/base/alloc.h"

static void setup(void)
{
    alloc_init();
}

TestSuite(denial_set, .init = setup);

#define SHADOW(count, last, pods)                                                        \
    "{\"profile\":\"web\",\"object\":\"web\",\"outcome\":\"Denied\",\"class\":\"file\"," \
    "\"operation\":\"open\",\"name\":\"/etc/shadow\",\"denied\":\"r\",\"comm\":\"cat\"," \
    "\"count\":" count ",\"firstTime\":\"2026-01-01T10:00:00Z\",\"lastTime\":\"" last    \
    "\",\"pods\":[" pods "]}"
#define CHILD                                                                   \
    "{\"profile\":\"web//"                                                      \
    "sh\",\"object\":\"web\",\"outcome\":\"Allowed\",\"class\":\"capability\"," \
    "\"operation\":\"capable\",\"name\":\"net_admin\",\"count\":5}"
#define OTHER                                                                                 \
    "{\"profile\":\"webx\",\"outcome\":\"Denied\",\"class\":\"file\",\"operation\":\"open\"," \
    "\"count\":1}"

static void add(struct denial_set *set, const struct denial_filter *filter, const char *name,
                const char *denials)
{
    _cleanup_free_ char *text =
        xasprintf("{\"metadata\":{\"name\":\"%s\"},\"status\":{\"denialsNotListed\":2,"
                  "\"denials\":[%s]}}",
                  name, denials);
    _cleanup_json_ cJSON *json = NULL;

    cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0, "%s", text);
    denial_set_add_node(set, filter, json);
}

static cJSON *set_of(const struct denial_filter *filter)
{
    _cleanup_(denial_set_freep) struct denial_set *set = denial_set_new();

    add(set, filter, "a", SHADOW("3", "2026-01-01T10:05:00Z", "\"d/p1/c\"") "," CHILD "," OTHER);
    add(set, filter, "b", SHADOW("4", "2026-01-01T10:01:00Z", "\"d/p2/c\",\"d/p1/c\""));
    return denial_set_json(set);
}

Test(denial_set, one_access_on_many_nodes_is_one)
{
    _cleanup_json_ cJSON *all = set_of(&(struct denial_filter){0});
    const cJSON *first = cJSON_GetArrayItem(all, 0);
    _cleanup_free_ char *pods = value_join(json_get(first, "pods"));
    _cleanup_free_ char *nodes = value_join(json_get(first, "nodes"));

    cr_assert_eq(cJSON_GetArraySize(all), 3);
    cr_assert_str_eq(value_text(first, "name"), "/etc/shadow");
    cr_assert_eq(json_int(json_get(first, "count"), 0), 7);
    cr_assert_eq(json_int(json_get(first, "nodeCount"), 0), 2);
    cr_assert_str_eq(value_text(first, "lastTime"), "2026-01-01T10:05:00Z");
    cr_assert_str_eq(pods, "d/p1/c, d/p2/c");
    cr_assert_str_eq(nodes, "a, b");
}

static int count_of(const struct denial_filter *filter)
{
    _cleanup_json_ cJSON *all = set_of(filter);

    return cJSON_GetArraySize(all);
}

Test(denial_set, filters_by_object_profile_pod_and_node)
{
    cr_assert_eq(count_of(&(struct denial_filter){.object = "web"}), 2);
    cr_assert_eq(count_of(&(struct denial_filter){.profile = "web"}), 2);
    cr_assert_eq(count_of(&(struct denial_filter){.profile = "webx"}), 1);
    cr_assert_eq(count_of(
                     &(struct denial_filter){.object = "web", .profile = "webx", .either = true}),
                 3);
    cr_assert_eq(count_of(&(struct denial_filter){.ns = "d", .pod = "p2"}), 1);
    cr_assert_eq(count_of(&(struct denial_filter){.ns = "d", .pod = "p"}), 0);
    cr_assert_eq(count_of(&(struct denial_filter){.ns = "e", .pod = "p2"}), 0);
    cr_assert_eq(count_of(&(struct denial_filter){.node = "b"}), 1);
}

Test(denial_set, counts_what_nodes_could_not_list)
{
    _cleanup_(denial_set_freep) struct denial_set *set = denial_set_new();

    add(set, &(struct denial_filter){0}, "a", "");
    add(set, &(struct denial_filter){0}, "b", "");
    cr_assert_eq(denial_set_not_listed(set), 4);
}

static void expect_described(const char *denial, const char *expected)
{
    _cleanup_json_ cJSON *json = NULL;
    _cleanup_free_ char *text = NULL;

    cr_assert_eq(json_parse(denial, strlen(denial), &json, NULL), 0);
    text = denial_describe(json);
    cr_assert_str_eq(text, expected);
}

Test(denial_set, says_what_was_tried)
{
    expect_described(SHADOW("3", "", ""), "open of /etc/shadow for r");
    expect_described(CHILD, "use of capability net_admin");
    expect_described("{\"class\":7}", "");
}
