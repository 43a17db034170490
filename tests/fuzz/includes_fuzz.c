// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/includes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int check(const char *text, size_t len)
{
    _cleanup_free_ char *exact = xmemdup(text, len ? len : 1);
    _cleanup_error_ struct error err = {0};

    int r = policy_includes_check(exact, len, &err);
    assert(r == 0 || (r == -EPERM && *error_message(&err)));
    return r;
}

/* Text that passes must still be refused with a forbidden include on a line of its own after it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char FORBIDDEN[] = "\ninclude \"/x\"\n";

    if (check((const char *) data, len) < 0)
        return 0;
    _cleanup_free_ char *more = xmalloc(len + sizeof(FORBIDDEN));
    if (len > 0)
        memcpy(more, data, len);
    memcpy(more + len, FORBIDDEN, sizeof(FORBIDDEN));
    assert(check(more, len + strlen(FORBIDDEN)) == -EPERM);
    return 0;
}
