// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/compile/flatten.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends on any bytes, reads no further than these, only leaves out, and leaves nothing to leave out
 * the next time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_buf_ struct buf clean = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    _cleanup_free_ char *text = xmemdup(data, size);
    _cleanup_free_ char *once = NULL;

    int r = flatten_clean(text, size, &clean, NULL);
    if (clean.len > size)
        abort();
    once = xmemdup(buf_string(&clean), clean.len);
    if (flatten_clean(once, clean.len, &again, NULL) != r)
        abort();
    if (again.len != clean.len || memcmp(buf_string(&again), once, clean.len) != 0)
        abort();
    return 0;
}
