// SPDX-License-Identifier: Apache-2.0
#include "cli/describe.h"

#include <string.h>

#include "cli/denial_set.h"
#include "cli/output.h"
#include "cli/problems.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/users.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

#define ROWS_SHOWN 20

/* What is put together while lists come in. */
struct gathering {
    const char *name;
    struct strv names; /* what pods may write */
    cJSON *nodes, *pods;
    struct denial_set *denials;
    struct denial_filter filter;
};

/* --- reading -------------------------------------------------------------------------------- */

static void on_node(void *userdata, struct kube_object *object)
{
    struct gathering *gathering = userdata;
    const cJSON *node = kube_object_json(object), *entry;

    denial_set_add_node(gathering->denials, &gathering->filter, node);
    cJSON_ArrayForEach(entry, json_get(node, "status", "profiles"))
    {
        if (strcmp(value_text(entry, "name"), gathering->name) == 0) {
            cJSON *row = cJSON_Duplicate(entry, true);

            cJSON_DeleteItemFromObjectCaseSensitive(row, "name");
            json_add_string(row, "node", kube_object_name(object));
            json_append(gathering->nodes, row);
        }
    }
}

static void on_pod(void *userdata, struct kube_object *object)
{
    struct gathering *gathering = userdata;

    users_add(gathering->pods, kube_object_json(object), &gathering->names);
}

static void gathering_init(struct gathering *gathering, const cJSON *profile)
{
    const cJSON *name;

    gathering->name = value_text(profile, "metadata", "name");
    gathering->filter.object = gathering->name;
    gathering->nodes = cJSON_CreateArray();
    gathering->pods = cJSON_CreateArray();
    gathering->denials = denial_set_new();
    /* While no node has compiled it, the usual name is as good a guess as any. */
    strv_add(&gathering->names, gathering->name);
    cJSON_ArrayForEach(name, json_get(profile, "status", "profileNames"))
    {
        if (cJSON_IsString(name))
            strv_add(&gathering->names, name->valuestring);
    }
}

static cJSON *take_problems(const cJSON *profile, const struct gathering *gathering)
{
    _cleanup_(problems_freep) struct problems *problems = problems_new();
    const cJSON *ready = value_condition(profile, "Ready"), *row;

    cJSON_ArrayForEach(row, gathering->nodes)
    {
        const struct problem problem = {
            .kind = "Node",
            .name = value_text(row, "node"),
            .reason = json_string(row, "reason"),
            .message = value_text(row, "message"),
        };
        if (strcmp(value_text(row, "state"), "Failed") == 0)
            problems_add(problems, &problem);
    }
    if (ready && strcmp(value_text(ready, "status"), "True") != 0) {
        const struct problem problem = {
            .kind = "AppArmorProfile",
            .name = gathering->name,
            .reason = value_text(ready, "reason"),
            .message = value_text(ready, "message"),
            .warning = strcmp(value_text(value_condition(profile, "Stalled"), "status"), "True"),
            .alone = true,
        };
        problems_add(problems, &problem);
    }
    return problems_json(problems);
}

/* The text itself is for kubectl get -o yaml. */
static cJSON *without_policy(const cJSON *spec)
{
    cJSON *copy = cJSON_Duplicate(spec, true);

    cJSON_DeleteItemFromObjectCaseSensitive(copy, "policy");
    return copy;
}

static cJSON *compose(const cJSON *profile, struct gathering *gathering,
                      struct report_events *events)
{
    cJSON *result = cJSON_CreateObject();

    json_add_string(result, "name", gathering->name);
    json_add_string(result, "created", value_text(profile, "metadata", "creationTimestamp"));
    json_add_int(result, "generation", json_int(json_get(profile, "metadata", "generation"), 0));
    json_add(result, "spec", without_policy(json_get(profile, "spec")));
    json_add(result, "status", cJSON_Duplicate(json_get(profile, "status"), true));
    json_add(result, "problems", take_problems(profile, gathering));
    json_add(result, "nodes", TAKE_PTR(gathering->nodes));
    json_add(result, "pods", TAKE_PTR(gathering->pods));
    json_add(result, "denials", denial_set_json(gathering->denials));
    json_add(result, "events", TAKE_PTR(events->items));
    json_add_array(result, "notRead");
    return result;
}

static cJSON *gather(struct cluster *cluster, const cJSON *profile,
                     const struct describe_options *options)
{
    /* A count that is a second old is good enough, and does not cost etcd a read of all pods. */
    const struct kube_list_options cached = {.min_version = "0"};
    struct error node_err = {0}, pod_err = {0};
    struct report_events events = {0};
    struct gathering gathering = {0};
    cJSON *result;

    gathering_init(&gathering, profile);
    cluster_list(cluster, &cluster_apparmor_nodes, NULL, NULL, on_node, &gathering, &node_err);
    if (options->pods)
        cluster_list(cluster, &kube_pods, NULL, &cached, on_pod, &gathering, &pod_err);
    report_events_list(cluster, "default", "AppArmorProfile", gathering.name, &events);
    cluster_wait(cluster);
    result = compose(profile, &gathering, &events);
    cluster_note_gap(result, &node_err, "AppArmorNodes");
    cluster_note_gap(result, &pod_err, "pods");
    cluster_note_gap(result, &events.err, "Events");
    denial_set_free(gathering.denials);
    strv_done(&gathering.names);
    return result;
}

/* --- showing -------------------------------------------------------------------------------- */

static void print_head(const struct cli *cli, const cJSON *result)
{
    const cJSON *status = json_get(result, "status");
    const cJSON *selector = json_get(result, "spec", "nodeSelector");
    _cleanup_free_ char *age = value_age(value_text(result, "created"), clock_realtime_ms());
    _cleanup_free_ char *names = value_join(json_get(status, "profileNames"));
    _cleanup_free_ char *select = selector ? json_print(selector) : xstrdup("every node");

    report_print_field(cli, "AppArmorProfile", value_text(result, "name"));
    report_print_field(cli, "Age", age);
    report_print_field(cli, "Profile names", names);
    report_print_field(cli, "Mode", value_text(status, "mode"));
    report_print_field(cli, "Node selector", select);
    report_print_field(cli, "Loaded", value_text(status, "nodes", "summary"));
    report_print_field(cli, "Revision", value_text(status, "revision"));
}

static void print_conditions(const struct cli *cli, const cJSON *status)
{
    static const char *const header[] = {"CONDITION", "STATUS", "REASON", "AGE", "MESSAGE", NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);
    const cJSON *condition;

    cJSON_ArrayForEach(condition, json_get(status, "conditions"))
    {
        _cleanup_free_ char *age =
            value_age(value_text(condition, "lastTransitionTime"), clock_realtime_ms());

        table_add(table, value_text(condition, "type"));
        table_add(table, value_text(condition, "status"));
        table_add(table, value_text(condition, "reason"));
        table_add(table, age);
        table_add(table, value_text(condition, "message"));
    }
    fputc('\n', cli->out);
    table_print(table, cli->out, cli->colour, 0);
}

static enum colour colour_of_state(const char *state)
{
    if (strcmp(state, "Loaded") == 0)
        return COLOUR_GREEN;
    return strcmp(state, "Failed") == 0 ? COLOUR_RED : COLOUR_YELLOW;
}

/* Those that are not simply Loaded come first and are always shown. */
static void add_nodes(struct table *table, const cJSON *nodes, bool loaded, size_t max)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, nodes)
    {
        const char *state = value_text(row, "state");

        if ((strcmp(state, "Loaded") == 0 && !*value_text(row, "reason")) != loaded)
            continue;
        if (loaded && table_rows(table) >= max)
            return;
        table_add(table, value_text(row, "node"));
        table_add_coloured(table, colour_of_state(state), state);
        table_add(table, value_text(row, "mode"));
        table_add_count(table, json_int(json_get(row, "generation"), 0));
        table_add(table, value_text(row, "reason"));
        table_add(table, value_text(row, "message"));
    }
}

static void print_more(const struct cli *cli, size_t count, size_t shown)
{
    if (count > shown)
        fprintf(cli->out, "  … and %zu more; -o wide shows them all\n", count - shown);
}

static void print_nodes(const struct cli *cli, const cJSON *nodes, size_t max)
{
    static const char *const header[] = {"NODE",   "STATE",   "MODE", "GENERATION",
                                         "REASON", "MESSAGE", NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);

    add_nodes(table, nodes, false, max);
    add_nodes(table, nodes, true, max);
    if (table_rows(table) > 0)
        report_title(cli, "Nodes");
    table_print(table, cli->out, cli->colour, 2);
    print_more(cli, (size_t) cJSON_GetArraySize(nodes), table_rows(table));
}

static void print_pods(const struct cli *cli, const cJSON *pods, size_t max)
{
    static const char *const header[] = {"NAMESPACE", "POD",   "CONTAINER", "PROFILE",
                                         "NODE",      "PHASE", NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);
    const cJSON *row;

    cJSON_ArrayForEach(row, pods)
    {
        if (table_rows(table) >= max)
            break;
        for (size_t i = 0; header[i]; i++) {
            static const char *const keys[] = {"namespace", "pod",  "container",
                                               "profile",   "node", "phase"};
            table_add(table, value_text(row, keys[i]));
        }
    }
    if (table_rows(table) > 0)
        report_title(cli, "Used by");
    table_print(table, cli->out, cli->colour, 2);
    print_more(cli, (size_t) cJSON_GetArraySize(pods), table_rows(table));
}

static void print_text(const struct cli *cli, const cJSON *result)
{
    const cJSON *problems = json_get(result, "problems"), *denials = json_get(result, "denials");
    size_t max = cli->output == CLI_WIDE ? SIZE_MAX : ROWS_SHOWN;

    print_head(cli, result);
    if (json_get(result, "status", "conditions"))
        print_conditions(cli, json_get(result, "status"));
    if (cJSON_GetArraySize(problems) > 0)
        report_title(cli, "What is wrong");
    problems_print(problems, cli->out, cli->colour, max, max);
    print_nodes(cli, json_get(result, "nodes"), max);
    print_pods(cli, json_get(result, "pods"), max);
    if (cJSON_GetArraySize(denials) > 0)
        report_title(cli, "Denials");
    report_print_denials(cli, denials, max);
    report_print_events(cli, json_get(result, "events"));
    report_print_gaps(cli, json_get(result, "notRead"));
}

int describe_profile(const struct cli *cli, struct cluster *cluster, const char *name,
                     const struct describe_options *options, int *ret_status, struct error *err)
{
    _cleanup_(kube_object_unrefp) struct kube_object *profile = NULL;
    _cleanup_error_ struct error failure = {0};
    _cleanup_json_ cJSON *result = NULL;

    cluster_get(cluster, &cluster_profiles, NULL, name, &profile, &failure);
    cluster_wait(cluster);
    if (cluster_explain(&failure, "AppArmorProfile of that name") < 0)
        return error_move(err, &failure);
    result = gather(cluster, kube_object_json(profile), options);
    if (!output_print(cli, result))
        print_text(cli, result);
    *ret_status = problems_has_error(json_get(result, "problems")) ? CLI_FINDINGS : CLI_OK;
    return 0;
}
