// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/error.h"
#include "lib/base/json.h"
#include "lib/base/map.h"

/* An AppArmorProfile as a file declares it. */
struct manifest {
    cJSON *json;
    char *file;
    char *version; /* digest of the content */
};

void manifest_free(struct manifest *manifest);

/*
 * Adds the AppArmorProfiles of a file's text (YAML documents, Lists included) to `manifests`, a map
 * from object name. The first error, which names file and place, ends it and nothing is added.
 */
_must_check_ int manifests_parse(const char *file, const char *text, size_t len,
                                 struct map *manifests, struct error *err);
/* A new map of struct manifest. */
struct map *manifests_new(void);
