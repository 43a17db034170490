// SPDX-License-Identifier: Apache-2.0
#include "lib/base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <time.h>

#include "lib/base/cleanup.h"

static void assert_parses(const char *text, int64_t expected)
{
    int64_t ms = -1;

    cr_assert_eq(clock_parse(text, &ms), 0, "%s", text);
    cr_assert_eq(ms, expected, "%s: %lld", text, (long long) ms);
}

Test(clock, reads_rfc3339)
{
    assert_parses("1970-01-01T00:00:00Z", 0);
    assert_parses("2026-02-28T23:59:59Z", INT64_C(1772323199000));
    assert_parses("2024-02-29T12:00:00.5Z", INT64_C(1709208000500));
    assert_parses("2024-02-29T12:00:00.123456789Z", INT64_C(1709208000123));
    assert_parses("2024-02-29T14:00:00+02:00", INT64_C(1709208000000));
    assert_parses("2024-02-29T06:30:00-05:30", INT64_C(1709208000000));
    assert_parses("1969-12-31T23:59:59.999Z", -1);
    assert_parses("2000-12-31T00:00:00z", INT64_C(978220800000));
}

Test(clock, refuses_anything_else)
{
    static const char *const bad[] = {
        "",
        "x",
        "2024-02-29",
        "2024-02-29T12:00:00",
        "2024-02-29 12:00:00Z",
        "2023-02-29T12:00:00Z",
        "2100-02-29T12:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00Zx",
        "2024-01-01T00:00:00+2:00",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+00:60",
        "+024-01-01T00:00:00Z",
        "2024-01-01T00:00:00,5Z",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int64_t ms = 42;
        cr_assert_eq(clock_parse(bad[i], &ms), -EINVAL, "%s", bad[i]);
        cr_assert_eq(ms, 42);
    }
    cr_assert_eq(clock_parse(NULL, NULL), -EINVAL);
}

Test(clock, writes_what_it_reads_over_all_days)
{
    char text[CLOCK_TIME_SIZE];

    for (int64_t ms = INT64_C(-62167219200000); ms < INT64_C(253402300800000);
         ms += INT64_C(86400000) * 13 + 1234000) {
        int64_t back;
        clock_format(ms, text);
        cr_assert_eq(clock_parse(text, &back), 0, "%s", text);
        cr_assert_eq(back, ms, "%s", text);
    }
}

Test(clock, agrees_with_the_c_library)
{
    for (int64_t seconds = 0; seconds < INT64_C(4102444800); seconds += 98765) {
        char text[CLOCK_TIME_SIZE];
        time_t time = (time_t) seconds;
        struct tm tm;
        int64_t ms;
        gmtime_r(&time, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        cr_assert_eq(clock_parse(text, &ms), 0);
        cr_assert_eq(ms, seconds * 1000, "%s", text);
    }
}

Test(clock, clamps_what_has_no_four_digit_year)
{
    char text[CLOCK_TIME_SIZE];

    cr_assert_str_eq(clock_format(INT64_MAX, text), "9999-12-31T23:59:59Z");
    cr_assert_str_eq(clock_format(INT64_MIN, text), "0000-01-01T00:00:00Z");
    cr_assert_str_eq(clock_format(-1, text), "1969-12-31T23:59:59Z");
}

static uint64_t fake_monotonic(void *userdata)
{
    return *(uint64_t *) userdata;
}

static int64_t fake_realtime(void *userdata)
{
    return (int64_t) * (uint64_t *) userdata + 5;
}

static uint64_t fake_random(void *userdata _unused_)
{
    return UINT64_MAX;
}

Test(clock, can_be_set)
{
    uint64_t now = 1000;
    const struct clock_source source = {fake_monotonic, fake_realtime, fake_random, &now};

    clock_set_source(&source);
    cr_assert_eq(clock_monotonic_ms(), 1000);
    cr_assert_eq(clock_realtime_ms(), 1005);
    cr_assert_eq(clock_random_below(10), 9);
    cr_assert_eq(clock_random_below(0), 0);
    clock_set_source(NULL);
    cr_assert_gt(clock_realtime_ms(), INT64_C(1600000000000));
    cr_assert_neq(clock_random(), clock_random());
}

Test(clock, random_numbers_cover_their_range)
{
    unsigned seen[7] = {0};

    for (int i = 0; i < 7000; i++) {
        uint64_t value = clock_random_below(7);
        cr_assert_lt(value, 7);
        seen[value]++;
    }
    for (size_t i = 0; i < 7; i++)
        cr_assert_gt(seen[i], 700);
}
