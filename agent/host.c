// SPDX-License-Identifier: Apache-2.0
#include "agent/host.h"

#include "agent/cache.h"

void host_init(struct host *host, struct kernel *kernel, const struct host_options *options)
{
    char *cache = cache_path(options->host_root);
    const struct builder_options builder = {
        .compiler =
            {
                .parser = options->parser,
                .includes = options->includes,
                .features = kernel_features_path(kernel),
                .cache = cache,
            },
        .metrics = options->metrics,
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
