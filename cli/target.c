// SPDX-License-Identifier: Apache-2.0
#include "cli/target.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/amend.h"
#include "cli/diff.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/yaml_locate.h"
#include "lib/policy/profile.h"

void target_done(struct target *target)
{
    if (target->has_input)
        input_done(&target->input);
    free(target->policy);
    free(target->old_name);
    free(target->new_name);
    free(target->indent);
    strv_done(&target->shown);
}

int target_of_object(const cJSON *object, struct target *ret, struct error *err)
{
    const char *text = json_string(object, "spec", "policy");
    const char *name = value_text(object, "metadata", "name");

    *ret = (struct target){0};
    if (!text)
        return error_set(err, -EINVAL, "AppArmorProfile %s has no spec.policy", name);
    ret->policy = xstrdup(text);
    ret->old_name = xasprintf("a/%s.policy", name);
    ret->new_name = xasprintf("b/%s.policy", name);
    return 0;
}

/* --- files ---------------------------------------------------------------------------------- */

struct search {
    const char *name;
    struct target *target;
    size_t document;
    struct strv path; /* of spec.policy */
    bool found;
};

static void on_object(void *userdata, const struct input_object *object)
{
    struct search *search = userdata;

    if (search->found || !input_is(object, POLICY_GROUP, "AppArmorProfile") ||
        strcmp(value_text(object->json, "metadata", "name"), search->name) != 0 ||
        !json_string(object->json, "spec", "policy"))
        return;
    search->found = true;
    search->target->policy = xstrdup(json_string(object->json, "spec", "policy"));
    search->document = object->document;
    strv_copy(&search->path, &object->path);
    strv_add(&search->path, "spec");
    strv_add(&search->path, "policy");
}

/* The block's lines in the file, which are the policy's with an indentation. */
static int take_lines(struct target *target, const struct yaml_place *place, struct error *err)
{
    const char *file = buf_string(&target->input.text), *policy = target->policy;
    size_t line = 0;

    for (; line < place->line; line++)
        file = strchr(file, '\n') + 1;
    while (*policy) {
        size_t len = strcspn(policy, "\n"), shown = strcspn(file, "\r\n");

        if (shown < len || memcmp(file + shown - len, policy, len) != 0)
            return error_set(err, -EINVAL,
                             "spec.policy in %s has lines that a patch cannot follow: write it as "
                             "a block (policy: |)",
                             target->input.name);
        if (len > 0 && !target->indent)
            target->indent = xstrndup(file, shown - len);
        strv_take(&target->shown, xstrndup(file, strcspn(file, "\n")));
        policy += len + (policy[len] == '\n');
        file += strcspn(file, "\n");
        file += *file == '\n';
    }
    target->line = place->line;
    return 0;
}

static int find_in_manifest(struct target *target, const char *name, struct error *err)
{
    struct search search = {.name = name, .target = target};
    struct yaml_place place = {0};
    int r = 0;

    input_each(&target->input, on_object, &search);
    if (!search.found)
        r = error_set(err, -ENOENT, "%s has no AppArmorProfile %s with a spec.policy",
                      target->input.name, name);
    else
        yaml_locate(buf_string(&target->input.text), target->input.text.len, search.document,
                    &search.path, &place);
    if (r == 0 && !place.literal)
        r = error_set(err, -EINVAL,
                      "%s:%zu: spec.policy is not written as a block (policy: |), whose lines a "
                      "patch could change",
                      target->input.name, place.line);
    if (r == 0)
        r = take_lines(target, &place, err);
    strv_done(&search.path);
    return r;
}

int target_of_file(const char *path, const char *name, struct target *ret, struct error *err)
{
    const char *relative = path + strspn(path, "/");
    struct target target = {0};
    int r = input_read(path, &target.input, err);

    if (r < 0)
        return r;
    target.has_input = true;
    target.old_name = xasprintf("a/%s", relative);
    target.new_name = xasprintf("b/%s", relative);
    if (target.input.yaml)
        r = find_in_manifest(&target, name, err);
    else
        target.policy = xstrdup(buf_string(&target.input.text));
    if (r < 0)
        target_done(&target);
    else
        *ret = target;
    return r;
}

int target_patch(const struct target *target, const struct map *rules, struct strv *missing,
                 char **ret, struct error *err)
{
    _cleanup_free_ char *text = NULL;
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    int r = amend_policy(target->policy, rules, missing, &text, err);

    if (r < 0)
        return r;
    const struct diff diff = {
        .old_text = target->policy,
        .new_text = text,
        .old_name = target->old_name,
        .new_name = target->new_name,
        .line = target->line,
        .indent = target->indent,
        .shown = target->shown.len > 0 ? (const char *const *) target->shown.items : NULL,
    };
    diff_unified(&diff, &out);
    *ret = buf_take(&out);
    return 0;
}
