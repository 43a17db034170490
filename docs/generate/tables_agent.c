// SPDX-License-Identifier: Apache-2.0
#include "agent/agent_metrics.h"
#include "docs/generate/tables.h"

const struct metric_spec *tables_agent_metrics(size_t *ret_count)
{
    *ret_count = AGENT_METRICS;
    return agent_metric_specs;
}
