// SPDX-License-Identifier: Apache-2.0
#include "agent/violation_series.h"

#include <criterion/criterion.h>

#include "agent/agent_metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

static uint64_t now_ms;

static uint64_t monotonic(_unused_ void *userdata)
{
    return now_ms;
}

static uint64_t random_of_test(_unused_ void *userdata)
{
    return 4;
}

static const struct clock_source stopped = {.monotonic_ms = monotonic, .random = random_of_test};
static struct metrics *metrics;
static struct violation_series *series;

static void begin(void)
{
    now_ms = 1000;
    clock_set_source(&stopped);
    metrics = metrics_new(agent_metric_specs, AGENT_METRICS);
    series = violation_series_new(metrics);
}

static void end(void)
{
    violation_series_free(series);
    metrics_free(metrics);
    clock_set_source(NULL);
}

TestSuite(violation_series, .init = begin, .fini = end);

static void add(const char *pod)
{
    violation_series_add(series, (const char *const[]){"web", "open", "denied", "ns", pod, "main"});
}

static void add_many(int from, int count)
{
    for (int i = from; i < from + count; i++) {
        _cleanup_free_ char *pod = xasprintf("pod-%d", i);

        add(pod);
    }
}

static double count_of(const char *pod)
{
    return metrics_value(metrics, METRIC_VIOLATIONS,
                         (const char *const[]){"web", "open", "denied", "ns", pod, "main"});
}

static double others(void)
{
    const char *other = "other";

    return metrics_value(metrics, METRIC_VIOLATIONS,
                         (const char *const[]){other, other, other, other, other, other});
}

Test(violation_series, what_finds_no_room_is_counted_all_the_same)
{
    add_many(0, VIOLATION_SERIES_MAX);
    add_many(0, 10);
    add("another");
    cr_expect_eq(count_of("pod-0"), 2);
    cr_expect_eq(count_of("another"), 0);
    cr_expect_eq(others(), 1);
}

Test(violation_series, those_that_stand_still_make_room)
{
    add_many(0, VIOLATION_SERIES_MAX);
    now_ms += VIOLATION_IDLE_MS;
    add_many(0, 10);
    add("too-early");
    cr_expect_eq(count_of("too-early"), 0);
    now_ms += VIOLATION_LOOK_MS;
    add("another");
    cr_expect_eq(count_of("another"), 1);
    cr_expect_eq(count_of("pod-0"), 2);
    cr_expect_eq(count_of("pod-10"), 0);
    add_many(5000, VIOLATION_SERIES_MAX - 11);
    cr_expect_eq(count_of("pod-5000"), 1);
    cr_expect_eq(others(), 1);
}
