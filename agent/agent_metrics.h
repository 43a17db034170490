// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/metrics.h"

/* The agent's metrics; an enumerator is the index in the table. */
enum agent_metric {
    METRIC_PROFILE_LOADED,
    METRIC_COMPILES,
    METRIC_COMPILE_SECONDS,
    METRIC_LOADS,
    METRIC_LOAD_SECONDS,
    METRIC_REMOVALS,
    METRIC_REPAIRS,
    METRIC_API_WRITES,
    METRIC_SELF_CONFINED,
    METRIC_UNCONFINED_CONTAINERS,
    METRIC_CONTAINER_UNCONFINED,
    METRIC_VIOLATIONS,
    METRIC_AUDIT_RECORDS,
    METRIC_AUDIT_LOST,
    METRIC_AUDIT_UNPARSED,
    METRIC_AUDIT_AVAILABLE,
    AGENT_METRICS,
};

extern const struct metric_spec agent_metric_specs[AGENT_METRICS];

/* Values of the label `result`. */
#define RESULT_SUCCESS "success"
#define RESULT_FAILURE "failure"
