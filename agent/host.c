// SPDX-License-Identifier: Apache-2.0
#include "agent/host.h"

#include <string.h>

#include "lib/base/alloc.h"

static char *cache_folder(const char *root)
{
    size_t len = strlen(root);

    while (len > 0 && root[len - 1] == '/')
        len--;
    return xasprintf("%.*s/var/cache/apparmor-operator", (int) len, root);
}

void host_init(struct host *host, struct kernel *kernel, const struct host_options *options)
{
    char *cache = cache_folder(options->host_root);
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
