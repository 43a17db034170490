// SPDX-License-Identifier: Apache-2.0
#include "controller/controller_metrics.h"
#include "docs/generate/tables.h"

const struct metric_spec *tables_controller_metrics(size_t *ret_count)
{
    *ret_count = METRIC_COUNT;
    return controller_metrics;
}
