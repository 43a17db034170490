// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/strv.h"

/*
 * The texts that are kept of the AppArmorProfiles of one name (controller/history.h): which they
 * are, not what they say. Objects of the past may be among them until the garbage collector has
 * come. The shelf is NULL where nothing is known.
 */
struct shelf;

struct book {
    char *name;     /* of the ControllerRevision */
    char *uid;      /* of the AppArmorProfile */
    char *revision; /* of the text */
    int64_t number; /* the highest is the newest */
};

struct shelf *shelf_new(void);
void shelf_free(struct shelf *shelf);
DEFINE_CLEANUP(struct shelf *, shelf_free)
size_t shelf_size(const struct shelf *shelf);

/* In place of one of its name; copied. */
void shelf_add(struct shelf *shelf, const struct book *book);
void shelf_remove(struct shelf *shelf, const char *name);

/* Borrowed until the next change; or NULL. */
const struct book *shelf_find(const struct shelf *shelf, const char *uid, const char *revision);
/* 0 for none. */
int64_t shelf_last_number(const struct shelf *shelf, const char *uid);
/* Of that object, the newest first. */
void shelf_revisions(const struct shelf *shelf, const char *uid, struct strv *ret);
/*
 * The oldest, if there are more than `max`, that is not the newest and not what a rollout needs;
 * `published` is its annotation, or NULL. Borrowed, or NULL.
 */
const struct book *shelf_surplus(const struct shelf *shelf, const char *uid, size_t max,
                                 const char *published);
