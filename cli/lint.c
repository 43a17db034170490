// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/checker.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/subject.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/map.h"

static struct strv features;
static char *parser, *includes;
static bool strict;

static const struct option options[] = {
    {.name = "features",
     .type = OPTION_STRINGS,
     .target = &features,
     .argument = "FILE",
     .help = "Kernel features to compile for, as in /etc/apparmor.d/abi, or a kernel's folder; "
             "without it those of this machine's kernel, else the newest ABI."},
    {.name = "includes",
     .type = OPTION_STRING,
     .target = &includes,
     .argument = "FOLDER",
     .help = "Where abstractions, tunables and abi are; without it /etc/apparmor.d."},
    {.name = "parser",
     .type = OPTION_STRING,
     .target = &parser,
     .argument = "FILE",
     .help = "The apparmor_parser; without it that of /sbin or /usr/sbin."},
    {.name = "strict", .type = OPTION_BOOL, .target = &strict, .help = "Warnings count, too."},
};

/* One profile on its way through the compiler. */
struct check_job {
    struct subject *subject;
    struct findings findings; /* in the order of the files, whatever ends first */
    struct verdict *verdict;
};

struct lint {
    struct input *inputs;
    size_t input_count;
    struct check_job **jobs;
    size_t job_count;
    bool unreadable;
};

static void lint_done(struct lint *lint)
{
    for (size_t i = 0; i < lint->job_count; i++) {
        subject_free(lint->jobs[i]->subject);
        findings_done(&lint->jobs[i]->findings);
        verdict_free(lint->jobs[i]->verdict);
        free(lint->jobs[i]);
    }
    free(lint->jobs);
    for (size_t i = 0; i < lint->input_count; i++)
        input_done(&lint->inputs[i]);
    free(lint->inputs);
}
#define _cleanup_lint_ _cleanup_(lint_done)

static struct check_job *add_job(struct lint *lint)
{
    struct check_job *job = xcalloc(1, sizeof(*job));

    lint->jobs = xreallocarray(lint->jobs, lint->job_count + 1, sizeof(struct check_job *));
    lint->jobs[lint->job_count++] = job;
    return job;
}

/* --- reading -------------------------------------------------------------------------------- */

static void on_object(void *userdata, const struct input_object *object)
{
    struct lint *lint = userdata;
    const char *version = value_text(object->json, "apiVersion");
    struct check_job *job;

    /* A kind of this name without a group can only be meant. */
    if (!input_is(object, POLICY_GROUP, "AppArmorProfile") &&
        !(strcmp(value_text(object->json, "kind"), "AppArmorProfile") == 0 && !*version))
        return;
    job = add_job(lint);
    job->subject = subject_of_object(object, &job->findings);
}

/* That the YAML is none is a finding; that the file cannot be read is not. */
static void read_one(struct lint *lint, const struct cli *cli, const char *path,
                     struct input *input)
{
    _cleanup_error_ struct error err = {0};
    struct check_job *job;
    int r = input_read(path, input, &err);

    if (r == -EINVAL) {
        struct finding *finding;

        job = add_job(lint);
        finding = findings_add(&job->findings);
        finding->file = xstrdup(path);
        finding->reason = xstrdup("InvalidYAML");
        finding->message = xstrdup(error_message(&err));
        (void) !sscanf(finding->message, "invalid YAML: line %zu, column %zu", &finding->line,
                       &finding->column);
    } else if (r < 0) {
        fprintf(cli->err, "kubectl apparmor lint: %s\n", error_message(&err));
        lint->unreadable = true;
    } else if (input->yaml) {
        input_each(input, on_object, lint);
    } else {
        job = add_job(lint);
        job->subject = subject_of_policy(input, &job->findings);
    }
}

/* --- compiling ------------------------------------------------------------------------------ */

static void on_verdict(void *userdata, struct verdict *verdict)
{
    struct check_job *job = userdata;

    job->verdict = verdict;
}

static int compile(struct lint *lint, struct error *err)
{
    const struct checker_options checker_options = {.parser = parser,
                                                    .includes = includes,
                                                    .features = &features};
    _cleanup_(checker_freep) struct checker *checker = NULL;

    if (checker_new(&checker_options, &checker, err) < 0)
        return err->code;
    for (size_t i = 0; i < lint->job_count; i++) {
        struct check_job *job = lint->jobs[i];
        if (job->subject && job->subject->profile)
            checker_start(checker, job->subject->profile, on_verdict, job);
    }
    checker_wait(checker);
    return 0;
}

static void judge(struct check_job *job)
{
    const struct verdict *verdict = job->verdict;

    if (verdict->result != VERDICT_ACCEPTED)
        subject_find(job->subject, &job->findings, false, verdict->reason, verdict->message);
    for (size_t i = 0; i < verdict->warnings.len; i++)
        subject_find(job->subject, &job->findings, true, verdict->warnings.items[i].reason,
                     verdict->warnings.items[i].message);
}

/* --- between profiles ----------------------------------------------------------------------- */

static bool same_nodes(const struct subject *a, const struct subject *b)
{
    return json_equal(a->profile->selector, b->profile->selector);
}

static void find_clash(struct check_job *job, const struct check_job *other, const char *name)
{
    bool same = same_nodes(job->subject, other->subject);
    _cleanup_free_ char *message =
        xasprintf("profile \"%s\" is also declared by AppArmorProfile %s (%s)%s", name,
                  other->subject->object, other->subject->input->name,
                  same ? ": only one of them can have it on a node"
                       : ": only one of them can have it on a node that both select");

    subject_find_object(job->subject, &job->findings, !same, "NameConflict", message);
}

/* One object twice is one that kubectl applies twice, the last winning. */
static void find_double(struct check_job *job, struct map *objects)
{
    const struct check_job *other = map_get(objects, job->subject->object);

    if (other) {
        _cleanup_free_ char *message = xasprintf("the AppArmorProfile is there twice, also in %s",
                                                 other->subject->input->name);
        subject_find_object(job->subject, &job->findings, false, "DuplicateObject", message);
    }
    map_set(objects, job->subject->object, job);
}

static void find_other_name(struct check_job *job)
{
    const struct strv *names = &job->verdict->names;
    _cleanup_free_ char *all = strv_join(names, "\", \"");
    _cleanup_free_ char *message =
        xasprintf("the policy declares \"%s\" and no profile \"%s\": pods then select nodes by one "
                  "name and ask for another",
                  all, job->subject->object);

    if (!strv_contains(names, job->subject->object))
        subject_find_object(job->subject, &job->findings, true, "OtherName", message);
}

static void compare(struct lint *lint)
{
    _cleanup_(map_freep) struct map *objects = map_new(NULL), *names = map_new(NULL);

    for (size_t i = 0; i < lint->job_count; i++) {
        struct check_job *job = lint->jobs[i];

        if (!job->verdict || !job->subject->object)
            continue;
        find_double(job, objects);
        if (job->verdict->result == VERDICT_ACCEPTED)
            find_other_name(job);
        for (size_t k = 0; k < job->verdict->names.len; k++) {
            const char *name = job->verdict->names.items[k];
            const struct check_job *other = map_get(names, name);

            if (other && strcmp(other->subject->object, job->subject->object) != 0)
                find_clash(job, other, name);
            map_set(names, name, job);
        }
    }
}

/* --- the result ----------------------------------------------------------------------------- */

static void print_json(const struct cli *cli, const struct lint *lint, size_t checked)
{
    _cleanup_json_ cJSON *result = cJSON_CreateObject();
    cJSON *all;

    json_add_int(result, "profiles", (int64_t) checked);
    all = json_add_array(result, "findings");
    for (size_t i = 0; i < lint->job_count; i++) {
        cJSON *some = findings_json(&lint->jobs[i]->findings), *item;
        while ((item = cJSON_DetachItemFromArray(some, 0)))
            json_append(all, item);
        json_free(some);
    }
    output_print(cli, result);
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static int print(const struct cli *cli, const struct lint *lint)
{
    bool text = cli->output == CLI_TEXT || cli->output == CLI_WIDE;
    size_t errors = 0, warnings = 0, checked = 0;

    for (size_t i = 0; i < lint->job_count; i++) {
        const struct check_job *job = lint->jobs[i];

        errors += findings_count(&job->findings, false);
        warnings += findings_count(&job->findings, true);
        checked += job->subject != NULL;
        if (text)
            findings_print(&job->findings, cli->out, cli->colour);
    }
    if (text)
        fprintf(cli->err, "%zu profile%s checked: %zu error%s, %zu warning%s\n", checked,
                plural(checked), errors, plural(errors), warnings, plural(warnings));
    else
        print_json(cli, lint, checked);
    if (lint->unreadable)
        return CLI_FAILED;
    return errors > 0 || (strict && warnings > 0) ? CLI_FINDINGS : CLI_OK;
}

static int check_all(struct lint *lint, struct error *err)
{
    int r = compile(lint, err);

    for (size_t i = 0; r == 0 && i < lint->job_count; i++) {
        struct check_job *job = lint->jobs[i];

        if (job->verdict && strcmp(job->verdict->reason, "CompilerUnavailable") == 0)
            r = error_set(err, -ENOENT, "%s", job->verdict->message);
        else if (job->verdict)
            judge(job);
    }
    if (r == 0)
        compare(lint);
    return r;
}

static int run(struct cli *cli, struct error *err)
{
    _cleanup_lint_ struct lint lint = {0};

    lint.input_count = cli->operands.len;
    lint.inputs = xcalloc(lint.input_count, sizeof(*lint.inputs));
    for (size_t i = 0; i < lint.input_count; i++)
        read_one(&lint, cli, cli->operands.items[i], &lint.inputs[i]);
    if (check_all(&lint, err) < 0)
        return CLI_FAILED;
    return print(cli, &lint);
}

static void done(void)
{
    strv_done(&features);
    free(parser);
    free(includes);
}

const struct command command_lint = {
    .name = "lint",
    .usage = "FILE…",
    .summary = "Compiles AppArmorProfiles and policy files without a cluster.",
    .details = "FILE is a manifest (YAML or JSON, several documents, Lists; other kinds are passed "
               "over), a file\nof policy, or - for standard input. Ends with 0 when nothing is "
               "wrong, 1 when something was\nfound, 2 when a file or the compiler is not there.",
    .options = options,
    .option_count = ARRAY_SIZE(options),
    .formats = true,
    .least = 1,
    .most = SIZE_MAX,
    .what = "file",
    .run = run,
    .done = done,
};
