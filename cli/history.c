// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/diff.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/policy/names.h"
#include "lib/policy/profile.h"

/*
 * The texts that an AppArmorProfile has had: ControllerRevisions (apps/v1) with its name as a
 * label, docs/api.md.
 */

#define REVISION_SHOWN 12

static char *operator_namespace;
static unsigned revision, difference;

static const struct option options[] = {
    {.name = "revision",
     .type = OPTION_UINT,
     .target = &revision,
     .argument = "NUMBER",
     .help = "Prints the AppArmorProfile as it was then, to apply it again."},
    {.name = "diff",
     .type = OPTION_UINT,
     .target = &difference,
     .argument = "NUMBER",
     .help = "Prints what that text changed in the one before."},
    {.name = "operator-namespace",
     .type = OPTION_STRING,
     .target = &operator_namespace,
     .argument = "NAMESPACE",
     .default_text = POLICY_NAMESPACE,
     .help = "Where the controller keeps the texts."},
};

static const struct kube_resource controller_revisions = {
    .group = "apps",
    .version = "v1",
    .plural = "controllerrevisions",
    .kind = "ControllerRevision",
    .namespaced = true,
};

/* --- reading -------------------------------------------------------------------------------- */

struct texts {
    const char *uid; /* of the object; an earlier one of its name has had others */
    struct kube_object **items;
    size_t len;
};

static void texts_done(struct texts *texts)
{
    for (size_t i = 0; i < texts->len; i++)
        kube_object_unref(texts->items[i]);
    free(texts->items);
}

static int64_t number_of(const struct kube_object *object)
{
    return json_int(json_get(kube_object_json(object), "revision"), 0);
}

static void on_text(void *userdata, struct kube_object *object)
{
    struct texts *texts = userdata;
    const cJSON *owner =
        cJSON_GetArrayItem(json_get(kube_object_json(object), "metadata", "ownerReferences"), 0);

    if (strcmp(value_text(owner, "uid"), texts->uid) != 0)
        return;
    texts->items = xreallocarray(texts->items, texts->len + 1, sizeof(struct kube_object *));
    texts->items[texts->len++] = kube_object_ref(object);
}

static int by_number(const void *a, const void *b)
{
    int64_t x = number_of(*(struct kube_object *const *) a);
    int64_t y = number_of(*(struct kube_object *const *) b);

    return x < y ? -1 : x > y;
}

static int read_texts(struct cluster *cluster, const char *name, struct kube_object **ret_profile,
                      struct texts *texts, struct error *err)
{
    _cleanup_free_ char *selector = xasprintf(POLICY_TEXT_PROFILE "=%s", name);
    const struct kube_list_options list = {.label_selector = selector};
    _cleanup_error_ struct error failure = {0};

    cluster_get(cluster, &cluster_profiles, NULL, name, ret_profile, &failure);
    cluster_wait(cluster);
    if (cluster_explain(&failure, "AppArmorProfile of that name") < 0)
        return error_move(err, &failure);
    texts->uid = kube_object_uid(*ret_profile);
    cluster_list(cluster, &controller_revisions, operator_namespace, &list, on_text, texts,
                 &failure);
    cluster_wait(cluster);
    if (cluster_explain(&failure, "ControllerRevisions") < 0)
        return error_move(err, &failure);
    if (texts->len > 0)
        qsort(texts->items, texts->len, sizeof(*texts->items), by_number);
    return 0;
}

/* --- one text ------------------------------------------------------------------------------- */

static int find(const struct texts *texts, unsigned number, size_t *ret, struct error *err)
{
    for (size_t i = 0; i < texts->len; i++) {
        if (number_of(texts->items[i]) == number) {
            *ret = i;
            return 0;
        }
    }
    return error_set(err, -ENOENT, "there is no text number %u, or it is no longer kept", number);
}

static cJSON *manifest_of(const struct kube_object *text)
{
    cJSON *manifest = cJSON_Duplicate(json_get(kube_object_json(text), "data"), true);

    return manifest ? manifest : cJSON_CreateObject();
}

static int print_text(const struct cli *cli, const struct texts *texts, struct error *err)
{
    _cleanup_json_ cJSON *manifest = NULL;
    size_t i = 0;

    if (find(texts, revision, &i, err) < 0)
        return CLI_FAILED;
    manifest = manifest_of(texts->items[i]);
    if (!output_print(cli, manifest))
        output_yaml(cli->out, manifest);
    return CLI_OK;
}

static int print_difference(const struct cli *cli, const struct texts *texts, struct error *err)
{
    _cleanup_json_ cJSON *before = NULL, *after = NULL;
    _cleanup_buf_ struct buf old = BUF_INIT(4 * POLICY_TEXT_MAX),
                             new = BUF_INIT(4 * POLICY_TEXT_MAX),
                             out = BUF_INIT(16 * POLICY_TEXT_MAX);
    size_t i = 0;

    if (find(texts, difference, &i, err) < 0)
        return CLI_FAILED;
    before = i > 0 ? manifest_of(texts->items[i - 1]) : cJSON_CreateObject();
    after = manifest_of(texts->items[i]);
    if (*value_text(before, "spec", "mode"))
        buf_addf(&old, "# mode: %s\n", value_text(before, "spec", "mode"));
    if (*value_text(after, "spec", "mode"))
        buf_addf(&new, "# mode: %s\n", value_text(after, "spec", "mode"));
    buf_add_string(&old, value_text(before, "spec", "policy"));
    buf_add_string(&new, value_text(after, "spec", "policy"));
    diff_unified(&(struct diff){.old_text = buf_string(&old),
                                .new_text = buf_string(&new),
                                .old_name = "before",
                                .new_name = "after"},
                 &out);
    fputs(buf_string(&out), cli->out);
    return CLI_OK;
}

/* --- all of them ---------------------------------------------------------------------------- */

static cJSON *list_json(const struct kube_object *profile, const struct texts *texts)
{
    const char *present = value_text(kube_object_json(profile), "status", "revision");
    cJSON *result = cJSON_CreateObject(), *rows = json_add_array(result, "texts");

    for (size_t i = 0; i < texts->len; i++) {
        const cJSON *json = kube_object_json(texts->items[i]);
        const char *digest = kube_object_label(texts->items[i], POLICY_TEXT_REVISION);
        cJSON *row = cJSON_CreateObject();

        json_add_int(row, "number", number_of(texts->items[i]));
        json_add_string(row, "revision", value_or_empty(digest));
        json_add_bool(row, "present", digest && strcmp(digest, present) == 0);
        json_add_string(row, "mode", value_text(json, "data", "spec", "mode"));
        json_add_int(row, "bytes", (int64_t) strlen(value_text(json, "data", "spec", "policy")));
        json_add_string(row, "created", value_text(json, "metadata", "creationTimestamp"));
        json_append(rows, row);
    }
    return result;
}

static void print_list(const struct cli *cli, const cJSON *result)
{
    static const char *const header[] = {"NUMBER", "REVISION", "MODE", "BYTES",
                                         "AGE",    "PRESENT",  NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);
    size_t shown = cli->output == CLI_WIDE ? SIZE_MAX : REVISION_SHOWN;
    const cJSON *row;

    cJSON_ArrayForEach(row, json_get(result, "texts"))
    {
        _cleanup_free_ char *age = value_age(value_text(row, "created"), clock_realtime_ms());
        _cleanup_free_ char *digest = xstrndup(value_text(row, "revision"), shown);

        table_add_count(table, json_int(json_get(row, "number"), 0));
        table_add(table, digest);
        table_add(table, value_text(row, "mode"));
        table_add_count(table, json_int(json_get(row, "bytes"), 0));
        table_add(table, age);
        table_add_coloured(table, COLOUR_GREEN,
                           json_bool(json_get(row, "present"), false) ? "*" : " ");
    }
    if (table_rows(table) == 0)
        fputs("No texts are kept.\n", cli->out);
    table_print(table, cli->out, cli->colour, 0);
}

static int run(struct cli *cli, struct error *err)
{
    _cleanup_(cluster_freep) struct cluster *cluster = NULL;
    _cleanup_(kube_object_unrefp) struct kube_object *profile = NULL;
    _cleanup_json_ cJSON *result = NULL;
    struct texts texts = {0};
    int status = CLI_FAILED;

    if (cluster_open(cli, &cluster, err) == 0 &&
        read_texts(cluster, cli->operands.items[0], &profile, &texts, err) == 0) {
        if (revision > 0) {
            status = print_text(cli, &texts, err);
        } else if (difference > 0) {
            status = print_difference(cli, &texts, err);
        } else {
            result = list_json(profile, &texts);
            if (!output_print(cli, result))
                print_list(cli, result);
            status = CLI_OK;
        }
    }
    texts_done(&texts);
    return status;
}

static void done(void)
{
    free(operator_namespace);
}

const struct command command_history = {
    .name = "history",
    .usage = "PROFILE",
    .summary = "The texts that a profile has had: what changed, and how to go back.",
    .details = "To go back: kubectl apparmor history PROFILE --revision NUMBER | kubectl apply "
               "--server-side -f -\n(or the same in Git).",
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
