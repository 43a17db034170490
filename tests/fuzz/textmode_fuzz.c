// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "agent/flatten.h"
#include "agent/textmode.h"
#include "lib/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Both end on any bytes and read no further than these; without a block there is no mode to write.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_buf_ struct buf clean = BUF_INIT(1 << 20), moded = BUF_INIT(1 << 20);
    _cleanup_free_ char *text = xmemdup(data, size);

    int r _unused_ = flatten_clean(text, size, &clean, NULL);
    if (clean.len > size)
        abort();
    if (textmode_apply(text, size, POLICY_COMPLAIN, &moded) < 0)
        return 0;
    if (size && !memchr(text, '{', size) &&
        (moded.len != size || memcmp(moded.data, text, size) != 0))
        abort();
    return 0;
}
