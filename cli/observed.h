// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/cluster.h"

/*
 * Reads an AppArmorProfile, and what all AppArmorNodes list as refused by it, or let through in
 * Complain: as of denial_set_json(). Both are the caller's.
 */
_must_check_ int observed_read(struct cluster *cluster, const char *name,
                               struct kube_object **ret_profile, cJSON **ret_denials,
                               struct error *err);
