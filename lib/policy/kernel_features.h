// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/policy/rules.h"

/*
 * A kernel's features as a text (lib/compile/features.h): names with braces around what is in them,
 * `signal {mask {hup int\n}\n}\n`.
 */

/* Whether the features have what a path as "namespaces/mask/userns_create" names: folders, at the
 * end a folder, a file or a word of a file. */
bool kernel_features_have(const char *text, size_t len, const char *path);
/* Whether a kernel with these features heeds the rule; one that does not is loaded without it. */
bool kernel_features_enforce(const char *text, size_t len, const struct policy_rule *rule);
