// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/pod_index.h"
#include "lib/audit/record.h"

/*
 * What this node's policy has refused, or mode Complain let through: a bounded table of distinct
 * accesses, and counts per AppArmorProfile and loaded revision. What AppArmorNode's
 * status.violations and status.denials say (docs/api.md). No I/O.
 */
struct denials;

struct denials_options {
    /* The AppArmorProfile whose policy has this profile, as its name or in NULL; borrowed. */
    const char *(*object_of)(void *userdata, const char *profile);
    /* The revision of it that is loaded; NULL when none is. */
    const char *(*revision_of)(void *userdata, const char *object);
    void *userdata;
};

/* In all, and of one AppArmorProfile or profile of another's. */
#define DENIALS_MAX 2000
#define DENIALS_PROFILE_MAX 500
/* Texts of all of them. */
#define DENIALS_TEXT_MAX ((size_t) 2 << 20)
/* So many names of one folder, all else being equal, are kept apart. */
#define DENIALS_FOLDER_MAX 32
/* Containers of one access. */
#define DENIAL_WHO_MAX 8

/* A container that has met a denial; processes that were gone have "unknown" for all. */
struct denial_who {
    char *ns, *pod, *uid, *container;
    uint64_t count;
    /* For the caller: how many it has told of, and when. */
    uint64_t told_count, told_ms;
};

struct denial {
    struct audit_access access;
    char *object; /* or NULL */
    char comm[AUDIT_COMM_SIZE];
    uint64_t count;
    int64_t first_ms, last_ms; /* since the epoch */
    struct denial_who who[DENIAL_WHO_MAX];
    size_t who_count;
};

struct denials *denials_new(const struct denials_options *options);
void denials_free(struct denials *denials);
DEFINE_CLEANUP(struct denials *, denials_free)

/*
 * Counts one. `who` is NULL for what no pod did. Returns what it is counted under, `*ret_new` if
 * for the first time; NULL when it is nobody's business here, as neither a pod that is known nor an
 * AppArmorProfile is concerned, or the table is full of others.
 */
struct denial *denials_add(struct denials *denials, const struct audit_record *record,
                           const struct pod_names *who, bool *ret_new);

size_t denials_size(const struct denials *denials);
/* In no order; `*position` starts at 0. Nothing may be added meanwhile. */
struct denial *denials_next(const struct denials *denials, size_t *position);
/* Accesses that found no room, each time that they were tried. */
uint64_t denials_refused(const struct denials *denials);

/* Counts of an AppArmorProfile, of the revision that is loaded. */
struct violation {
    char *revision;
    uint64_t denied, allowed;
    int64_t first_ms, last_ms; /* since the epoch */
};
const struct violation *denials_next_violation(const struct denials *denials, size_t *position,
                                               const char **ret_object);

/* Drops what is about revisions that are not loaded any more; false when there is nothing. */
bool denials_forget_outdated(struct denials *denials);

/* What was counted before this start, unless its revision is not loaded any more. Adds to what is
 * there; strings are copied. */
void denials_restore_violation(struct denials *denials, const char *object,
                               const struct violation *violation);
void denials_restore(struct denials *denials, const struct denial *denial);
