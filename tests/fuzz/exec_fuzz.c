// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted can be a header, or a pair of certificate and key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_exec_credential_ struct exec_credential credential = {0};

    alloc_init();
    if (exec_credential_decode((const char *) data, size, "client.authentication.k8s.io/v1",
                               &credential, NULL) < 0)
        return 0;
    if (!credential.token && !credential.certificate)
        abort();
    if (!credential.certificate != !credential.key)
        abort();
    if (credential.token && strpbrk(credential.token, "\r\n "))
        abort();
    return 0;
}
