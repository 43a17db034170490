// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"

/*
 * Denials of many nodes (AppArmorNode's status.denials) as one list: what agrees in all but counts,
 * times, command and pods is one access, with the nodes and pods where it came up.
 */
struct denial_set;

struct denial_set *denial_set_new(void);
void denial_set_free(struct denial_set *set);
DEFINE_CLEANUP(struct denial_set *, denial_set_free)

/* Which denials are meant; NULL: any. */
struct denial_filter {
    const char *object;  /* the AppArmorProfile */
    const char *profile; /* the kernel's name, or a parent of it */
    bool either;         /* one of the two is enough */
    const char *ns;      /* the pod */
    const char *pod;
    const char *node;
};

/* Those of an AppArmorNode that the filter wants. */
void denial_set_add_node(struct denial_set *set, const struct denial_filter *filter,
                         const cJSON *node);
/* Accesses that nodes had no room to list, of those that were added. */
int64_t denial_set_not_listed(const struct denial_set *set);
/*
 * The most frequent first. Each as in status.denials, with `pods` of all nodes (at most 10) and
 * `nodes` (names, at most 10) and `nodeCount`. The caller owns it.
 */
cJSON *denial_set_json(const struct denial_set *set);

/* "open of /etc/shadow for r", for people; the caller frees it. */
char *denial_describe(const cJSON *denial);
