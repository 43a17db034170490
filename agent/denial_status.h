// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "agent/denials.h"
#include "lib/base/json.h"

/* The denials as AppArmorNode's status says them (docs/api.md). */

/* Of the API (crds/apparmornodes.yaml). */
#define DENIAL_STATUS_MAX 300
#define DENIAL_STATUS_VIOLATIONS_MAX 500
#define DENIAL_STATUS_WHO_MAX 3
/* Texts of all entries. */
#define DENIAL_STATUS_TEXT_MAX ((size_t) 256 * 1024)

#define STATUS_VIOLATIONS "violations"
#define STATUS_DENIALS "denials"
#define STATUS_DENIALS_NOT_LISTED "denialsNotListed"

/* Adds what there is to say to an object: nothing when nothing was denied. */
void denial_status_add(const struct denials *denials, cJSON *status);
/* Takes over what a status said, of revisions that are still loaded; nobody is to be told of it
 * again. */
void denial_status_adopt(struct denials *denials, const cJSON *status);
