// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/cluster.h"

/* What `describe` tells of an object: read from the cluster, and printed. */

struct describe_options {
    bool pods; /* look at all pods for those that use a profile */
};

_must_check_ int describe_profile(const struct cli *cli, struct cluster *cluster, const char *name,
                                  const struct describe_options *options, int *ret_status,
                                  struct error *err);
_must_check_ int describe_node(const struct cli *cli, struct cluster *cluster, const char *name,
                               int *ret_status, struct error *err);
