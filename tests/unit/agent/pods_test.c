// SPDX-License-Identifier: Apache-2.0
#include "agent/pods.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(pods, .init = alloc_init);

static const char *user_of(const char *pod_text, const char *profile)
{
    static char found[256];
    _cleanup_json_ cJSON *pod = NULL;
    _cleanup_(map_freep) struct map *users = map_new(free);
    _cleanup_strv_ struct strv names = {0};
    const char *user;

    cr_assert_eq(json_parse(pod_text, strlen(pod_text), &pod, NULL), 0);
    pods_collect(pod, users);
    strv_add(&names, "unrelated");
    strv_add(&names, profile);
    user = pods_user(users, &names);
    if (!user)
        return NULL;
    snprintf(found, sizeof(found), "%s", user);
    return found;
}

#define POD(annotations, spec)                                                               \
    "{\"metadata\":{\"namespace\":\"ns\",\"name\":\"p\",\"annotations\":{" annotations "}}," \
    "\"spec\":{" spec "}}"
#define PROFILE(name)                                                                        \
    "\"securityContext\":{\"appArmorProfile\":{\"type\":\"Localhost\",\"localhostProfile\":" \
    "\"" name "\"}}"

static const char *const USING_PODS[] = {
    POD("", PROFILE("web")),
    POD("", "\"containers\":[{},{" PROFILE("web") "}]"),
    POD("", "\"initContainers\":[{" PROFILE("web") "}]"),
    POD("", "\"ephemeralContainers\":[{" PROFILE("web") "}]"),
    POD("\"container.apparmor.security.beta.kubernetes.io/c\":\"localhost/web\"", ""),
    POD("", PROFILE("web//child")),
    POD("", PROFILE("other//&web")),
};

Test(pods, every_way_to_name_a_profile_counts)
{
    for (size_t i = 0; i < ARRAY_SIZE(USING_PODS); i++) {
        const char *user = user_of(USING_PODS[i], "web");

        cr_expect(user && strcmp(user, "ns/p") == 0, "pod %zu", i);
    }
}

static const char *const OTHER_PODS[] = {
    POD("", ""),
    POD("", PROFILE("web2")),
    POD("", "\"containers\":[{\"securityContext\":{\"appArmorProfile\":"
            "{\"type\":\"RuntimeDefault\"}}}]"),
    POD("\"container.apparmor.security.beta.kubernetes.io/c\":\"runtime/default\"", ""),
    POD("\"example.com/c\":\"localhost/web\"", ""),
};

Test(pods, other_profiles_do_not_count)
{
    for (size_t i = 0; i < ARRAY_SIZE(OTHER_PODS); i++)
        cr_expect_null(user_of(OTHER_PODS[i], "web"), "pod %zu", i);
}

Test(pods, those_of_the_node_alone_are_asked_for)
{
    _cleanup_free_ char *selector = pods_selector("node-1");

    cr_assert_str_eq(selector, "spec.nodeName=node-1,status.phase!=Succeeded,status.phase!=Failed");
}
