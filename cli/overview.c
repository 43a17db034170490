// SPDX-License-Identifier: Apache-2.0
#include "cli/overview.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/problems.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/map.h"
#include "lib/policy/profile.h"

/* What is under way for so long is told. */
#define PATIENCE_MS (5 * 60 * 1000)
#define TEXT_MAX 4096

struct overview {
    int64_t now_ms;
    bool all_nodes;
    struct problems *problems;
    cJSON *profiles, *nodes, *gaps;
    struct map *reported; /* AppArmorNodes */
    struct map *expected; /* Nodes */
    struct map *versions; /* of agents: size_t * */
    size_t enabled, disabled, unconfined;
    char *leader;
};

struct overview *overview_new(int64_t now_ms, bool nodes)
{
    struct overview *overview = xcalloc(1, sizeof(*overview));

    overview->now_ms = now_ms;
    overview->all_nodes = nodes;
    overview->problems = problems_new();
    overview->profiles = cJSON_CreateArray();
    overview->nodes = cJSON_CreateArray();
    overview->gaps = cJSON_CreateArray();
    overview->reported = map_new(NULL);
    overview->expected = map_new(NULL);
    overview->versions = map_new(free);
    return overview;
}

void overview_free(struct overview *overview)
{
    if (!overview)
        return;
    problems_free(overview->problems);
    json_free(overview->profiles);
    json_free(overview->nodes);
    json_free(overview->gaps);
    map_free(overview->reported);
    map_free(overview->expected);
    map_free(overview->versions);
    free(overview->leader);
    free(overview);
}

/* --- profiles ------------------------------------------------------------------------------- */

static bool is_old(const struct overview *overview, const char *time)
{
    int64_t then_ms;

    return time && clock_parse(time, &then_ms) == 0 && overview->now_ms - then_ms > PATIENCE_MS;
}

static bool is_true(const cJSON *condition)
{
    return strcmp(value_text(condition, "status"), "True") == 0;
}

/* What is under way and has not taken long is no problem. */
static void judge_profile(struct overview *overview, const cJSON *profile)
{
    const cJSON *ready = value_condition(profile, "Ready");
    int64_t generation = json_int(json_get(profile, "metadata", "generation"), 0);
    int64_t observed = json_int(json_get(profile, "status", "observedGeneration"), -1);
    bool stalled = is_true(value_condition(profile, "Stalled"));
    struct problem problem = {
        .kind = "AppArmorProfile",
        .name = value_text(profile, "metadata", "name"),
        .reason = json_string(ready, "reason"),
        .message = value_text(ready, "message"),
        .alone = true,
    };

    if (!ready || observed < generation) {
        problem.alone = false;
        problem.warning = true;
        problem.reason = NULL;
        problem.message = "the controller has not looked at it yet";
        problem.remedy = "wait a moment; then see the controller's log in apparmor-system";
        if (is_old(overview, json_string(profile, "metadata", "creationTimestamp")))
            problems_add(overview->problems, &problem);
    } else if (!is_true(ready)) {
        problem.warning = !stalled;
        if (stalled || is_old(overview, json_string(ready, "lastTransitionTime")) ||
            strcmp(value_text(ready, "reason"), "Terminating") == 0)
            problems_add(overview->problems, &problem);
    } else if (strcmp(value_text(ready, "reason"), "NoNodesSelected") == 0) {
        problem.warning = true;
        problems_add(overview->problems, &problem);
    }
}

void overview_add_profile(struct overview *overview, const cJSON *profile)
{
    const cJSON *ready = value_condition(profile, "Ready");
    cJSON *row = cJSON_CreateObject();

    json_add_string(row, "name", value_text(profile, "metadata", "name"));
    json_add_string(row, "mode", value_text(profile, "status", "mode"));
    json_add_string(row, "loaded", value_text(profile, "status", "nodes", "summary"));
    json_add_string(row, "ready", value_text(ready, "status"));
    json_add_string(row, "reason", value_text(ready, "reason"));
    json_add_string(row, "created", value_text(profile, "metadata", "creationTimestamp"));
    json_append(overview->profiles, row);
    judge_profile(overview, profile);
}

/* --- nodes ---------------------------------------------------------------------------------- */

static void count_version(struct overview *overview, const char *version)
{
    size_t *count = map_get(overview->versions, version);

    if (!count) {
        count = xcalloc(1, sizeof(*count));
        map_set(overview->versions, version, count);
    }
    ++*count;
}

static void judge_unconfined(struct overview *overview, const char *name, const cJSON *status)
{
    const cJSON *first = cJSON_GetArrayItem(json_get(status, "unconfined"), 0);
    int64_t count = json_int(json_get(status, "unconfinedContainers"), 0);
    _cleanup_free_ char *message = NULL;
    struct problem problem = {
        .kind = "Node",
        .name = name,
        .reason = "AppArmorUnconfined",
        .remedy = "delete the pods, or annotate them or their namespaces with "
                  "apparmor.io/evict-unconfined=true; kubectl apparmor describe node/NAME lists "
                  "them",
    };

    if (count <= 0)
        return;
    overview->unconfined += (size_t) count;
    message = xasprintf("containers run without the profile that their pods ask for, such as "
                        "container %s of pod %s/%s",
                        value_text(first, "container"), value_text(first, "namespace"),
                        value_text(first, "pod"));
    problem.message = message;
    problems_add(overview->problems, &problem);
}

static void judge_node(struct overview *overview, const char *name, const cJSON *status)
{
    const char *reason = json_string(status, "reason");
    const cJSON *audit = json_get(status, "audit");
    bool enabled = strcmp(value_text(status, "apparmor"), "Enabled") == 0;
    struct problem problem = {
        .kind = "Node",
        .name = name,
        .reason = reason,
        .message = value_text(status, "message"),
        .warning = !enabled,
    };

    if (!enabled && !*problem.message)
        problem.message = "has no AppArmor";
    if (!enabled || (reason && *reason))
        problems_add(overview->problems, &problem);
    if (enabled && audit && strcmp(value_text(audit, "source"), "Netlink") != 0) {
        problem.warning = true;
        problem.reason = json_string(audit, "reason");
        problem.message = value_text(audit, "message");
        problems_add(overview->problems, &problem);
    }
    judge_unconfined(overview, name, status);
}

void overview_add_apparmor_node(struct overview *overview, const cJSON *node)
{
    const cJSON *status = json_get(node, "status");
    const char *name = value_text(node, "metadata", "name");

    map_set(overview->reported, name, NULL);
    if (strcmp(value_text(status, "apparmor"), "Enabled") == 0)
        overview->enabled++;
    else
        overview->disabled++;
    count_version(overview, value_text(status, "agentVersion"));
    judge_node(overview, name, status);
    if (overview->all_nodes) {
        cJSON *row = cJSON_CreateObject();

        json_add_string(row, "name", name);
        json_add_string(row, "apparmor", value_text(status, "apparmor"));
        json_add_int(row, "loaded", json_int(json_get(status, "loaded"), 0));
        json_add_int(row, "failed", json_int(json_get(status, "failed"), 0));
        json_add_int(row, "unconfined", json_int(json_get(status, "unconfinedContainers"), 0));
        json_add_string(row, "kernel", value_text(status, "kernelRelease"));
        json_add_string(row, "parser", value_text(status, "parserVersion"));
        json_add_string(row, "agent", value_text(status, "agentVersion"));
        json_append(overview->nodes, row);
    }
}

void overview_add_node(struct overview *overview, const cJSON *node)
{
    map_set(overview->expected, value_text(node, "metadata", "name"), NULL);
}

/* Why the pod's container does not run, as the kubelet says it. */
static char *pod_trouble(const cJSON *pod)
{
    const cJSON *container = cJSON_GetArrayItem(json_get(pod, "status", "containerStatuses"), 0);
    const cJSON *waiting = json_get(container, "state", "waiting");
    const char *reason = value_text(waiting, "reason");

    if (*reason)
        return xasprintf("its agent does not run: %s%s%.200s", reason,
                         *value_text(waiting, "message") ? ": " : "",
                         value_text(waiting, "message"));
    return xstrdup("its agent is not Ready");
}

void overview_add_agent_pod(struct overview *overview, const cJSON *pod)
{
    _cleanup_free_ char *message = pod_trouble(pod);
    const char *node = json_string(pod, "spec", "nodeName");
    const struct problem problem = {
        .kind = "Node",
        .name = node,
        .reason = "AgentNotReady",
        .message = message,
        .remedy = "see kubectl -n apparmor-system describe pod of that node, and the log of the "
                  "pod",
    };

    if (node && !is_true(value_condition(pod, "Ready")) &&
        is_old(overview, json_string(pod, "metadata", "creationTimestamp")))
        problems_add(overview->problems, &problem);
}

/* --- the controller ------------------------------------------------------------------------- */

void overview_set_lease(struct overview *overview, const cJSON *lease)
{
    int64_t duration_ms = 1000 * json_int(json_get(lease, "spec", "leaseDurationSeconds"), 15);
    const char *holder = value_text(lease, "spec", "holderIdentity");
    const char *renewed = json_string(lease, "spec", "renewTime");
    struct problem problem = {
        .kind = "Controller",
        .reason = "NoLeader",
        .message = "no apparmor-controller leads: the status of AppArmorProfiles is not kept up, "
                   "and deletions wait",
        .remedy = "see kubectl -n apparmor-system get pods -l "
                  "app.kubernetes.io/name=apparmor-controller",
    };
    int64_t then_ms;

    /* The clocks of this machine and the leader's differ by a little. */
    if (*holder && renewed && clock_parse(renewed, &then_ms) == 0 &&
        overview->now_ms - then_ms < duration_ms + PATIENCE_MS) {
        free(overview->leader);
        overview->leader = xstrdup(holder);
    } else {
        problems_add(overview->problems, &problem);
    }
}

/* --- the end -------------------------------------------------------------------------------- */

void overview_add_gap(struct overview *overview, const char *message)
{
    json_append_string(overview->gaps, message);
}

static void judge_missing(struct overview *overview)
{
    const char *name;
    size_t position = 0;

    while (map_next(overview->expected, &position, &name, NULL)) {
        const struct problem problem = {
            .kind = "Node",
            .name = name,
            .reason = "NoAgent",
            .message = "no agent has reported",
            .remedy = "see whether the DaemonSet apparmor-agent has a pod there: kubectl -n "
                      "apparmor-system get pods -o wide",
        };
        if (!map_has(overview->reported, name))
            problems_add(overview->problems, &problem);
    }
}

static void judge_versions(struct overview *overview)
{
    struct buf message = BUF_INIT(TEXT_MAX);
    struct problem problem = {
        .kind = "Agents",
        .reason = "MixedVersions",
        .warning = true,
        .remedy = "nothing while an upgrade is under way: kubectl -n apparmor-system rollout "
                  "status daemonset/apparmor-agent",
    };
    const char *version;
    size_t position = 0;
    void *count;

    if (map_size(overview->versions) > 1) {
        buf_add_string(&message, "agents differ: ");
        for (size_t i = 0; map_next(overview->versions, &position, &version, &count); i++)
            buf_addf(&message, "%s%s on %zu", i > 0 ? ", " : "", *version ? version : "unknown",
                     *(const size_t *) count);
        problem.message = buf_string(&message);
        problems_add(overview->problems, &problem);
    }
    buf_done(&message);
}

static size_t count_missing(const struct overview *overview)
{
    size_t missing = 0, position = 0;
    const char *name;

    while (map_next(overview->expected, &position, &name, NULL))
        missing += !map_has(overview->reported, name);
    return missing;
}

cJSON *overview_finish(struct overview *overview)
{
    cJSON *result = cJSON_CreateObject(), *nodes;

    judge_missing(overview);
    judge_versions(overview);
    json_add(result, "profiles", TAKE_PTR(overview->profiles));
    nodes = json_add_object(result, "nodes");
    json_add_int(nodes, "enabled", (int64_t) overview->enabled);
    json_add_int(nodes, "disabled", (int64_t) overview->disabled);
    json_add_int(nodes, "unreported", (int64_t) count_missing(overview));
    json_add_int(nodes, "unconfinedContainers", (int64_t) overview->unconfined);
    if (overview->all_nodes)
        json_add(nodes, "items", TAKE_PTR(overview->nodes));
    json_add_string(json_add_object(result, "controller"), "leader",
                    value_or_empty(overview->leader));
    json_add(result, "problems", problems_json(overview->problems));
    json_add(result, "notRead", TAKE_PTR(overview->gaps));
    return result;
}
