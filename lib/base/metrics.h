// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"

/*
 * Prometheus metrics (text exposition format 0.0.4). Each program declares its
 * metrics in one table; the table also makes the reference page. Every metric
 * has a ceiling of series: past it, a new combination of label values is
 * counted under the series whose values are all "other".
 */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_LABELS_MAX 8

struct metric_spec {
    const char *name;
    const char *help;
    enum metric_type type;
    const char *labels[METRIC_LABELS_MAX]; /* NULL-terminated when shorter */
    size_t max_series;                     /* 0: 1000 */
    const double *buckets;                 /* histograms: ascending, without +Inf */
    size_t bucket_count;
};

struct metrics;

/* The specs must outlive the registry; a metric is named by its index in the
 * table. */
struct metrics *metrics_new(const struct metric_spec *specs, size_t count);
void metrics_free(struct metrics *metrics);
DEFINE_CLEANUP(struct metrics *, metrics_free)

/* `values`: one string per label of the spec (NULL array when it has none).
 * NULL registry: no-op. */
void metrics_add(struct metrics *metrics, size_t metric, double amount, const char *const *values);
void metrics_set(struct metrics *metrics, size_t metric, double value, const char *const *values);
void metrics_observe(struct metrics *metrics, size_t metric, double value,
                     const char *const *values);
/* Forgets one series, or with NULL all series of the metric. */
void metrics_remove(struct metrics *metrics, size_t metric, const char *const *values);
/* 0 when the series does not exist; histograms give their count. */
double metrics_value(const struct metrics *metrics, size_t metric, const char *const *values);

int metrics_render(const struct metrics *metrics, struct buf *out);
