// SPDX-License-Identifier: Apache-2.0
#include "cli/overview.h"

#include <criterion/criterion.h>
#include <string.h>

#include "cli/problems.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

#define NOW "2026-01-01T12:00:00Z"
#define JUST_NOW "2026-01-01T11:59:30Z"
#define LONG_AGO "2026-01-01T10:00:00Z"

static struct overview *overview;

static void setup(void)
{
    int64_t now_ms;

    alloc_init();
    cr_assert_eq(clock_parse(NOW, &now_ms), 0);
    overview = overview_new(now_ms, true);
}

static void teardown(void)
{
    overview_free(overview);
}

TestSuite(overview, .init = setup, .fini = teardown);

static cJSON *parse(const char *text)
{
    cJSON *json;

    cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0, "%s", text);
    return json;
}

static void add(void (*fn)(struct overview *, const cJSON *), const char *text)
{
    _cleanup_json_ cJSON *json = parse(text);

    fn(overview, json);
}

static void add_lease(const char *renewed)
{
    _cleanup_free_ char *text = xasprintf("{\"spec\":{\"holderIdentity\":\"controller-a\","
                                          "\"leaseDurationSeconds\":15,\"renewTime\":\"%s\"}}",
                                          renewed);
    add(overview_set_lease, text);
}

static void add_profile(const char *name, const char *conditions)
{
    _cleanup_free_ char *text = xasprintf(
        "{\"metadata\":{\"name\":\"%s\",\"generation\":1,\"creationTimestamp\":\"" LONG_AGO
        "\"},\"status\":{\"observedGeneration\":1,\"conditions\":[%s]}}",
        name, conditions);
    add(overview_add_profile, text);
}

/* "severity kind names: message [reason] remedy?" of each problem. */
static void expect_problems(const char *expected)
{
    _cleanup_json_ cJSON *result = overview_finish(overview);
    _cleanup_buf_ struct buf out = BUF_INIT(64 * 1024);
    const cJSON *problem;

    cJSON_ArrayForEach(problem, json_get(result, "problems"))
    {
        _cleanup_free_ char *names = value_join(json_get(problem, "names"));
        buf_addf(&out, "%s %s %s: %s [%s]%s\n", value_text(problem, "severity"),
                 value_text(problem, "kind"), names, value_text(problem, "message"),
                 value_text(problem, "reason"), json_string(problem, "remedy") ? " +" : "");
    }
    cr_assert_str_eq(buf_string(&out), expected);
}

#define ENABLED(name, more)                  \
    "{\"metadata\":{\"name\":\"" name "\"}," \
    "\"status\":{\"apparmor\":\"Enabled\",\"agentVersion\":\"v1\"" more "}}"

Test(overview, a_cluster_that_is_well_has_no_problems)
{
    add_lease("2026-01-01T11:59:55.123456Z");
    add(overview_add_node, "{\"metadata\":{\"name\":\"a\"}}");
    add(overview_add_apparmor_node, ENABLED("a", ",\"audit\":{\"source\":\"Netlink\"}"));
    add_profile("web", "{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"AllNodesLoaded\"}");
    expect_problems("");
}

Test(overview, counts_nodes_and_names_the_leader)
{
    add_lease(JUST_NOW);
    add(overview_add_node, "{\"metadata\":{\"name\":\"a\"}}");
    add(overview_add_node, "{\"metadata\":{\"name\":\"z\"}}");
    add(overview_add_apparmor_node, ENABLED("a", ",\"loaded\":3"));
    add(overview_add_apparmor_node, "{\"metadata\":{\"name\":\"b\"},\"status\":{\"apparmor\":"
                                    "\"Disabled\"}}");
    _cleanup_json_ cJSON *result = overview_finish(overview);
    cr_assert_eq(json_int(json_get(result, "nodes", "enabled"), -1), 1);
    cr_assert_eq(json_int(json_get(result, "nodes", "disabled"), -1), 1);
    cr_assert_eq(json_int(json_get(result, "nodes", "unreported"), -1), 1);
    cr_assert_eq(cJSON_GetArraySize(json_get(result, "nodes", "items")), 2);
    cr_assert_str_eq(value_text(result, "controller", "leader"), "controller-a");
    cr_assert(problems_has_error(json_get(result, "problems")));
}

Test(overview, a_failed_profile_is_an_error_one_under_way_is_not)
{
    add_lease(JUST_NOW);
    add_profile("bad", "{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"Invalid\","
                       "\"message\":\"0 of 1 nodes loaded; a: line 3: syntax error\"},"
                       "{\"type\":\"Stalled\",\"status\":\"True\"}");
    add_profile("new", "{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"NodesPending\","
                       "\"lastTransitionTime\":\"" JUST_NOW "\"}");
    add_profile("slow", "{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"NodesPending\","
                        "\"message\":\"waiting for b\",\"lastTransitionTime\":\"" LONG_AGO "\"}");
    add_profile("nobody", "{\"type\":\"Ready\",\"status\":\"True\",\"reason\":"
                          "\"NoNodesSelected\",\"message\":\"no node\"}");
    expect_problems("error AppArmorProfile bad: 0 of 1 nodes loaded; a: line 3: syntax error "
                    "[Invalid] +\n"
                    "warning AppArmorProfile slow: waiting for b [NodesPending] +\n"
                    "warning AppArmorProfile nobody: no node [NoNodesSelected] +\n");
}

Test(overview, a_profile_that_no_controller_has_seen_is_told_after_a_while)
{
    add_lease(JUST_NOW);
    add(overview_add_profile, "{\"metadata\":{\"name\":\"fresh\",\"generation\":1,"
                              "\"creationTimestamp\":\"" JUST_NOW "\"}}");
    add(overview_add_profile, "{\"metadata\":{\"name\":\"old\",\"generation\":1,"
                              "\"creationTimestamp\":\"" LONG_AGO "\"}}");
    expect_problems("warning AppArmorProfile old: the controller has not looked at it yet [] +\n");
}

Test(overview, nodes_with_the_same_problem_are_one)
{
    add_lease(JUST_NOW);
    add(overview_add_apparmor_node,
        ENABLED("a", ",\"reason\":\"KernelStuck\",\"message\":\"no answer for 60 s\""));
    add(overview_add_apparmor_node,
        ENABLED("b", ",\"reason\":\"KernelStuck\",\"message\":\"no answer for 99 s\""));
    add(overview_add_apparmor_node, ENABLED("c", ",\"unconfinedContainers\":2,\"unconfined\":[{"
                                                 "\"namespace\":\"n\",\"pod\":\"p\","
                                                 "\"container\":\"x\"}]"));
    add(overview_add_apparmor_node,
        ENABLED("d", ",\"audit\":{\"source\":\"None\",\"reason\":\"AuditDisabled\","
                     "\"message\":\"booted with audit=0\"}"));
    expect_problems("error Node a, b: no answer for 60 s [KernelStuck] +\n"
                    "error Node c: containers run without the profile that their pods ask for, "
                    "such as container x of pod n/p [AppArmorUnconfined] +\n"
                    "warning Node d: booted with audit=0 [AuditDisabled] +\n");
}

Test(overview, agents_that_do_not_run_or_differ_are_told)
{
    add_lease(JUST_NOW);
    add(overview_add_apparmor_node, ENABLED("a", ""));
    add(overview_add_apparmor_node, "{\"metadata\":{\"name\":\"b\"},\"status\":{\"apparmor\":"
                                    "\"Enabled\",\"agentVersion\":\"v2\"}}");
    add(overview_add_agent_pod, "{\"metadata\":{\"creationTimestamp\":\"" LONG_AGO "\"},"
                                "\"spec\":{\"nodeName\":\"b\"},\"status\":{\"containerStatuses\":[{"
                                "\"state\":{\"waiting\":{\"reason\":\"ImagePullBackOff\"}}}]}}");
    add(overview_add_agent_pod, "{\"metadata\":{\"creationTimestamp\":\"" JUST_NOW "\"},"
                                "\"spec\":{\"nodeName\":\"a\"}}");
    expect_problems("error Node b: its agent does not run: ImagePullBackOff [AgentNotReady] +\n"
                    "warning Agents : agents differ: v1 on 1, v2 on 1 [MixedVersions] +\n");
}

Test(overview, nobody_leads)
{
    add_lease(LONG_AGO);
    expect_problems("error Controller : no apparmor-controller leads: the status of "
                    "AppArmorProfiles is not kept up, and deletions wait [NoLeader] +\n");
}

Test(overview, objects_of_any_shape_do_no_harm)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"metadata\":7,\"status\":[]}",
        "{\"metadata\":{\"name\":7},\"status\":{\"conditions\":{\"a\":1},\"unconfined\":3}}",
        "{\"status\":{\"conditions\":[7,{}],\"unconfinedContainers\":1e300}}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        add(overview_add_profile, texts[i]);
        add(overview_add_apparmor_node, texts[i]);
        add(overview_add_node, texts[i]);
        add(overview_add_agent_pod, texts[i]);
        add(overview_set_lease, texts[i]);
    }
    _cleanup_json_ cJSON *result = overview_finish(overview);
    cr_assert_eq(cJSON_GetArraySize(json_get(result, "profiles")), ARRAY_SIZE(texts));
}
