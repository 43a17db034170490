// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/backoff.h"

#include <criterion/criterion.h>

#include "lib/base/clock.h"

static uint64_t now_ms = 1000, bits;

static uint64_t monotonic(void *userdata)
{
    (void) userdata;
    return now_ms;
}

static uint64_t random_bits(void *userdata)
{
    (void) userdata;
    return bits;
}

static void set_clock(void)
{
    static const struct clock_source source = {.monotonic_ms = monotonic, .random = random_bits};

    clock_set_source(&source);
}

TestSuite(backoff, .init = set_clock);

/* The longest wait of the step: what the largest draw gives. */
static uint64_t longest(struct backoff *backoff)
{
    bits = UINT64_MAX;
    return backoff_next(backoff);
}

Test(backoff, steps_double_from_800_ms_up_to_30_s)
{
    static const uint64_t expected[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000};
    struct backoff backoff = {0};

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        cr_assert_eq(longest(&backoff), expected[i], "step %zu", i);
}

Test(backoff, jitter_is_full)
{
    struct backoff backoff = {0};

    for (unsigned i = 0; i < 100; i++) {
        bits = 0;
        cr_assert_eq(backoff_next(&backoff), 1);
    }
}

Test(backoff, two_minutes_of_health_start_it_again_and_less_does_not)
{
    struct backoff backoff = {0};

    for (unsigned i = 0; i < 4; i++)
        longest(&backoff);
    backoff_healthy(&backoff);
    now_ms += 119999;
    backoff_healthy(&backoff); /* it was healthy before */
    cr_assert_eq(longest(&backoff), 12800);
    now_ms += 3600000;
    cr_assert_eq(longest(&backoff), 25600, "time alone is no health");
    backoff_healthy(&backoff);
    now_ms += 120000;
    cr_assert_eq(longest(&backoff), 800);
}
