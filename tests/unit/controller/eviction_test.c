// SPDX-License-Identifier: Apache-2.0
#include "controller/eviction.h"

#include "tests/unit/controller/support.h"

TestSuite(eviction, .init = alloc_init);

#define ENTRY(loaded)                                                                       \
    "{'namespace':'shop','pod':'web-1','podUID':'u1','container':'web','containerID':'11'," \
    "'asked':'Localhost/web','actual':'unconfined','profileLoaded':" loaded "}"

/* The pod that is to go, and what can be otherwise with it. */
struct variant {
    const char *what;
    const char *metadata; /* more members */
    const char *owners, *node, *profile, *status;
    enum eviction expected;
};

#define OWNED "{'kind':'ReplicaSet','name':'web','controller':true}"
#define LOCALHOST "'appArmorProfile':{'type':'Localhost','localhostProfile':'web'}"
#define RUNNING "{'name':'web','containerID':'containerd://11','state':{'running':{}}}"
#define OPTED "'annotations':{'apparmor.io/evict-unconfined':'true'}"

static const struct variant VARIANTS[] = {
    {"it opts in", OPTED, OWNED, "n1", LOCALHOST, RUNNING, EVICTION_YES},
    {"its namespace may", "'x':1", OWNED, "n1", LOCALHOST, RUNNING, EVICTION_ASK_NAMESPACE},
    {"it opts out", "'annotations':{'apparmor.io/evict-unconfined':'false'}", OWNED, "n1",
     LOCALHOST, RUNNING, EVICTION_NO},
    {"nonsense", "'annotations':{'apparmor.io/evict-unconfined':'yes'}", OWNED, "n1", LOCALHOST,
     RUNNING, EVICTION_NO},
    {"RuntimeDefault", OPTED, OWNED, "n1", "'appArmorProfile':{'type':'RuntimeDefault'}", RUNNING,
     EVICTION_YES},
    {"a DaemonSet's", OPTED, "{'kind':'DaemonSet','controller':true}", "n1", LOCALHOST, RUNNING,
     EVICTION_YES},
    {"CRI-O", OPTED, OWNED, "n1", LOCALHOST,
     "{'name':'web','containerID':'cri-o://11','state':{'running':{}}}", EVICTION_YES},
    {"another pod's node", OPTED, OWNED, "n2", LOCALHOST, RUNNING, EVICTION_NO},
    {"a pod of a file",
     "'annotations':{'apparmor.io/evict-unconfined':'true',"
     "'kubernetes.io/config.mirror':'x'}",
     OWNED, "n1", LOCALHOST, RUNNING, EVICTION_NO},
    {"nobody makes another", OPTED, "", "n1", LOCALHOST, RUNNING, EVICTION_NO},
    {"an owner that is no controller", OPTED, "{'kind':'ReplicaSet'}", "n1", LOCALHOST, RUNNING,
     EVICTION_NO},
    {"the node's", OPTED, "{'kind':'Node','controller':true}", "n1", LOCALHOST, RUNNING,
     EVICTION_NO},
    {"it asks for nothing", OPTED, OWNED, "n1", "'x':1", RUNNING, EVICTION_NO},
    {"it asks for none", OPTED, OWNED, "n1", "'appArmorProfile':{'type':'Unconfined'}", RUNNING,
     EVICTION_NO},
    {"the container has been started again", OPTED, OWNED, "n1", LOCALHOST,
     "{'name':'web','containerID':'containerd://12','state':{'running':{}}}", EVICTION_NO},
    {"the container has ended", OPTED, OWNED, "n1", LOCALHOST,
     "{'name':'web','containerID':'containerd://11','state':{'terminated':{}}}", EVICTION_NO},
    {"another container", OPTED, OWNED, "n1", LOCALHOST,
     "{'name':'other','containerID':'containerd://11','state':{'running':{}}}", EVICTION_NO},
    {"no status", OPTED, OWNED, "n1", LOCALHOST, "", EVICTION_NO},
};

static cJSON *pod_of(const struct variant *variant, const char *uid)
{
    return json_of("{'metadata':{'namespace':'shop','name':'web-1','uid':'%s',"
                   "'ownerReferences':[%s],%s},'spec':{'nodeName':'%s','containers':[{'name':'web',"
                   "'securityContext':{%s}}]},'status':{'containerStatuses':[%s]}}",
                   uid, variant->owners, variant->metadata, variant->node, variant->profile,
                   variant->status);
}

Test(eviction, only_what_is_meant_goes)
{
    _cleanup_json_ cJSON *entry = json_of("%s", ENTRY("true"));

    for (size_t i = 0; i < ARRAY_SIZE(VARIANTS); i++) {
        _cleanup_json_ cJSON *pod = pod_of(&VARIANTS[i], "u1");

        cr_expect_eq(eviction_of(entry, "n1", pod), VARIANTS[i].expected, "%s", VARIANTS[i].what);
    }
}

Test(eviction, another_pod_of_that_name_stays)
{
    _cleanup_json_ cJSON *entry = json_of("%s", ENTRY("true"));
    _cleanup_json_ cJSON *pod = pod_of(&VARIANTS[0], "u2");

    cr_assert_eq(eviction_of(entry, "n1", pod), EVICTION_NO);
}

Test(eviction, without_its_profile_a_pod_would_not_start_again)
{
    _cleanup_json_ cJSON *entry = json_of("%s", ENTRY("false"));
    _cleanup_json_ cJSON *pod = pod_of(&VARIANTS[0], "u1");

    cr_assert_eq(eviction_of(entry, "n1", pod), EVICTION_NO);
}

Test(eviction, an_entry_that_says_little_moves_nothing)
{
    static const char *const texts[] = {"{}",
                                        "[]",
                                        "7",
                                        "{'profileLoaded':true}",
                                        "{'podUID':'u1','profileLoaded':true}",
                                        "{'podUID':'u1','profileLoaded':true,'container':'web'}"};
    _cleanup_json_ cJSON *pod = pod_of(&VARIANTS[0], "u1");
    _cleanup_json_ cJSON *none = json_of("{}");

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_json_ cJSON *entry = json_of("%s", texts[i]);

        cr_expect_eq(eviction_of(entry, "n1", pod), EVICTION_NO, "%s", texts[i]);
        cr_expect_eq(eviction_of(entry, "n1", none), EVICTION_NO, "%s", texts[i]);
    }
}

Test(eviction, every_kind_of_container_counts)
{
    _cleanup_json_ cJSON *entry = json_of("%s", ENTRY("true"));
    _cleanup_json_ cJSON *pod = json_of(
        "{'metadata':{'uid':'u1','ownerReferences':[" OWNED "]," OPTED "},"
        "'spec':{'nodeName':'n1','initContainers':[{'name':'web','securityContext':{" LOCALHOST
        "}}]},'status':{'initContainerStatuses':[" RUNNING "]}}");

    cr_assert_eq(eviction_of(entry, "n1", pod), EVICTION_YES);
}

Test(eviction, a_namespace_opts_in_by_the_same_annotation)
{
    static const struct {
        const char *text;
        bool opts_in;
    } cases[] = {
        {"{'metadata':{" OPTED "}}", true},
        {"{'metadata':{'annotations':{'apparmor.io/evict-unconfined':'false'}}}", false},
        {"{'metadata':{'labels':{'apparmor.io/evict-unconfined':'true'}}}", false},
        {"{'metadata':{}}", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ cJSON *namespace = json_of("%s", cases[i].text);

        cr_expect_eq(eviction_opts_in(namespace), cases[i].opts_in, "%s", cases[i].text);
    }
}
