// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * Which AppArmorProfiles declare a profile name: those of status.profileNames, or, until something
 * has compiled the text, the object's own name. Several may declare one, for different nodes. An
 * object that is being deleted declares nothing any more.
 */
struct declared;

struct declared *declared_new(void);
void declared_free(struct declared *declared);
DEFINE_CLEANUP(struct declared *, declared_free)

/* The object is new or has changed. */
void declared_set(struct declared *declared, const cJSON *object);
void declared_remove(struct declared *declared, const char *object);

/* Adds the names of the objects, which may be NULL, and tells whether any node has one of them. */
bool declared_find(const struct declared *declared, const char *profile, struct strv *objects);
bool declared_has(const struct declared *declared, const char *profile);
/* The profiles of an object; NULL when it is not known. Borrowed until the next change. */
const struct strv *declared_by(const struct declared *declared, const char *object);
/* The object is for all nodes: it has no nodeSelector. */
bool declared_everywhere(const struct declared *declared, const char *object);
