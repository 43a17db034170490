// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/builder.h"
#include "agent/files.h"
#include "agent/kernel.h"
#include "agent/loaded.h"
#include "agent/records.h"
#include "lib/base/metrics.h"

/* The node that policy is put on, as parts that the modules above share. All are borrowed. */
struct host {
    uv_loop_t *loop;
    const char *node_name; /* for logs */
    struct kernel *kernel;
    struct loaded *loaded;
    struct files *files;
    struct builder *builder;
    struct records *records;
    struct metrics *metrics;
};
