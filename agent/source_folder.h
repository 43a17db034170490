// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/source.h"

/*
 * AppArmorProfiles from the .yaml, .yml and .json files of a folder, read again whenever the folder
 * changes. A file that cannot be read or is not valid is reported, and what it declared before
 * stays declared. Objects of other kinds are ignored, so that a folder may hold whole deployments.
 */
_must_check_ int source_folder_new(uv_loop_t *loop, const char *folder, const cJSON *node_labels,
                                   struct source **ret, struct error *err);

/* From now on what no file declares is deleted also where a cluster has put it on the node. */
void source_folder_purge(struct source *source);
/* Files and documents that are not in order now. */
size_t source_folder_mistakes(const struct source *source);
