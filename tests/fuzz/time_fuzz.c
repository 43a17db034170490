// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted is written as text that is accepted, and means the same second. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    char canonical[CLOCK_TIME_SIZE];
    int64_t ms, again;

    if (clock_parse(text, &ms) < 0)
        return 0;
    /* An offset may carry the first and last day out of the four-digit years. */
    if (ms < INT64_C(-62167219200000) || ms >= INT64_C(253402300800000))
        return 0;
    clock_format(ms, canonical);
    if (clock_parse(canonical, &again) < 0 || ms - again < 0 || ms - again > 999)
        abort();
    return 0;
}
