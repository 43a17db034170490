// SPDX-License-Identifier: Apache-2.0
#include "cli/describe.h"

#include <string.h>

#include "cli/denial_set.h"
#include "cli/output.h"
#include "cli/overview.h"
#include "cli/problems.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/users.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

#define DENIALS_SHOWN 20

/* --- reading -------------------------------------------------------------------------------- */

static void on_pod(void *userdata, struct kube_object *object)
{
    users_add(userdata, kube_object_json(object), NULL);
}

static cJSON *take_problems(const cJSON *node)
{
    _cleanup_(overview_freep) struct overview *overview = overview_new(clock_realtime_ms(), false);
    _cleanup_json_ cJSON *result = NULL;
    cJSON *problems;
    const cJSON *entry;

    overview_add_apparmor_node(overview, node);
    result = overview_finish(overview);
    problems = cJSON_DetachItemFromObjectCaseSensitive(result, "problems");
    cJSON_ArrayForEach(entry, json_get(node, "status", "profiles"))
    {
        _cleanup_(problems_freep) struct problems *one = problems_new();
        const struct problem problem = {
            .kind = "AppArmorProfile",
            .name = value_text(entry, "name"),
            .reason = json_string(entry, "reason"),
            .message = value_text(entry, "message"),
        };
        if (strcmp(value_text(entry, "state"), "Failed") != 0)
            continue;
        problems_add(one, &problem);
        cJSON *list = problems_json(one);
        json_append(problems, cJSON_DetachItemFromArray(list, 0));
        json_free(list);
    }
    return problems;
}

static cJSON *compose(const cJSON *node, cJSON *pods, cJSON *events)
{
    _cleanup_(denial_set_freep) struct denial_set *denials = denial_set_new();
    cJSON *result = cJSON_CreateObject();

    denial_set_add_node(denials, &(struct denial_filter){0}, node);
    json_add_string(result, "name", value_text(node, "metadata", "name"));
    json_add(result, "status", cJSON_Duplicate(json_get(node, "status"), true));
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItemCaseSensitive(result, "status"),
                                            "denials");
    json_add(result, "problems", take_problems(node));
    json_add(result, "pods", pods);
    json_add(result, "denials", denial_set_json(denials));
    json_add(result, "events", events);
    json_add_array(result, "notRead");
    return result;
}

static cJSON *gather(struct cluster *cluster, const cJSON *node)
{
    const char *name = value_text(node, "metadata", "name");
    _cleanup_free_ char *selector = xasprintf("spec.nodeName=%s", name);
    const struct kube_list_options options = {.field_selector = selector, .min_version = "0"};
    struct report_events events = {0};
    struct error pod_err = {0};
    cJSON *pods = cJSON_CreateArray(), *result;

    cluster_list(cluster, &kube_pods, NULL, &options, on_pod, pods, &pod_err);
    report_events_list(cluster, "default", "AppArmorNode", name, &events);
    cluster_wait(cluster);
    result = compose(node, pods, events.items);
    cluster_note_gap(result, &pod_err, "the node's pods");
    cluster_note_gap(result, &events.err, "Events");
    return result;
}

/* --- showing -------------------------------------------------------------------------------- */

static void print_head(const struct cli *cli, const cJSON *result)
{
    const cJSON *status = json_get(result, "status");

    report_print_field(cli, "Node", value_text(result, "name"));
    report_print_field(cli, "AppArmor", value_text(status, "apparmor"));
    report_print_field(cli, "Kernel", value_text(status, "kernelRelease"));
    report_print_field(cli, "Features", value_text(status, "featuresID"));
    report_print_field(cli, "Parser", value_text(status, "parserVersion"));
    report_print_field(cli, "Agent", value_text(status, "agentVersion"));
    report_print_field(cli, "Denials from", value_text(status, "audit", "source"));
}

static void print_profiles(const struct cli *cli, const cJSON *profiles)
{
    static const char *const header[] = {"PROFILE",       "STATE",  "MODE",    "GENERATION",
                                         "PROFILE NAMES", "REASON", "MESSAGE", NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);
    const cJSON *entry;

    cJSON_ArrayForEach(entry, profiles)
    {
        _cleanup_free_ char *names = value_join(json_get(entry, "profileNames"));
        const char *state = value_text(entry, "state");

        table_add(table, value_text(entry, "name"));
        table_add_coloured(table, strcmp(state, "Failed") == 0 ? COLOUR_RED : COLOUR_NONE, state);
        table_add(table, value_text(entry, "mode"));
        table_add_count(table, json_int(json_get(entry, "generation"), 0));
        table_add(table, names);
        table_add(table, value_text(entry, "reason"));
        table_add(table, value_text(entry, "message"));
    }
    if (table_rows(table) > 0)
        report_title(cli, "Profiles");
    table_print(table, cli->out, cli->colour, 2);
}

static void print_containers(const struct cli *cli, const char *title, const cJSON *rows,
                             const char *const *header, const char *const *keys)
{
    _cleanup_(table_freep) struct table *table = table_new(header);
    const cJSON *row;

    cJSON_ArrayForEach(row, rows)
    {
        for (size_t i = 0; header[i]; i++)
            table_add(table, value_text(row, keys[i]));
    }
    if (table_rows(table) > 0)
        report_title(cli, title);
    table_print(table, cli->out, cli->colour, 2);
}

static void print_text(const struct cli *cli, const cJSON *result)
{
    static const char *const unconfined_header[] = {"NAMESPACE", "POD",    "CONTAINER",
                                                    "ASKED",     "ACTUAL", NULL};
    static const char *const unconfined_keys[] = {"namespace", "pod", "container", "asked",
                                                  "actual"};
    static const char *const pod_header[] = {"NAMESPACE", "POD",   "CONTAINER",
                                             "PROFILE",   "PHASE", NULL};
    static const char *const pod_keys[] = {"namespace", "pod", "container", "profile", "phase"};
    const cJSON *problems = json_get(result, "problems"), *status = json_get(result, "status");
    const cJSON *denials = json_get(result, "denials");
    size_t max = cli->output == CLI_WIDE ? SIZE_MAX : DENIALS_SHOWN;

    print_head(cli, result);
    if (cJSON_GetArraySize(problems) > 0)
        report_title(cli, "What is wrong");
    problems_print(problems, cli->out, cli->colour, max, max);
    print_profiles(cli, json_get(status, "profiles"));
    print_containers(cli, "Unconfined containers", json_get(status, "unconfined"),
                     unconfined_header, unconfined_keys);
    print_containers(cli, "Containers under Localhost profiles", json_get(result, "pods"),
                     pod_header, pod_keys);
    if (cJSON_GetArraySize(denials) > 0)
        report_title(cli, "Denials");
    report_print_denials(cli, denials, max);
    report_print_events(cli, json_get(result, "events"));
    report_print_gaps(cli, json_get(result, "notRead"));
}

int describe_node(const struct cli *cli, struct cluster *cluster, const char *name, int *ret_status,
                  struct error *err)
{
    _cleanup_(kube_object_unrefp) struct kube_object *node = NULL;
    _cleanup_error_ struct error failure = {0};
    _cleanup_json_ cJSON *result = NULL;

    cluster_get(cluster, &cluster_apparmor_nodes, NULL, name, &node, &failure);
    cluster_wait(cluster);
    if (cluster_explain(&failure, "AppArmorNode of that name") < 0)
        return error_move(err, &failure);
    result = gather(cluster, kube_object_json(node));
    if (!output_print(cli, result))
        print_text(cli, result);
    *ret_status = problems_has_error(json_get(result, "problems")) ? CLI_FINDINGS : CLI_OK;
    return 0;
}
