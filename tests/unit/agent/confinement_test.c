// SPDX-License-Identifier: Apache-2.0
#include "agent/confinement.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(confinement, .init = alloc_init);

static const struct {
    const char *asked, *label;
    bool holds;
} CASES[] = {
    {"Localhost/web", "web (enforce)", true},
    {"Localhost/web", "web (complain)", true},
    {"Localhost/web", "web (unconfined)", true},
    {"Localhost/web", "web//kid (enforce)", true},
    {"Localhost/web", "web//null-/bin/x (complain)", true},
    {"Localhost/web", "web//&other (mixed)", true},
    {"Localhost/web", "web//&unconfined (enforce)", true},
    {"Localhost/a//b", "a//b (enforce)", true},
    /* it may have been sent there */
    {"Localhost/web", "helper (enforce)", true},
    {"Localhost/web", "docker-default-like (enforce)", true},
    {"Localhost/web", "containers-default-mine (enforce)", true},
    {"Localhost/docker-default", "docker-default (enforce)", true},
    {"Localhost/web", "unconfined", false},
    {"Localhost/web", "runc (unconfined)", false},
    {"Localhost/web", "cri-containerd.apparmor.d (enforce)", false},
    {"Localhost/web", "docker-default (enforce)", false},
    {"Localhost/web", "crio-default (enforce)", false},
    {"Localhost/web", "crio-default-1.32.0 (enforce)", false},
    {"Localhost/web", "containers-default-0.57.4 (enforce)", false},
    {"RuntimeDefault", "cri-containerd.apparmor.d (enforce)", true},
    {"RuntimeDefault", "whatever (complain)", true},
    {"RuntimeDefault", "unconfined", false},
    {"RuntimeDefault", "crun (unconfined)", false},
};

Test(confinement, compares_what_is_with_what_was_asked)
{
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
        cr_expect_eq(confinement_holds(CASES[i].asked, CASES[i].label), CASES[i].holds, "%s: %s",
                     CASES[i].asked, CASES[i].label);
}

static const struct {
    const char *context; /* members of the container's securityContext */
    const char *asked;
} CONTAINERS[] = {
    {"", NULL},
    {"\"appArmorProfile\":{\"type\":\"Unconfined\"}", NULL},
    {"\"appArmorProfile\":{\"type\":\"RuntimeDefault\"}", "RuntimeDefault"},
    {"\"appArmorProfile\":{\"type\":\"RuntimeDefault\"},\"privileged\":false", "RuntimeDefault"},
    {"\"appArmorProfile\":{\"type\":\"RuntimeDefault\"},\"privileged\":true", NULL},
    {"\"appArmorProfile\":{\"type\":\"Localhost\",\"localhostProfile\":\"web\"}", "Localhost/web"},
    {"\"appArmorProfile\":{\"type\":\"Localhost\",\"localhostProfile\":\"web\"},"
     "\"privileged\":true",
     "Localhost/web"},
};

Test(confinement, only_what_is_asked_for_is_checked)
{
    for (size_t i = 0; i < ARRAY_SIZE(CONTAINERS); i++) {
        _cleanup_free_ char *text =
            xasprintf("{\"spec\":{\"containers\":[{\"name\":\"c\",\"securityContext\":{%s}}]}}",
                      CONTAINERS[i].context);
        _cleanup_json_ cJSON *pod = NULL;
        cr_assert_eq(json_parse(text, strlen(text), &pod, NULL), 0);
        _cleanup_free_ char *asked =
            confinement_asked(pod, cJSON_GetArrayItem(json_get(pod, "spec", "containers"), 0));

        if (CONTAINERS[i].asked)
            cr_expect(asked && strcmp(asked, CONTAINERS[i].asked) == 0, "%s", text);
        else
            cr_expect_null(asked, "%s", text);
    }
}

Test(confinement, a_profile_is_named_for_localhost_alone)
{
    cr_assert_str_eq(confinement_profile("Localhost/Localhost/x"), "Localhost/x");
    cr_assert_null(confinement_profile("RuntimeDefault"));
}
