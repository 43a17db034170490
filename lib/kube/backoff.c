// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/backoff.h"

#include "lib/base/clock.h"

#define BASE_MS 800
#define MAX_MS 30000
#define HEALTH_MS (2 * 60 * 1000)

void backoff_healthy(struct backoff *backoff)
{
    if (backoff->healthy_since == 0)
        backoff->healthy_since = clock_monotonic_ms();
}

uint64_t backoff_next(struct backoff *backoff)
{
    uint64_t step = MAX_MS;

    if (backoff->healthy_since != 0 && clock_monotonic_ms() - backoff->healthy_since >= HEALTH_MS)
        backoff->failures = 0;
    backoff->healthy_since = 0;
    if (backoff->failures < 6 && (uint64_t) BASE_MS << backoff->failures < MAX_MS)
        step = (uint64_t) BASE_MS << backoff->failures;
    backoff->failures++;
    return clock_random_below(step) + 1;
}
