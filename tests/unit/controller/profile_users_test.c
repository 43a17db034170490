// SPDX-License-Identifier: Apache-2.0
#include "controller/profile_users.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(profile_users, .init = alloc_init);

#define POD(status, profile)                                                                \
    "{\"spec\":{\"containers\":[{\"name\":\"a\",\"securityContext\":{\"appArmorProfile\":{" \
    "\"type\":\"Localhost\",\"localhostProfile\":\"" profile "\"}}}]},\"status\":{" status "}}"

static const struct {
    const char *pod;
    bool uses;
} CASES[] = {
    {POD("", "web"), true},
    {POD("\"phase\":\"Running\"", "web"), true},
    {POD("\"phase\":\"Pending\"", "shop"), true},
    {POD("", "web//kid"), true},
    {POD("", "web2"), false},
    {POD("", "we"), false},
    {POD("", "web/kid"), false},
    {POD("\"phase\":\"Succeeded\"", "web"), false},
    {POD("\"phase\":\"Failed\"", "web"), false},
    {"{\"spec\":{\"securityContext\":{\"appArmorProfile\":{\"type\":\"Localhost\","
     "\"localhostProfile\":\"web\"}},\"containers\":[],\"initContainers\":[{\"name\":\"i\"}]}}",
     true},
    {"{\"spec\":{\"containers\":[{\"name\":\"a\"}]}}", false},
    {"{}", false},
};

Test(profile_users, a_pod_that_has_not_ended_uses_what_it_asks_for)
{
    _cleanup_strv_ struct strv profiles = {0};

    strv_add(&profiles, "web");
    strv_add(&profiles, "shop");
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        _cleanup_json_ cJSON *pod = NULL;

        cr_assert_eq(json_parse(CASES[i].pod, strlen(CASES[i].pod), &pod, NULL), 0);
        cr_assert_eq(profile_users_match(pod, &profiles), CASES[i].uses, "%s", CASES[i].pod);
    }
}
