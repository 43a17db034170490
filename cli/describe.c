// SPDX-License-Identifier: Apache-2.0
#include "cli/describe.h"

#include <errno.h>
#include <string.h>

#include "cli/commands.h"
#include "lib/base/clock.h"

static bool pods;

static const struct option options[] = {
    {.name = "pods",
     .type = OPTION_BOOL,
     .target = &pods,
     .default_text = "true",
     .help = "Look through the pods of all namespaces for those that use the profile; "
             "--pods=false spares a large cluster that."},
};

/* "node/NAME" → NAME; NULL for another kind. */
static const char *after_kind(const char *text, const char *const *kinds, size_t count)
{
    size_t len = strcspn(text, "/");

    for (size_t i = 0; i < count && text[len]; i++)
        if (strlen(kinds[i]) == len && strncmp(text, kinds[i], len) == 0)
            return text + len + 1;
    return NULL;
}

static int describe(const struct cli *cli, struct cluster *cluster, const char *text,
                    int *ret_status, struct error *err)
{
    static const char *const node_kinds[] = {"node", "nodes", "no", "aan", "apparmornode"};
    static const char *const profile_kinds[] = {"aap", "apparmorprofile", "profile"};
    const struct describe_options describe_options = {.pods = pods};
    const char *node = after_kind(text, node_kinds, ARRAY_SIZE(node_kinds));
    const char *profile = after_kind(text, profile_kinds, ARRAY_SIZE(profile_kinds));

    if (node)
        return describe_node(cli, cluster, node, ret_status, err);
    if (!profile && strchr(text, '/'))
        return error_set(err, -EINVAL, "\"%s\" is neither a PROFILE nor node/NAME", text);
    return describe_profile(cli, cluster, profile ? profile : text, &describe_options, ret_status,
                            err);
}

static int run(struct cli *cli, struct error *err)
{
    _cleanup_(cluster_freep) struct cluster *cluster = NULL;
    int status = CLI_OK;

    if (cluster_open(cli, &cluster, err) < 0 ||
        describe(cli, cluster, cli->operands.items[0], &status, err) < 0)
        return CLI_FAILED;
    return status;
}

const struct command command_describe = {
    .name = "describe",
    .usage = "PROFILE | node/NAME",
    .summary = "All about one profile or node on one screen.",
    .details = "Conditions, nodes, failures and what to do, who uses it, denials, Events.\n"
               "Ends with 1 when something is wrong with it.",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .cluster = true,
    .formats = true,
    .least = 1,
    .most = 1,
    .what = "profile",
    .run = run,
};
