// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <uv.h>

#include "agent/files.h"
#include "agent/kernel.h"
#include "agent/loaded.h"
#include "agent/profile_events.h"
#include "agent/records.h"
#include "lib/base/metrics.h"
#include "lib/compile/builder.h"

/* The node that policy is put on, as parts that the modules above share. */
struct host {
    uv_loop_t *loop;
    const char *node_name; /* for logs */
    struct kernel *kernel;
    struct loaded *loaded;
    struct files *files;
    char *cache; /* folder of compiled policy */
    struct builder *builder;
    struct records *records;
    struct metrics *metrics;
    struct profile_events *events; /* NULL without a cluster */
};

struct host_options {
    uv_loop_t *loop;
    const char *node_name;
    const char *host_root;         /* prefix of etc/apparmor.d and var/cache/apparmor-operator */
    const char *parser, *includes; /* as in struct compiler_options */
    struct metrics *metrics;       /* borrowed, as is what follows */
    struct profile_events *events;
};

/* Where compiled policy is kept on a host; the caller frees it. */
char *host_cache_path(const char *host_root);

/* `kernel` passes to the host; host_done() frees all that the host owns. */
void host_init(struct host *host, struct kernel *kernel, const struct host_options *options);
/* The kernel alone, and first: no answer of it reaches what is freed after that. */
void host_leave_kernel(struct host *host);
void host_done(struct host *host);
