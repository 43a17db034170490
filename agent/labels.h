// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * The labels that the agent keeps on its Node (DESIGN §4): one merge patch that makes what is there
 * into what holds. Pure.
 */

struct labels_wanted {
    bool enabled;
    struct strv profiles; /* objects */
    bool keep_others;     /* labels of other objects stay: not everything has been looked at */
};

/*
 * NULL when the labels already are what they should be. `labels` is the Node's, or NULL. The patch
 * carries the uid, so that a re-created Node of the same name refuses it.
 */
cJSON *labels_patch(const cJSON *labels, const char *uid, const struct labels_wanted *wanted);
bool labels_has_profile(const cJSON *labels, const char *object);
