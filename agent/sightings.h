// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/policy/profile.h"

/*
 * How many distinct processes have been seen under one revision of a profile: a lower bound, as
 * those that begin and end between two looks are not seen. No process is counted twice: not when
 * it leaves the profile and comes back, nor by an agent that starts anew.
 */
struct sighting {
    pid_t pid;
    uint64_t start; /* clock ticks from boot; with the pid, no other process has it */
};

/* A zeroed struct is ready. */
struct sightings {
    char revision[POLICY_REVISION_SIZE]; /* "": nothing was seen of any */
    uint64_t told;                       /* by the agent before this one */
    uint64_t older, newer;               /* begun before this agent was there, and since */
    struct sighting *items;              /* that were counted and may be alive, by number */
    size_t len;
};

/* One look at all processes. Both lists are sorted by number. */
struct sightings_look {
    const pid_t *alive;
    size_t alive_count;
    const struct sighting *seen; /* under the revision */
    size_t seen_count;
    uint64_t since; /* when this agent began: clock ticks from boot */
};

void sightings_done(struct sightings *sightings);
/* What the agent before this one has told. */
void sightings_adopt(struct sightings *sightings, const char *revision, uint64_t count);
/* Of another revision than before: begins anew. */
void sightings_add(struct sightings *sightings, const char *revision,
                   const struct sightings_look *look);
uint64_t sightings_count(const struct sightings *sightings, const char *revision);
