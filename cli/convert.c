// SPDX-License-Identifier: Apache-2.0
#include "cli/convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/term.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/policy/profile.h"

#define SPO_GROUP "security-profiles-operator.x-k8s.io"

static bool keep_attachments;
static char *mode;

static const struct option options[] = {
    {.name = "keep-attachments",
     .type = OPTION_BOOL,
     .target = &keep_attachments,
     .help = "Leave names and attachments as they are, and set spec.allowHostAttachment: the "
             "profiles then confine the host's programs, too."},
    {.name = "mode",
     .type = OPTION_STRING,
     .target = &mode,
     .argument = "MODE",
     .help = "spec.mode of what is made: Enforce, Complain, Kill or Unconfined; absent: as the "
             "text says."},
};

/* --- files ---------------------------------------------------------------------------------- */

/* Each value is a file, as loaders mount them: kapparmor's, or a DaemonSet made by hand. */
static void convert_config_map(struct convert *convert, const struct input_object *object)
{
    const char *name = value_text(object->json, "metadata", "name");
    const cJSON *entry;

    cJSON_ArrayForEach(entry, json_get(object->json, "data"))
    {
        _cleanup_free_ char *place =
            xasprintf("%s: ConfigMap %s, %s", object->input->name, name, entry->string);

        if (!cJSON_IsString(entry))
            continue;
        if (strchr(entry->valuestring, '{'))
            convert_policy(convert, place, entry->string, entry->valuestring);
        else
            convert_note(convert, place, "passed over: it declares no profile");
    }
    if (cJSON_GetArraySize(json_get(object->json, "binaryData")) > 0) {
        _cleanup_free_ char *place = xasprintf("%s: ConfigMap %s", object->input->name, name);
        convert_note(convert, place, "binaryData is passed over");
    }
}

static void on_object(void *userdata, const struct input_object *object)
{
    struct convert *convert = userdata;
    const char *kind = value_text(object->json, "kind");
    const char *name = value_text(object->json, "metadata", "name");

    if (input_is(object, SPO_GROUP, "AppArmorProfile")) {
        convert_spo(convert, object);
    } else if (input_is(object, "", "ConfigMap")) {
        convert_config_map(convert, object);
    } else {
        convert_note(convert, object->input->name, "%s %s is passed over%s", kind, name,
                     input_is(object, POLICY_GROUP, "AppArmorProfile") ? ": it is one already"
                                                                       : "");
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

void convert_input(struct convert *convert, const struct input *input)
{
    if (input->yaml)
        input_each(input, on_object, convert);
    else
        convert_policy(convert, input->name, base_name(input->name), buf_string(&input->text));
}

/* --- the command ---------------------------------------------------------------------------- */

static void print_notes(const struct cli *cli, const char *before, const struct strv *notes,
                        enum colour colour)
{
    bool on = cli->colour && term_has_colour(cli->err);

    for (size_t i = 0; i < notes->len; i++) {
        term_put_coloured(cli->err, on, colour, before);
        term_put(cli->err, notes->items[i]);
        fputc('\n', cli->err);
    }
}

static void print(const struct cli *cli, const struct convert *convert)
{
    _cleanup_json_ cJSON *list = cJSON_CreateObject();
    const cJSON *object;

    if (cli->output == CLI_JSON) {
        json_add_string(list, "apiVersion", "v1");
        json_add_string(list, "kind", "List");
        json_add(list, "items", cJSON_Duplicate(convert->made, true));
        output_print(cli, list);
        return;
    }
    cJSON_ArrayForEach(object, convert->made)
    {
        if (object != convert->made->child)
            fputs("---\n", cli->out);
        output_yaml(cli->out, object);
    }
}

static int convert_files(const struct cli *cli, struct convert *convert)
{
    int status = CLI_OK;

    for (size_t i = 0; i < cli->operands.len; i++) {
        _cleanup_input_ struct input input = {0};
        _cleanup_error_ struct error err = {0};

        if (input_read(cli->operands.items[i], &input, &err) < 0) {
            convert_problem(convert, cli->operands.items[i], "%s", error_message(&err));
            status = CLI_FAILED;
            continue;
        }
        convert_input(convert, &input);
    }
    return status;
}

static int run(struct cli *cli, struct error *err)
{
    struct convert convert;
    int status;

    convert_init(&convert);
    convert.keep_attachments = keep_attachments;
    if (policy_mode_parse(mode, &convert.mode) < 0) {
        convert_done(&convert);
        error_set(err, -EINVAL, "--mode takes Enforce, Complain, Kill or Unconfined");
        return CLI_FAILED;
    }
    status = convert_files(cli, &convert);
    print(cli, &convert);
    print_notes(cli, "# ", &convert.notes, COLOUR_FAINT);
    print_notes(cli, "error: ", &convert.problems, COLOUR_RED);
    if (status == CLI_OK && (convert.problems.len > 0 || !convert.made->child))
        status = CLI_FINDINGS;
    convert_done(&convert);
    return status;
}

static void done(void)
{
    free(mode);
}

const struct command command_convert = {
    .name = "convert",
    .usage = "FILE…",
    .summary = "Makes AppArmorProfiles of profile files and of what other tools use.",
    .details =
        "FILE is a file of /etc/apparmor.d, a ConfigMap of profiles (as hand-made loaders and "
        "kapparmor use), an\nAppArmorProfile of the Security Profiles Operator, or - for standard "
        "input. The result goes to\nstandard output, what was changed on the way to standard "
        "error. Ends with 1 when something could\nnot be converted.",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .formats = true,
    .least = 1,
    .most = SIZE_MAX,
    .what = "file",
    .run = run,
    .done = done,
};
