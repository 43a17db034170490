// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/input.h"
#include "lib/base/map.h"

/* The text that a patch is for: spec.policy of the object in the cluster, or of a file. */
struct target {
    struct input input; /* the file */
    bool has_input;
    char *policy; /* text of spec.policy */
    char *old_name, *new_name;
    size_t line;       /* of the file, before the first of the policy */
    char *indent;      /* of the policy's lines in the file */
    struct strv shown; /* they as they are there */
};

void target_done(struct target *target);

/* Of an AppArmorProfile's JSON. -EINVAL: it has no text. */
_must_check_ int target_of_object(const cJSON *object, struct target *ret, struct error *err);
/* The AppArmorProfile of that name in a manifest, or a file of policy. */
_must_check_ int target_of_file(const char *path, const char *name, struct target *ret,
                                struct error *err);
/* The patch that adds the rules of amend_policy(); "" when there are none. The caller frees it. */
_must_check_ int target_patch(const struct target *target, const struct map *rules,
                              struct strv *missing, char **ret, struct error *err);
