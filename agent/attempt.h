// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/clock.h"

#define ATTEMPT_RETRY_MIN_MS 1000
#define ATTEMPT_RETRY_MAX_MS 30000

/* When something that has failed may be tried again. Zeroed: at once. */
struct attempt {
    uint64_t delay_ms; /* after the next failure; 0: the last try has not failed */
    uint64_t not_before_ms;
};

static inline void attempt_failed(struct attempt *attempt)
{
    uint64_t ms = attempt->delay_ms ? attempt->delay_ms : ATTEMPT_RETRY_MIN_MS;

    attempt->not_before_ms = clock_monotonic_ms() + ms;
    attempt->delay_ms = ms * 2 > ATTEMPT_RETRY_MAX_MS ? ATTEMPT_RETRY_MAX_MS : ms * 2;
}

static inline void attempt_succeeded(struct attempt *attempt)
{
    *attempt = (struct attempt){0};
}

static inline uint64_t attempt_wait_ms(const struct attempt *attempt)
{
    uint64_t now_ms = clock_monotonic_ms();

    return attempt->not_before_ms > now_ms ? attempt->not_before_ms - now_ms : 0;
}

static inline bool attempt_is_due(const struct attempt *attempt)
{
    return clock_monotonic_ms() >= attempt->not_before_ms;
}
