// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/containers.h"
#include "agent/node_pods.h"

/*
 * The containers that are not confined as their pods ask, from one look at the node to the next.
 * What is seen once is a suspicion: a runtime's process is unconfined until it becomes the
 * container's program. The same process, seen again later, is a finding.
 */
struct findings;

/* A process that has been like this for so long … */
#define FINDINGS_CONFIRM_MS 2000
/* … and one that goes by the name of a runtime's own, as any program can, for so long. */
#define FINDINGS_CONFIRM_STARTING_MS 30000

struct finding {
    char *ns, *pod, *uid, *container, *id;
    char *asked; /* see confinement_asked() */
    char *label; /* what the process has instead */
    /* For the caller, as long as it is found: it has told about it; the kernel has the profile that
     * is asked for, so that a restart would confine it. */
    bool told, profile_loaded;
};

struct findings *findings_new(void);
void findings_free(struct findings *findings);
DEFINE_CLEANUP(struct findings *, findings_free)

/* A look: what runs on the node, then each container, then the end. */
void findings_begin(struct findings *findings, const struct containers *seen, uint64_t now_ms);
void findings_check(struct findings *findings, const struct node_container *container);
/* Forgets what was not found again. When to look again because of a suspicion; 0: there is none. */
uint64_t findings_end(struct findings *findings);

/* How many are more than a suspicion. */
size_t findings_size(const struct findings *findings);
/* Those, sorted by namespace, pod and container; NULL at the end. `*position` starts at 0. */
struct finding *findings_next(const struct findings *findings, size_t *position);
