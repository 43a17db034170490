// SPDX-License-Identifier: Apache-2.0
#include "controller/placement.h"

#include "tests/unit/controller/support.h"

TestSuite(placement, .init = alloc_init);

#define AFFINITY(kind, expression) \
    "{'spec':{'affinity':{'nodeAffinity':{'" kind "':" expression "}}}}"
#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static const struct {
    const char *pod;
    bool requires;
} cases[] = {
    {"{}", false},
    {"{'spec':{'nodeSelector':{'apparmor.io/profile-web':'true'}}}", true},
    {"{'spec':{'nodeSelector':{'apparmor.io/profile-web2':'true'}}}", false},
    {AFFINITY(REQUIRED,
              "{'nodeSelectorTerms':[{'matchExpressions':[{'key':'a','operator':'Exists'}]},"
              "{'matchExpressions':[{'key':'apparmor.io/profile-web','operator':'In'}]}]}"),
     true},
    {AFFINITY(REQUIRED, "{'nodeSelectorTerms':[{'matchFields':[{'key':'metadata.name'}]}]}"),
     false},
    {AFFINITY(PREFERRED,
              "[{'preference':{'matchExpressions':[{'key':'apparmor.io/profile-web'}]}}]"),
     false},
    {"{'spec':{'nodeSelector':'x','affinity':[]}}", false},
};

Test(placement, required_labels)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *pod = json_of("%s", cases[i].pod);

        cr_assert_eq(placement_requires(pod, "apparmor.io/profile-web"), cases[i].requires, "%s",
                     cases[i].pod);
    }
}

Test(placement, pods_that_have_ended_or_go_do_not_count)
{
    _cleanup_json_ cJSON *running = json_of("{'status':{'phase':'Running'}}"),
                         *unknown = json_of("{}"),
                         *failed = json_of("{'status':{'phase':'Failed'}}"),
                         *going =
                             json_of("{'metadata':{'deletionTimestamp':'2026-01-01T00:00:00Z'},"
                                     "'status':{'phase':'Running'}}");

    cr_assert(placement_counts(running));
    cr_assert(placement_counts(unknown));
    cr_assert_not(placement_counts(failed));
    cr_assert_not(placement_counts(going));
}
