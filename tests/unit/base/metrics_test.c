// SPDX-License-Identifier: Apache-2.0
#include "lib/base/metrics.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double buckets[] = {0.1, 1, 2.5};

enum { LOADED, REQUESTS, DURATION, BUILD };

static const struct metric_spec specs[] = {
    {"app_loaded", "Profiles.\nSecond line.", METRIC_GAUGE, {"profile", "mode"}, 3, NULL, 0},
    {"app_requests_total", "Requests.", METRIC_COUNTER, {"code"}, 0, NULL, 0},
    {"app_duration_seconds", "Time.", METRIC_HISTOGRAM, {"verb"}, 0, buckets, 3},
    {"app_up", "Always there.", METRIC_GAUGE, {NULL}, 0, NULL, 0},
};

#define V(...) ((const char *const[]){__VA_ARGS__})

static void assert_rendered(const struct metrics *metrics, const char *expected)
{
    _cleanup_buf_ struct buf out = BUF_INIT(65536);

    cr_assert_eq(metrics_render(metrics, &out), 0);
    cr_assert_str_eq(buf_string(&out), expected);
}

Test(metrics, are_rendered_in_the_order_of_the_table)
{
    _cleanup_(metrics_freep) struct metrics *metrics = metrics_new(specs, ARRAY_SIZE(specs));

    metrics_add(metrics, REQUESTS, 2, V("200"));
    metrics_add(metrics, REQUESTS, 1, V("200"));
    metrics_set(metrics, LOADED, 1, V("p", "Enforce"));
    metrics_set(metrics, BUILD, 0.1, NULL);
    assert_rendered(metrics, "# HELP app_loaded Profiles.\\nSecond line.\n"
                             "# TYPE app_loaded gauge\n"
                             "app_loaded{profile=\"p\",mode=\"Enforce\"} 1\n"
                             "# HELP app_requests_total Requests.\n"
                             "# TYPE app_requests_total counter\n"
                             "app_requests_total{code=\"200\"} 3\n"
                             "# HELP app_up Always there.\n"
                             "# TYPE app_up gauge\n"
                             "app_up 0.1\n");
}

Test(metrics, histograms_are_cumulative)
{
    _cleanup_(metrics_freep) struct metrics *metrics = metrics_new(specs + DURATION, 1);

    metrics_observe(metrics, 0, 0.1, V("GET"));
    metrics_observe(metrics, 0, 0.5, V("GET"));
    metrics_observe(metrics, 0, 99, V("GET"));
    cr_assert_eq((int) metrics_value(metrics, 0, V("GET")), 3);
    assert_rendered(metrics, "# HELP app_duration_seconds Time.\n"
                             "# TYPE app_duration_seconds histogram\n"
                             "app_duration_seconds_bucket{verb=\"GET\",le=\"0.1\"} 1\n"
                             "app_duration_seconds_bucket{verb=\"GET\",le=\"1\"} 2\n"
                             "app_duration_seconds_bucket{verb=\"GET\",le=\"2.5\"} 2\n"
                             "app_duration_seconds_bucket{verb=\"GET\",le=\"+Inf\"} 3\n"
                             "app_duration_seconds_sum{verb=\"GET\"} 99.6\n"
                             "app_duration_seconds_count{verb=\"GET\"} 3\n");
}

Test(metrics, past_the_ceiling_values_become_other)
{
    _cleanup_(metrics_freep) struct metrics *metrics = metrics_new(specs, ARRAY_SIZE(specs));
    char name[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        metrics_add(metrics, LOADED, 1, V(name, "Kill"));
    }
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("p2", "Kill")), 1);
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("p3", "Kill")), 0);
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("other", "other")), 997);
    /* Known ones go on by themselves, and a free place is used again. */
    metrics_add(metrics, LOADED, 1, V("p2", "Kill"));
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("p2", "Kill")), 2);
    metrics_remove(metrics, LOADED, V("p0", "Kill"));
    metrics_add(metrics, LOADED, 1, V("new", "Kill"));
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("new", "Kill")), 1);
    metrics_add(metrics, LOADED, 1, V("newer", "Kill"));
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("newer", "Kill")), 0);
    metrics_remove(metrics, LOADED, NULL);
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("p2", "Kill")), 0);
}

Test(metrics, label_values_cannot_break_the_format)
{
    _cleanup_(metrics_freep) struct metrics *metrics = metrics_new(specs, 1);
    _cleanup_buf_ struct buf out = BUF_INIT(65536);
    char huge[5000];

    memset(huge, 'x', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    metrics_set(metrics, LOADED, 1, V("a\"} 5\nx{\\", "\xff"));
    metrics_set(metrics, LOADED, 2, V(huge, ""));
    cr_assert_eq(metrics_render(metrics, &out), 0);
    cr_assert_not_null(strstr(buf_string(&out),
                              "{profile=\"a\\\"} 5\\nx{\\\\\",mode=\"\xef\xbf\xbd\"} 1\n"),
                       "%s", buf_string(&out));
    cr_assert_lt(out.len, 1000);
}

/* Two combinations whose concatenations agree are two series. */
Test(metrics, label_values_are_kept_apart)
{
    _cleanup_(metrics_freep) struct metrics *metrics = metrics_new(specs, 1);

    metrics_set(metrics, LOADED, 1, V("a\",mode=\"b", "c"));
    metrics_set(metrics, LOADED, 2, V("a", "b\",mode=\"c"));
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("a\",mode=\"b", "c")), 1);
    cr_assert_eq((int) metrics_value(metrics, LOADED, V("a", "b\",mode=\"c")), 2);
}

Test(metrics, numbers_read_back_as_they_were)
{
    static const double values[] = {0.1 + 0.2, 1e21, 123456789012, -0.5, 1.0 / 3};
    _cleanup_(metrics_freep) struct metrics *metrics = metrics_new(specs + BUILD, 1);

    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(1000);
        metrics_set(metrics, 0, values[i], NULL);
        cr_assert_eq(metrics_render(metrics, &out), 0);
        double back = strtod(strstr(buf_string(&out), "\napp_up ") + 8, NULL);
        cr_assert(memcmp(&back, &values[i], sizeof(back)) == 0, "%s", buf_string(&out));
    }
    metrics_set(metrics, 0, NAN, NULL);
    assert_rendered(metrics, "# HELP app_up Always there.\n# TYPE app_up gauge\napp_up NaN\n");
}

Test(metrics, says_when_the_page_is_too_large)
{
    _cleanup_(metrics_freep) struct metrics *metrics = metrics_new(specs + BUILD, 1);
    _cleanup_buf_ struct buf out = BUF_INIT(20);

    cr_assert_eq(metrics_render(metrics, &out), -EFBIG);
}

Test(metrics, without_a_registry_nothing_happens)
{
    _cleanup_buf_ struct buf out = BUF_INIT(20);

    metrics_add(NULL, 0, 1, NULL);
    metrics_set(NULL, 0, 1, NULL);
    metrics_observe(NULL, 0, 1, NULL);
    metrics_remove(NULL, 0, NULL);
    cr_assert_eq((int) metrics_value(NULL, 0, NULL), 0);
    cr_assert_eq(metrics_render(NULL, &out), 0);
}
