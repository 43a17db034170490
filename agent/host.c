// SPDX-License-Identifier: Apache-2.0
#include "agent/host.h"

#include <string.h>

#include "agent/agent_metrics.h"
#include "lib/base/alloc.h"

static void observe_compilation(void *userdata, bool success, double seconds)
{
    const char *values[] = {success ? RESULT_SUCCESS : RESULT_FAILURE};
    struct metrics *metrics = userdata;

    metrics_add(metrics, METRIC_COMPILES, 1, values);
    metrics_observe(metrics, METRIC_COMPILE_SECONDS, seconds, NULL);
}

char *host_cache_path(const char *host_root)
{
    size_t len = strlen(host_root);

    while (len > 0 && host_root[len - 1] == '/')
        len--;
    return xasprintf("%.*s/var/cache/apparmor-operator", (int) len, host_root);
}

void host_init(struct host *host, struct kernel *kernel, const struct host_options *options)
{
    char *cache = host_cache_path(options->host_root);
    const struct builder_options builder = {
        .compiler =
            {
                .parser = options->parser,
                .includes = options->includes,
                .features = kernel_features_path(kernel),
                .cache = cache,
            },
        .observe = observe_compilation,
        .userdata = options->metrics,
    };

    *host = (struct host){
        .loop = options->loop,
        .node_name = options->node_name,
        .kernel = kernel,
        .loaded = loaded_new(kernel),
        .files = files_new(options->host_root),
        .cache = cache,
        .builder = builder_new(options->loop, &builder),
        .records = records_new(),
        .metrics = options->metrics,
        .events = options->events,
    };
}

void host_leave_kernel(struct host *host)
{
    kernel_free(host->kernel);
    host->kernel = NULL;
}

void host_done(struct host *host)
{
    host_leave_kernel(host);
    builder_free(host->builder);
    records_free(host->records);
    loaded_free(host->loaded);
    files_free(host->files);
    free(host->cache);
    *host = (struct host){0};
}
