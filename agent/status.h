// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/findings.h"
#include "agent/records.h"
#include "lib/base/json.h"

/* AppArmorNode (DESIGN §4): what its status says, as JSON. Pure. */

struct status_node {
    bool enabled;
    bool unsure;                  /* not enabled, but the kernel may hold what it held */
    const char *reason, *message; /* why not enabled; or NULL */
    const char *kernel_release;   /* or NULL */
    const char *features_id;      /* or NULL: no compiler */
    const char *parser_version;   /* or NULL */
    const char *agent_version;
    const struct findings *findings; /* NULL: not known yet */
    const cJSON *denials;            /* fields of status, see agent/denial_watch.h; or NULL */
};

/* The list of containers that are not confined as their pods ask. */
#define STATUS_UNCONFINED "unconfined"

/* `status`, profiles sorted by name. Undecided records are left out; `records` may be NULL. */
cJSON *status_json(const struct status_node *node, const struct records *records);
/* What is not known yet stays as it was in `old`. */
void status_keep(cJSON *status, const struct status_node *node, const cJSON *old);
/* Merge patch that makes a status `old` (NULL: none) into `status`; NULL when they are equal. */
cJSON *status_patch(const cJSON *old, const cJSON *status);
/* Keeps the lastTransitionTime of entries in `old` whose state is what the record's is, and goes on
 * from the processes that were counted. */
void status_adopt(const struct records *records, const cJSON *old);
/* A new AppArmorNode, owned by its Node. */
cJSON *status_object(const char *node, const char *node_uid);
