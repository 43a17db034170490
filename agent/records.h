// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/profile_state.h"
#include "agent/repairs.h"
#include "agent/sightings.h"
#include "agent/tasks.h"
#include "lib/base/map.h"
#include "lib/policy/marker.h"
#include "lib/policy/owner.h"
#include "lib/policy/profile.h"

/*
 * Everything that the agent knows about each object on this node, and who owns which profile name.
 * Pure bookkeeping: files and kernel are the truth, this is their index.
 */
struct record {
    char *name;                  /* the object's */
    struct marker *marker;       /* of its file; NULL without a file of ours */
    struct policy_profile *spec; /* as last fetched, its text dropped once compiled; or NULL */
    char *version;               /* source's version of `spec` */
    struct strv claims;          /* full profile names of `spec`, once it compiled */
    char *failed_build;          /* `spec` cannot be built: what compiling was tried, … */
    uint64_t failed_until_ms;    /* … and when it may be tried again */
    struct profile_state state;
    bool judged;       /* decided about since the source has told everything */
    bool labelled;     /* the Node's label should be there */
    bool announce;     /* that it leaves is news: it was loaded before this agent's eyes */
    bool file_changed; /* or may have been, since it was last read */
    bool releasing;    /* deleted or deselected: hands its names over and goes */
    uint64_t told_ms;  /* when the details of tasks that it waits for were last told */
    uint64_t lost_ms;  /* since when the kernel lacks what the label promises; 0: it does not */
    struct tasks_use learnt;    /* left under null profiles, though it is enforced */
    struct sightings sightings; /* of processes under it, in mode Complain */
    struct repairs repairs, file_repairs;
};

struct records;

struct records *records_new(void);
void records_free(struct records *records);
DEFINE_CLEANUP(struct records *, records_free)

struct record *records_get(const struct records *records, const char *name);
/* Finds or creates. */
struct record *records_add(struct records *records, const char *name);
void records_remove(struct records *records, const char *name);
size_t records_size(const struct records *records);
/* In no order; `*position` starts at 0. Removing the record just returned is allowed. */
struct record *records_next(const struct records *records, size_t *position);
/* Sorted names; the caller frees the array. */
const char **records_sorted(const struct records *records);

void record_set_marker(struct record *record, struct marker *marker);
/* Takes ownership of `spec`. */
void record_set_spec(struct record *record, struct policy_profile *spec, const char *version);
void record_drop_text(struct record *record);
/* Its state may be another once names have changed hands or left the kernel. */
bool record_depends_on_others(const struct record *record);

/*
 * The marker's entry of that name, or NULL (also for no marker). One without digests is a leftover:
 * an earlier revision had it, the present one does not, and it waits to be unused.
 */
struct marker_profile *marker_find(const struct marker *marker, const char *name);
bool marker_is_leftover(const struct marker_profile *profile);
/* Drops a name; false when it is not there. */
bool marker_drop(struct marker *marker, const char *name);

/* Another record than `except` (NULL: any) whose file holds the name. */
struct record *records_holder(const struct records *records, const char *name,
                              const struct record *except);
/* The record that may have the name on this node (policy/owner.h), or NULL. */
struct record *records_owner(const struct records *records, const char *name,
                             enum owner_foreign foreign);
