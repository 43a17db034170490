// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/checker.h"
#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/observed.h"
#include "cli/output.h"
#include "cli/proposal.h"
#include "cli/table.h"
#include "cli/target.h"
#include "cli/values.h"
#include "lib/base/alloc.h"

static char *file, *parser, *includes;
static bool exact, abstractions;

static const struct option options[] = {
    {.name = "filename",
     .letter = 'f',
     .type = OPTION_STRING,
     .target = &file,
     .argument = "FILE",
     .help = "The manifest (or file of policy) that the patch is for; without it the patch is for "
             "the text of spec.policy in the cluster."},
    {.name = "exact",
     .type = OPTION_BOOL,
     .target = &exact,
     .help = "Leave paths as they were: no variables for homes, no patterns for numbers, versions "
             "and folders."},
    {.name = "abstractions",
     .type = OPTION_BOOL,
     .target = &abstractions,
     .default_text = "true",
     .help = "Propose abstractions that allow several of the accesses. Needs apparmor_parser on "
             "this machine; without it there are none."},
    {.name = "includes",
     .type = OPTION_STRING,
     .target = &includes,
     .argument = "FOLDER",
     .help = "Where abstractions are; without it /etc/apparmor.d."},
    {.name = "parser",
     .type = OPTION_STRING,
     .target = &parser,
     .argument = "FILE",
     .help = "The apparmor_parser; without it that of /sbin or /usr/sbin."},
};

/* --- showing -------------------------------------------------------------------------------- */

/* Lines that `patch` and `git apply` pass over. */
static void print_commented(FILE *stream, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        fprintf(stream, "#%s%.*s\n", len > 0 ? " " : "", (int) len, text);
        text += len + (text[len] == '\n');
    }
}

static void print_rules(FILE *stream, const cJSON *rules)
{
    static const char *const header[] = {"COUNT", "PROFILE", "RULE", "NODES", "PODS", NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);
    const cJSON *row;

    cJSON_ArrayForEach(row, rules)
    {
        _cleanup_free_ char *nodes = value_join(json_get(row, "nodes"));
        _cleanup_free_ char *pods = value_join(json_get(row, "pods"));

        table_add_count(table, json_int(json_get(row, "count"), 0));
        table_add(table, value_text(row, "profile"));
        table_add(table, value_text(row, "rule"));
        table_add(table, nodes);
        table_add(table, pods);
    }
    table_print(table, stream, false, 0);
}

static void print_not_covered(FILE *stream, const cJSON *rows)
{
    const cJSON *row;

    if (cJSON_GetArraySize(rows) > 0)
        fputs("\nNot covered:\n", stream);
    cJSON_ArrayForEach(row, rows)
    {
        term_put(stream, value_text(row, "profile"));
        fputs(": ", stream);
        term_put(stream, value_text(row, "access"));
        fputs(": ", stream);
        term_put(stream, value_text(row, "why"));
        fputc('\n', stream);
    }
}

static void print_text(const struct cli *cli, const cJSON *result)
{
    const cJSON *rules = json_get(result, "rules");
    char *text = NULL;
    size_t len;
    FILE *stream = open_memstream(&text, &len);

    if (!stream)
        abort();
    if (cJSON_GetArraySize(rules) == 0)
        fputs("Nothing to suggest.\n", stream);
    print_rules(stream, rules);
    print_not_covered(stream, json_get(result, "notCovered"));
    fclose(stream);
    print_commented(cli->out, text);
    free(text);
    fputs(value_text(result, "patch"), cli->out);
}

/* --- suggesting ----------------------------------------------------------------------------- */

/* A profile of the kernel's that the text does not declare: of a stack, or of an older text. */
static void note_missing(cJSON *not_covered, const struct strv *missing)
{
    for (size_t i = 0; i < missing->len; i++) {
        cJSON *row = cJSON_CreateObject();

        json_add_string(row, "profile", missing->items[i]);
        json_add_string(row, "access", "its rules above");
        json_add_string(row, "why", "the text declares no profile of that name");
        json_append(not_covered, row);
    }
}

static int suggest(const struct cli *cli, const struct target *target, const cJSON *denials,
                   const struct proposal_options *proposal_options, struct error *err)
{
    _cleanup_json_ cJSON *result = cJSON_CreateObject();
    _cleanup_strv_ struct strv missing = {0};
    _cleanup_free_ char *patch = NULL;
    struct proposal proposal;
    int status, r;

    proposal_init(&proposal, denials, target->policy, proposal_options);
    r = target_patch(target, proposal.added, &missing, &patch, err);
    note_missing(proposal.not_covered, &missing);
    status = cJSON_GetArraySize(proposal.rules) > 0 ? CLI_FINDINGS : CLI_OK;
    json_add(result, "rules", TAKE_PTR(proposal.rules));
    json_add(result, "notCovered", TAKE_PTR(proposal.not_covered));
    json_add_string(result, "patch", value_or_empty(patch));
    proposal_done(&proposal);
    if (r < 0)
        return CLI_FAILED;
    if (!output_print(cli, result))
        print_text(cli, result);
    return status;
}

static int read_target(const char *name, const struct kube_object *object, struct target *ret,
                       struct error *err)
{
    return file ? target_of_file(file, name, ret, err)
                : target_of_object(kube_object_json(object), ret, err);
}

static int suggest_for(const struct cli *cli, const char *name, const struct kube_object *object,
                       const cJSON *denials, struct error *err)
{
    const struct checker_options checker_options = {.parser = parser, .includes = includes};
    _cleanup_(checker_freep) struct checker *checker = NULL;
    struct proposal_options proposal_options = {.exact = exact};
    struct target target;
    int status;

    if (read_target(name, object, &target, err) < 0)
        return CLI_FAILED;
    if (abstractions && checker_new(&checker_options, &checker, NULL) == 0)
        proposal_options.checker = checker;
    status = suggest(cli, &target, denials, &proposal_options, err);
    target_done(&target);
    return status;
}

static int run(struct cli *cli, struct error *err)
{
    const char *name = cli->operands.items[0];
    _cleanup_(cluster_freep) struct cluster *cluster = NULL;
    _cleanup_(kube_object_unrefp) struct kube_object *object = NULL;
    _cleanup_json_ cJSON *denials = NULL;

    if (cluster_open(cli, &cluster, err) < 0 ||
        observed_read(cluster, name, &object, &denials, err) < 0)
        return CLI_FAILED;
    return suggest_for(cli, name, object, denials, err);
}

static void done(void)
{
    free(file);
    free(parser);
    free(includes);
}

const struct command command_suggest = {
    .name = "suggest",
    .usage = "PROFILE",
    .summary = "The rules that would allow what was denied, as a patch.",
    .details =
        "Prints what the rules rest on, in comments, and a unified diff for `patch -p1` or `git "
        "apply`.\nNothing is applied: read it, as a denial may be what the profile is for. Ends "
        "with 1 when there is\nsomething to suggest.",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .cluster = true,
    .formats = true,
    .least = 1,
    .most = 1,
    .what = "profile",
    .run = run,
    .done = done,
};
