// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/overview.h"
#include "cli/problems.h"
#include "cli/table.h"
#include "cli/values.h"
#include "lib/base/clock.h"
#include "lib/policy/names.h"

/* The namespace of deploy/. */
#define PROBLEMS_SHOWN 20
#define NAMES_SHOWN 3

static char *operator_namespace;

static const struct option options[] = {
    {.name = "operator-namespace",
     .type = OPTION_STRING,
     .target = &operator_namespace,
     .argument = "NAMESPACE",
     .default_text = POLICY_NAMESPACE,
     .help = "Where agents and controller run."},
};

/* --- reading -------------------------------------------------------------------------------- */

static void on_profile(void *overview, struct kube_object *object)
{
    overview_add_profile(overview, kube_object_json(object));
}

static void on_apparmor_node(void *overview, struct kube_object *object)
{
    overview_add_apparmor_node(overview, kube_object_json(object));
}

static void on_node(void *overview, struct kube_object *object)
{
    overview_add_node(overview, kube_object_json(object));
}

static void on_agent_pod(void *overview, struct kube_object *object)
{
    overview_add_agent_pod(overview, kube_object_json(object));
}

enum { PROFILES, APPARMOR_NODES, NODES, PODS, LEASE, PARTS };

/* What a user may not see leaves a gap; without the operator's own kinds there is nothing to tell.
 */
static int explain_gaps(struct overview *overview, struct error *errors, struct error *err)
{
    static const char *const what[PARTS] = {
        [PROFILES] = "AppArmorProfiles", [APPARMOR_NODES] = "AppArmorNodes", [NODES] = "Nodes",
        [PODS] = "the agents' pods",     [LEASE] = "the controllers' Lease",
    };

    if (errors[PROFILES].http_status == 404)
        return error_set(err, errors[PROFILES].code,
                         "the cluster has no AppArmorProfiles: the operator is not installed "
                         "(kubectl apply -k deploy/)");
    for (size_t i = 0; i < PARTS; i++) {
        if (errors[i].code == 0 || (i == LEASE && kube_error_is_not_found(&errors[i])))
            continue;
        cluster_explain(&errors[i], what[i]);
        if (i <= APPARMOR_NODES)
            return error_move(err, &errors[i]);
        overview_add_gap(overview, error_message(&errors[i]));
    }
    return 0;
}

static int read_cluster(struct cluster *cluster, struct overview *overview, struct error *err)
{
    const struct kube_list_options metadata = {.metadata_only = true, .min_version = "0"};
    const struct kube_list_options agents = {.label_selector =
                                                 "app.kubernetes.io/name=apparmor-agent"};
    _cleanup_(kube_object_unrefp) struct kube_object *lease = NULL;
    struct error errors[PARTS] = {0};
    int r;

    cluster_list(cluster, &cluster_profiles, NULL, NULL, on_profile, overview, &errors[PROFILES]);
    cluster_list(cluster, &cluster_apparmor_nodes, NULL, NULL, on_apparmor_node, overview,
                 &errors[APPARMOR_NODES]);
    cluster_list(cluster, &kube_nodes, NULL, &metadata, on_node, overview, &errors[NODES]);
    cluster_list(cluster, &kube_pods, operator_namespace, &agents, on_agent_pod, overview,
                 &errors[PODS]);
    cluster_get(cluster, &kube_leases, operator_namespace, "apparmor-controller", &lease,
                &errors[LEASE]);
    cluster_wait(cluster);
    if (errors[LEASE].code == 0 || kube_error_is_not_found(&errors[LEASE]))
        overview_set_lease(overview, lease ? kube_object_json(lease) : NULL);
    r = explain_gaps(overview, errors, err);
    for (size_t i = 0; i < PARTS; i++)
        error_done(&errors[i]);
    return r;
}

/* --- showing -------------------------------------------------------------------------------- */

static void print_profiles(const struct cli *cli, const cJSON *profiles)
{
    static const char *const header[] = {"PROFILE", "MODE", "LOADED", "READY",
                                         "REASON",  "AGE",  NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);
    const cJSON *row;

    cJSON_ArrayForEach(row, profiles)
    {
        _cleanup_free_ char *age = value_age(value_text(row, "created"), clock_realtime_ms());
        const char *ready = value_text(row, "ready");

        table_add(table, value_text(row, "name"));
        table_add(table, value_text(row, "mode"));
        table_add(table, value_text(row, "loaded"));
        table_add_coloured(table, *ready == 'T' ? COLOUR_GREEN : COLOUR_RED, ready);
        table_add(table, value_text(row, "reason"));
        table_add(table, age);
    }
    if (table_rows(table) == 0)
        fputs("There are no AppArmorProfiles.\n", cli->out);
    table_print(table, cli->out, cli->colour, 0);
}

static void print_nodes(const struct cli *cli, const cJSON *nodes)
{
    static const char *const header[] = {"NODE",   "APPARMOR", "LOADED", "FAILED", "UNCONFINED",
                                         "KERNEL", "PARSER",   "AGENT",  NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);
    const cJSON *row;

    cJSON_ArrayForEach(row, json_get(nodes, "items"))
    {
        table_add(table, value_text(row, "name"));
        table_add(table, value_text(row, "apparmor"));
        table_add_count(table, json_int(json_get(row, "loaded"), 0));
        table_add_count(table, json_int(json_get(row, "failed"), 0));
        table_add_count(table, json_int(json_get(row, "unconfined"), 0));
        table_add(table, value_text(row, "kernel"));
        table_add(table, value_text(row, "parser"));
        table_add(table, value_text(row, "agent"));
    }
    if (table_rows(table) > 0)
        fputc('\n', cli->out);
    table_print(table, cli->out, cli->colour, 0);
}

static void print_summary(const struct cli *cli, const cJSON *result)
{
    const cJSON *nodes = json_get(result, "nodes");
    const char *leader = value_text(result, "controller", "leader");
    long long enabled = json_int(json_get(nodes, "enabled"), 0);
    long long disabled = json_int(json_get(nodes, "disabled"), 0);
    long long unreported = json_int(json_get(nodes, "unreported"), 0);

    fprintf(cli->out, "Nodes: %lld with AppArmor, %lld without, %lld not reported. ", enabled,
            disabled, unreported);
    if (*leader) {
        fputs("Controller: ", cli->out);
        term_put(cli->out, leader);
        fputs(" leads.", cli->out);
    }
    fputs("\n\n", cli->out);
}

static void print_text(const struct cli *cli, const cJSON *result)
{
    const cJSON *problems = json_get(result, "problems"), *gap;
    bool wide = cli->output == CLI_WIDE;
    size_t count = (size_t) cJSON_GetArraySize(problems);

    print_summary(cli, result);
    print_profiles(cli, json_get(result, "profiles"));
    print_nodes(cli, json_get(result, "nodes"));
    fputc('\n', cli->out);
    if (count == 0)
        term_put_coloured(cli->out, cli->colour, COLOUR_GREEN, "Nothing is wrong.");
    else
        problems_print(problems, cli->out, cli->colour, wide ? SIZE_MAX : PROBLEMS_SHOWN,
                       wide ? SIZE_MAX : NAMES_SHOWN);
    if (count == 0)
        fputc('\n', cli->out);
    cJSON_ArrayForEach(gap, json_get(result, "notRead"))
    {
        fputs("? ", cli->out);
        term_put(cli->out, gap->valuestring);
        fputc('\n', cli->out);
    }
}

static int run(struct cli *cli, struct error *err)
{
    _cleanup_(cluster_freep) struct cluster *cluster = NULL;
    _cleanup_(overview_freep) struct overview *overview =
        overview_new(clock_realtime_ms(), cli->output != CLI_TEXT);
    _cleanup_json_ cJSON *result = NULL;

    if (cluster_open(cli, &cluster, err) < 0 || read_cluster(cluster, overview, err) < 0)
        return CLI_FAILED;
    result = overview_finish(overview);
    if (!output_print(cli, result))
        print_text(cli, result);
    return problems_has_error(json_get(result, "problems")) ? CLI_FINDINGS : CLI_OK;
}

static void done(void)
{
    free(operator_namespace);
}

const struct command command_status = {
    .name = "status",
    .summary = "The cluster at a glance: profiles, nodes, what is wrong and what to do.",
    .details = "Ends with 1 when something is wrong.",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .cluster = true,
    .formats = true,
    .run = run,
    .done = done,
};
