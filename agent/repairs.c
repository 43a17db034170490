// SPDX-License-Identifier: Apache-2.0
#include "agent/repairs.h"

void repairs_count(struct repairs *repairs, uint64_t now_ms)
{
    repairs->at_ms[repairs->next] = now_ms ? now_ms : 1;
    repairs->next = (repairs->next + 1) % REPAIRS_MAX;
}

uint64_t repairs_wait_ms(const struct repairs *repairs, uint64_t now_ms)
{
    uint64_t oldest_ms = repairs->at_ms[repairs->next];

    if (!oldest_ms || now_ms - oldest_ms >= REPAIRS_WINDOW_MS)
        return 0;
    return REPAIRS_WINDOW_MS - (now_ms - oldest_ms);
}
