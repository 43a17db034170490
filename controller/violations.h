// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/json.h"
#include "lib/policy/profile.h"

/* How often one node's processes have met the limits of AppArmorProfiles: status.violations. */
struct violation {
    char *object;
    char revision[POLICY_REVISION_SIZE]; /* that was loaded */
    uint64_t denied;                     /* refused */
    uint64_t allowed;                    /* would have been, but for mode Complain */
    int64_t last_ms;                     /* since the epoch */
};

/* Sorted by object; all zero: none. */
struct violations {
    struct violation *items;
    size_t len;
};

/* Entries of a status that are kept; the API has no more. */
#define VIOLATIONS_MAX 500

/* `list`: status.violations or NULL. What the schema does not allow is left out. */
void violations_init(struct violations *violations, const cJSON *list);
void violations_done(struct violations *violations);
/* Borrowed, or NULL. */
const struct violation *violations_find(const struct violations *violations, const char *object);

typedef void (*violations_differ_fn)(void *userdata, const char *object);
/* Calls `fn` for each object of which they do not say the same. */
void violations_compare(const struct violations *a, const struct violations *b,
                        violations_differ_fn fn, void *userdata);
