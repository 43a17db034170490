// SPDX-License-Identifier: Apache-2.0
#include "agent/pacer.h"

#include <criterion/criterion.h>

/* Plays `count` changes, one each `gap_ms`, of which each takes `pace_ms` and the last ends the
 * burst; returns the number of flushes. */
static unsigned play(struct pacer *pacer, uint64_t *now_ms, unsigned count, uint64_t gap_ms,
                     uint64_t pace_ms)
{
    unsigned flushes = 0;

    for (uint64_t i = 1; i <= count; i++) {
        uint64_t busy_ms = i < count ? pace_ms : 0, end_ms = *now_ms + gap_ms;

        pacer_changed(pacer, *now_ms);
        for (; *now_ms < end_ms; (*now_ms)++) {
            if (*now_ms < pacer_due(pacer, busy_ms))
                continue;
            pacer_flushed(pacer, *now_ms, busy_ms);
            flushes++;
        }
    }
    while (pacer->since_ms) {
        *now_ms = pacer_due(pacer, 0);
        pacer_flushed(pacer, *now_ms, 0);
        flushes++;
    }
    return flushes;
}

Test(pacer, a_change_alone_is_published_at_once)
{
    struct pacer pacer = {0};

    cr_assert_eq(pacer_due(&pacer, 0), UINT64_MAX);
    pacer_changed(&pacer, 1000);
    cr_assert_leq(pacer_due(&pacer, 0), 1100);
    cr_assert_leq(pacer_due(&pacer, 400), 1800, "though others are under way");
    pacer_flushed(&pacer, 1060, 0);
    cr_assert_eq(pacer_due(&pacer, 0), UINT64_MAX);
}

Test(pacer, is_never_faster_than_five_a_second)
{
    struct pacer pacer = {0};

    pacer_changed(&pacer, 1000);
    pacer_flushed(&pacer, 1060, 0);
    pacer_changed(&pacer, 1070);
    cr_assert_eq(pacer_due(&pacer, 0), 1260);
}

Test(pacer, one_after_another_are_published_one_after_another)
{
    struct pacer pacer = {0};
    uint64_t now_ms = 1000;

    cr_assert_eq(play(&pacer, &now_ms, 10, 400, 0), 10);
}

Test(pacer, a_burst_costs_few)
{
    struct pacer fast = {0}, slow = {0};
    uint64_t now_ms = 1000;

    /* A hundred at 25 ms each, and at 400 ms each. */
    cr_assert_leq(play(&fast, &now_ms, 100, 25, 25), 3);
    cr_assert_leq(play(&slow, &now_ms, 100, 400, 400), 3);
}

Test(pacer, a_burst_that_halts_is_published_where_it_is)
{
    struct pacer pacer = {0};

    for (uint64_t now = 1000; now < 2500; now += 100)
        pacer_changed(&pacer, now);
    /* The next one takes for ever. */
    cr_assert_leq(pacer_due(&pacer, 100), 2700);
    cr_assert_leq(pacer_due(&pacer, 60000), 5500);
}

Test(pacer, after_a_burst_all_is_as_before)
{
    struct pacer pacer = {0};
    uint64_t now_ms = 1000;

    play(&pacer, &now_ms, 100, 400, 400);
    now_ms += 1000;
    pacer_changed(&pacer, now_ms);
    cr_assert_leq(pacer_due(&pacer, 0), now_ms + 100);
    cr_assert_eq(play(&pacer, &now_ms, 3, 400, 0), 3);
}
