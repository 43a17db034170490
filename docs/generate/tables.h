// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/metrics.h"

/* The programs' tables, whose headers name their metrics alike and cannot be included together. */
const struct metric_spec *tables_agent_metrics(size_t *ret_count);
const struct metric_spec *tables_controller_metrics(size_t *ret_count);
