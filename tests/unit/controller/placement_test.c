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

Test(placement, an_agent_that_is_ready_vouches_for_its_node)
{
    static const struct {
        const char *ns, *name, *ready;
        bool is;
    } pods[] = {
        {"system", "apparmor-agent", "True", true},
        {"system", "apparmor-agent", "False", false},
        {"default", "apparmor-agent", "True", false},
        {"system", "apparmor-controller", "True", false},
    };
    _cleanup_json_ cJSON *empty = json_of("{}");

    for (size_t i = 0; i < ARRAY_SIZE(pods); i++) {
        _cleanup_json_ cJSON *pod =
            json_of("{'metadata':{'namespace':'%s','labels':{'app.kubernetes.io/name':'%s'}},"
                    "'status':{'conditions':[{'type':'Ready','status':'%s'}]}}",
                    pods[i].ns, pods[i].name, pods[i].ready);

        cr_assert_eq(placement_is_agent(pod, "system"), pods[i].is, "%zu", i);
    }
    cr_assert_not(placement_is_agent(empty, "system"));
}
