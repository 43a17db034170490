// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/diff.h"
#include "cli/input.h"
#include "cli/observed.h"
#include "cli/report.h"
#include "cli/term.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/yaml_locate.h"
#include "lib/policy/profile.h"

#define FIELD "mode: Enforce"
#define DENIALS_SHOWN 20

static bool apply, force;
static char *file;

static const struct option options[] = {
    {.name = "apply",
     .type = OPTION_BOOL,
     .target = &apply,
     .help = "Makes the change in the cluster instead of printing it. What Git has wins in the end "
             "where GitOps is at work."},
    {.name = "filename",
     .letter = 'f',
     .type = OPTION_STRING,
     .target = &file,
     .argument = "FILE",
     .help = "Prints the change as a patch of this manifest."},
    {.name = "force",
     .type = OPTION_BOOL,
     .target = &force,
     .help = "Although it would deny what was seen, or is not loaded everywhere."},
};

/* --- whether it is time --------------------------------------------------------------------- */

/* Since when it has been quiet, and how many processes ran under it. */
static void print_evidence(const struct cli *cli, const cJSON *profile)
{
    const cJSON *promotable = value_condition(profile, "Promotable");

    if (!promotable)
        return;
    fputs("# ", cli->err);
    term_put(cli->err, value_text(promotable, "message"));
    fputs(".\n", cli->err);
}

/* Reasons against it; the denials that would be are printed. */
static int weigh(const struct cli *cli, const cJSON *profile, const cJSON *denials,
                 struct error *err)
{
    const cJSON *ready = value_condition(profile, "Ready");
    const cJSON *promotable = value_condition(profile, "Promotable");
    int count = cJSON_GetArraySize(denials);

    if (count > 0) {
        fprintf(cli->err, "%d distinct accesses would be denied:\n", count);
        struct cli below = *cli;
        below.out = cli->err;
        below.colour = cli->colour && term_has_colour(cli->err);
        report_print_denials(&below, denials, DENIALS_SHOWN);
        return error_set(err, -EBUSY,
                         "the profile does not allow what was seen: kubectl apparmor suggest %s; "
                         "--force promotes it all the same",
                         value_text(profile, "metadata", "name"));
    }
    if (strcmp(value_text(ready, "status"), "True") != 0)
        return error_set(err, -EBUSY,
                         "it is not loaded everywhere, so that not all has been seen (%s): %s",
                         value_text(ready, "reason"), value_text(ready, "message"));
    if (promotable && strcmp(value_text(promotable, "status"), "True") != 0)
        return error_set(err, -EBUSY, "%s", value_text(promotable, "message"));
    return 0;
}

/* --- the change ----------------------------------------------------------------------------- */

struct search {
    const char *name;
    size_t document;
    struct strv path; /* of the object */
    bool found;
};

static void on_object(void *userdata, const struct input_object *object)
{
    struct search *search = userdata;

    if (search->found || !input_is(object, POLICY_GROUP, "AppArmorProfile") ||
        strcmp(value_text(object->json, "metadata", "name"), search->name) != 0)
        return;
    search->found = true;
    search->document = object->document;
    strv_copy(&search->path, &object->path);
}

/* Line `number` from 1. */
static const char *line_at(const char *text, size_t number)
{
    while (--number > 0)
        text = strchr(text, '\n') + 1;
    return text;
}

/* The line of spec.mode becomes another, or comes before that of spec.policy. */
static char *change_text(const struct input *input, const struct search *search)
{
    const char *text = buf_string(&input->text), *line;
    _cleanup_strv_ struct strv path = {0};
    struct yaml_place place;
    bool has_mode;

    strv_copy(&path, &search->path);
    strv_add(&path, "spec");
    strv_add(&path, "mode");
    has_mode = yaml_locate(text, input->text.len, search->document, &path, &place) == path.len;
    if (has_mode) {
        line = line_at(text, place.line) + place.column - 1;
        return xasprintf("%.*sEnforce%s", (int) (line - text), text,
                         line + strcspn(line, " \t\r\n,}#"));
    }
    free(path.items[--path.len]);
    strv_add(&path, "policy");
    if (yaml_locate(text, input->text.len, search->document, &path, &place) < path.len)
        return NULL;
    line = line_at(text, place.key_line);
    return xasprintf("%.*s%.*s" FIELD "\n%s", (int) (line - text), text, (int) place.key_column - 1,
                     line, line);
}

static int print_patch(const struct cli *cli, const char *name, struct error *err)
{
    _cleanup_input_ struct input input = {0};
    _cleanup_free_ char *old_name = NULL, *new_name = NULL, *changed = NULL;
    _cleanup_buf_ struct buf out = BUF_INIT(2 * INPUT_SIZE_MAX);
    struct search search = {.name = name};
    int r = input_read(file, &input, err);

    if (r < 0)
        return r;
    input_each(&input, on_object, &search);
    if (search.found)
        changed = change_text(&input, &search);
    strv_done(&search.path);
    if (!changed)
        return error_set(err, -ENOENT, "%s has no AppArmorProfile %s with a spec.policy", file,
                         name);
    old_name = xasprintf("a/%s", file + strspn(file, "/"));
    new_name = xasprintf("b/%s", file + strspn(file, "/"));
    diff_unified(&(struct diff){.old_text = buf_string(&input.text),
                                .new_text = changed,
                                .old_name = old_name,
                                .new_name = new_name},
                 &out);
    fputs(buf_string(&out), cli->out);
    return 0;
}

static int apply_change(const struct cli *cli, struct cluster *cluster, const char *name,
                        struct error *err)
{
    _cleanup_(kube_object_unrefp) struct kube_object *object = NULL;
    _cleanup_json_ cJSON *patch = cJSON_CreateObject();
    _cleanup_error_ struct error failure = {0};

    json_add_string(json_add_object(patch, "spec"), "mode", "Enforce");
    cluster_patch(cluster, &cluster_profiles, name, patch, false, &object, &failure);
    cluster_wait(cluster);
    if (failure.code) {
        error_wrap(&failure, "AppArmorProfile %s was not changed", name);
        return error_move(err, &failure);
    }
    fprintf(cli->out, "AppArmorProfile %s: spec." FIELD "\n", name);
    return 0;
}

static int change(const struct cli *cli, struct cluster *cluster, const char *name,
                  struct error *err)
{
    int r = 0;

    if (apply)
        r = apply_change(cli, cluster, name, err);
    else if (file)
        r = print_patch(cli, name, err);
    else
        fputs("spec:\n  " FIELD "\n", cli->out);
    if (r == 0)
        fputs("# Processes that a container has begun by exec under Complain stay unrestricted "
              "until they restart.\n",
              cli->err);
    return r;
}

/* --- the command ---------------------------------------------------------------------------- */

static int promote(const struct cli *cli, struct cluster *cluster, const char *name,
                   struct error *err)
{
    _cleanup_(kube_object_unrefp) struct kube_object *object = NULL;
    _cleanup_json_ cJSON *denials = NULL;
    const cJSON *profile;

    if (observed_read(cluster, name, &object, &denials, err) < 0)
        return CLI_FAILED;
    profile = kube_object_json(object);
    if (strcmp(value_text(profile, "spec", "mode"), "Enforce") == 0) {
        fprintf(cli->err, "AppArmorProfile %s is in mode Enforce already.\n", name);
        return CLI_OK;
    }
    if (!force && weigh(cli, profile, denials, err) < 0)
        return CLI_FINDINGS;
    print_evidence(cli, profile);
    return change(cli, cluster, name, err) < 0 ? CLI_FAILED : CLI_OK;
}

static int run(struct cli *cli, struct error *err)
{
    _cleanup_(cluster_freep) struct cluster *cluster = NULL;

    if (cluster_open(cli, &cluster, err) < 0)
        return CLI_FAILED;
    return promote(cli, cluster, cli->operands.items[0], err);
}

static void done(void)
{
    free(file);
}

const struct command command_promote = {
    .name = "promote",
    .usage = "PROFILE",
    .summary = "From mode Complain to Enforce, when nothing speaks against it.",
    .details = "Prints the change, as a patch with -f FILE; --apply makes it. Ends with 1, and "
               "says why, when\nsomething speaks against it.",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .cluster = true,
    .least = 1,
    .most = 1,
    .what = "profile",
    .run = run,
    .done = done,
};
