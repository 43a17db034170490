// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted names a server, and what is refused says why. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(kubeconfig_freep) struct kubeconfig *kubeconfig = kubeconfig_new();
    _cleanup_(kube_config_freep) struct kube_config *config = NULL;
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *authorization = NULL;
    int r;

    alloc_init();
    r = kubeconfig_add(kubeconfig, "kubeconfig", (const char *) data, size, &err);
    if (r == 0)
        r = kubeconfig_resolve(kubeconfig, NULL, &config, &err);
    if (r < 0) {
        if (err.code != r || !err.message || config)
            abort();
        return 0;
    }
    if (strncmp(kube_config_server(config), "http", 4) != 0 || !kube_config_origin(config))
        abort();
    authorization = credentials_authorization(config);
    if (authorization && strpbrk(authorization, "\r\n"))
        abort();
    return 0;
}
