// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/error.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"

/*
 * Policy text with rules added at the end of profiles. `rules`: by the profile's full name, as the
 * kernel has it ("web", "web//child"), a struct strv * of rules. Names of profiles that the text
 * does not have go to `missing`. -EBADMSG: the text is not understood. The caller frees the text.
 */
_must_check_ int amend_policy(const char *text, const struct map *rules, struct strv *missing,
                              char **ret, struct error *err);
