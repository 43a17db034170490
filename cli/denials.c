// SPDX-License-Identifier: Apache-2.0
#include "cli/denial_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/values.h"
#include "lib/base/alloc.h"

#define ROWS_SHOWN 50

/* What was asked for, taken apart. */
struct question {
    struct denial_filter filter;
    char *ns;
};

struct gathering {
    const struct denial_filter *filter;
    struct denial_set *denials;
    struct strv deaf; /* nodes that tell of no denials, and why */
};

static int read_pod(struct question *question, const char *text, struct error *err)
{
    const char *slash = strchr(text, '/');

    if (!slash || slash == text || !slash[1])
        return error_set(err, -EINVAL, "\"%s\" is no pod: write NAMESPACE/NAME", text);
    question->ns = xstrndup(text, (size_t) (slash - text));
    question->filter.ns = question->ns;
    question->filter.pod = slash + 1;
    return 0;
}

static int read_question(struct question *question, const struct strv *operands, struct error *err)
{
    const char *first = operands->len > 0 ? operands->items[0] : NULL;

    if (!first)
        return 0;
    if (operands->len == 2 && strcmp(first, "pod") == 0)
        return read_pod(question, operands->items[1], err);
    if (operands->len == 2)
        return error_set(err, -EINVAL, "unexpected argument \"%s\"", operands->items[1]);
    if (strncmp(first, "pod/", 4) == 0)
        return read_pod(question, first + 4, err);
    if (strncmp(first, "node/", 5) == 0) {
        question->filter.node = first + 5;
        return 0;
    }
    question->filter.object = question->filter.profile = first;
    question->filter.either = true;
    return 0;
}

static void on_node(void *userdata, struct kube_object *object)
{
    struct gathering *gathering = userdata;
    const cJSON *node = kube_object_json(object);
    const cJSON *audit = json_get(node, "status", "audit");

    denial_set_add_node(gathering->denials, gathering->filter, node);
    if (strcmp(value_text(audit, "source"), "None") == 0)
        strv_take(&gathering->deaf,
                  xasprintf("node %s tells of no denials: %s", kube_object_name(object),
                            value_text(audit, "message")));
}

static cJSON *compose(struct gathering *gathering)
{
    cJSON *result = cJSON_CreateObject(), *deaf;

    json_add(result, "denials", denial_set_json(gathering->denials));
    json_add_int(result, "notListed", denial_set_not_listed(gathering->denials));
    deaf = json_add_array(result, "notRead");
    for (size_t i = 0; i < gathering->deaf.len; i++)
        json_append_string(deaf, gathering->deaf.items[i]);
    return result;
}

static void print_text(const struct cli *cli, const cJSON *result)
{
    const cJSON *denials = json_get(result, "denials");
    long long not_listed = json_int(json_get(result, "notListed"), 0);
    size_t max = cli->output == CLI_WIDE ? SIZE_MAX : ROWS_SHOWN;

    if (cJSON_GetArraySize(denials) == 0)
        fputs("No denials.\n", cli->out);
    report_print_denials(cli, denials, max);
    if (not_listed > 0)
        fprintf(cli->out, "\n%lld distinct accesses more were too many for their nodes to list.\n",
                not_listed);
    report_print_gaps(cli, json_get(result, "notRead"));
}

static int run(struct cli *cli, struct error *err)
{
    struct question question = {0};
    struct gathering gathering = {.filter = &question.filter};
    _cleanup_(cluster_freep) struct cluster *cluster = NULL;
    _cleanup_error_ struct error failure = {0};
    int status = CLI_FAILED;

    if (read_question(&question, &cli->operands, err) < 0 || cluster_open(cli, &cluster, err) < 0) {
        free(question.ns);
        return status;
    }
    gathering.denials = denial_set_new();
    cluster_list(cluster, &cluster_apparmor_nodes, NULL, NULL, on_node, &gathering, &failure);
    cluster_wait(cluster);
    if (cluster_explain(&failure, "AppArmorNodes") < 0) {
        error_move(err, &failure);
    } else {
        _cleanup_json_ cJSON *result = compose(&gathering);

        if (!output_print(cli, result))
            print_text(cli, result);
        status = cJSON_GetArraySize(json_get(result, "denials")) > 0 ? CLI_FINDINGS : CLI_OK;
    }
    denial_set_free(gathering.denials);
    strv_done(&gathering.deaf);
    free(question.ns);
    return status;
}

const struct command command_denials = {
    .name = "denials",
    .usage = "[PROFILE | pod NAMESPACE/NAME | node/NAME]",
    .summary = "What was denied, or would have been in mode Complain, most frequent first.",
    .details = "Since the loaded revision of each profile was loaded. Ends with 1 when there are "
               "any.",
    .cluster = true,
    .formats = true,
    .most = 2,
    .what = "profile",
    .run = run,
};
