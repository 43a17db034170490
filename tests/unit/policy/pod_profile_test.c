// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/pod_profile.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(pod_profile, .init = alloc_init);

#define FIELD(type) "\"securityContext\":{\"appArmorProfile\":{\"type\":\"" type "\"}}"
#define LOCALHOST(name)                                                                      \
    "\"securityContext\":{\"appArmorProfile\":{\"type\":\"Localhost\",\"localhostProfile\":" \
    "\"" name "\"}}"
#define ANNOTATION(container, value) \
    "\"container.apparmor.security.beta.kubernetes.io/" container "\":\"" value "\""

static const struct {
    const char *annotations, *pod, *container; /* members of JSON objects */
    enum pod_profile_type type;
    const char *name;
} CASES[] = {
    {"", "", "", POD_PROFILE_NONE, NULL},
    /* each place */
    {"", "", LOCALHOST("own"), POD_PROFILE_LOCALHOST, "own"},
    {ANNOTATION("c", "localhost/old"), "", "", POD_PROFILE_LOCALHOST, "old"},
    {"", LOCALHOST("pod"), "", POD_PROFILE_LOCALHOST, "pod"},
    {"", "", FIELD("RuntimeDefault"), POD_PROFILE_RUNTIME_DEFAULT, NULL},
    {ANNOTATION("c", "runtime/default"), "", "", POD_PROFILE_RUNTIME_DEFAULT, NULL},
    {"", FIELD("RuntimeDefault"), "", POD_PROFILE_RUNTIME_DEFAULT, NULL},
    {"", "", FIELD("Unconfined"), POD_PROFILE_UNCONFINED, NULL},
    {ANNOTATION("c", "unconfined"), "", "", POD_PROFILE_UNCONFINED, NULL},
    {"", FIELD("Unconfined"), "", POD_PROFILE_UNCONFINED, NULL},
    /* which of them */
    {ANNOTATION("c", "localhost/old"), LOCALHOST("pod"), LOCALHOST("own"), POD_PROFILE_LOCALHOST,
     "own"},
    {ANNOTATION("c", "localhost/old"), LOCALHOST("pod"), "", POD_PROFILE_LOCALHOST, "old"},
    {ANNOTATION("other", "localhost/old"), LOCALHOST("pod"), "", POD_PROFILE_LOCALHOST, "pod"},
    {"", LOCALHOST("pod"), FIELD("Unconfined"), POD_PROFILE_UNCONFINED, NULL},
    {ANNOTATION("c", "unconfined"), LOCALHOST("pod"), "", POD_PROFILE_UNCONFINED, NULL},
    {"", LOCALHOST("pod"), "\"securityContext\":{\"privileged\":true}", POD_PROFILE_LOCALHOST,
     "pod"},
    /* names */
    {ANNOTATION("c", "localhost/localhost/x"), "", "", POD_PROFILE_LOCALHOST, "localhost/x"},
    {"", "", LOCALHOST("a//b"), POD_PROFILE_LOCALHOST, "a//b"},
    /* what no API server lets pass */
    {"", "", FIELD("Localhost"), POD_PROFILE_NONE, NULL},
    {"", "", FIELD("Other"), POD_PROFILE_NONE, NULL},
    {"", "", LOCALHOST(""), POD_PROFILE_NONE, NULL},
    {ANNOTATION("c", "localhost/"), "", "", POD_PROFILE_NONE, NULL},
    {ANNOTATION("c", ""), "", "", POD_PROFILE_NONE, NULL},
    {"", "", "\"securityContext\":{\"appArmorProfile\":null}", POD_PROFILE_NONE, NULL},
    {"", "\"securityContext\":7", "\"securityContext\":[]", POD_PROFILE_NONE, NULL},
};

Test(pod_profile, the_nearest_word_counts)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        _cleanup_free_ char *text =
            xasprintf("{\"metadata\":{\"annotations\":{%s}},\"spec\":{%s%s\"containers\":"
                      "[{\"name\":\"c\"%s%s}]}}",
                      CASES[i].annotations, CASES[i].pod, *CASES[i].pod ? "," : "",
                      *CASES[i].container ? "," : "", CASES[i].container);
        _cleanup_json_ cJSON *pod = NULL;
        cr_assert_eq(json_parse(text, strlen(text), &pod, NULL), 0, "%s", text);
        struct pod_profile profile =
            pod_profile_of(pod, cJSON_GetArrayItem(json_get(pod, "spec", "containers"), 0));

        cr_expect_eq(profile.type, CASES[i].type, "%s", text);
        if (CASES[i].name)
            cr_expect_str_eq(profile.name, CASES[i].name, "%s", text);
        else
            cr_expect_null(profile.name, "%s", text);
    }
}

Test(pod_profile, privileged_containers_say_so)
{
    static const struct {
        const char *text;
        bool privileged;
    } cases[] = {
        {"{\"securityContext\":{\"privileged\":true}}", true},
        {"{\"securityContext\":{\"privileged\":false}}", false},
        {"{\"securityContext\":{}}", false},
        {"{}", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *container = NULL;
        cr_assert_eq(json_parse(cases[i].text, strlen(cases[i].text), &container, NULL), 0);
        cr_expect_eq(pod_container_is_privileged(container), cases[i].privileged, "%s",
                     cases[i].text);
    }
}
