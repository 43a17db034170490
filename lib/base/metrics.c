// SPDX-License-Identifier: Apache-2.0
#include "lib/base/metrics.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/base/utf8.h"

#define DEFAULT_SERIES 1000
#define LABEL_VALUE_MAX 512

struct series {
    char *labels; /* `a="x",b="y"`, escaped */
    double value; /* histograms: the sum */
    uint64_t count;
    uint64_t buckets[]; /* not cumulative */
};

struct metric {
    const struct metric_spec *spec;
    size_t label_count;
    size_t max_series;
    struct map *series; /* by their labels */
};

struct metrics {
    struct metric *metrics;
    size_t count;
};

static void series_free(void *data)
{
    struct series *series = data;

    free(series->labels);
    free(series);
}

/* How many characters need no look at each of them: most values have no others. */
static size_t plain_prefix(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && text[i] >= ' ' && text[i] != '\\' && text[i] != '"')
        i++;
    return i;
}

/* Escapes as the exposition format demands, and only valid UTF-8 gets out. */
static void add_label_value(struct buf *out, const char *text)
{
    size_t len = strnlen(text, LABEL_VALUE_MAX + 1);

    if (len > LABEL_VALUE_MAX)
        len = utf8_cut(text, len, LABEL_VALUE_MAX);
    for (size_t i = 0; i < len;) {
        size_t step = plain_prefix(text + i, len - i);
        if (step > 0) {
            buf_add(out, text + i, step);
            i += step;
            continue;
        }
        step = utf8_sequence(text + i, len - i);
        if (text[i] == '\\' || text[i] == '"')
            buf_addf(out, "\\%c", text[i]);
        else if (text[i] == '\n')
            buf_add_string(out, "\\n");
        else if (step)
            buf_add(out, text + i, step);
        else
            buf_add_string(out, "\xef\xbf\xbd");
        i += step ? step : 1;
    }
}

/* The labels as they are printed, which is also the key: escaping makes it unambiguous. */
static char *format_labels(const struct metric *metric, const char *const *values)
{
    struct buf text = BUF_INIT(64 * 1024);

    for (size_t i = 0; i < metric->label_count; i++) {
        /* Counters of what comes by the thousand have labels: no printf(). */
        if (i > 0)
            buf_add_char(&text, ',');
        buf_add_string(&text, metric->spec->labels[i]);
        buf_add(&text, "=\"", 2);
        add_label_value(&text, values ? values[i] : "other");
        buf_add_char(&text, '"');
    }
    return buf_take(&text);
}

/* Whether one more series fits; "other" itself does not count. */
static bool metric_full(const struct metric *metric, const char *other)
{
    size_t size = map_size(metric->series);

    return size > metric->max_series ||
           (size == metric->max_series && !map_has(metric->series, other));
}

static struct series *metric_series(struct metric *metric, const char *const *values)
{
    assert(values || metric->label_count == 0);
    _cleanup_free_ char *key = format_labels(metric, values);
    struct series *series = map_get(metric->series, key);

    if (!series && map_size(metric->series) >= metric->max_series) {
        _cleanup_free_ char *other = format_labels(metric, NULL);
        if (metric_full(metric, other)) {
            free(key);
            key = TAKE_PTR(other);
            series = map_get(metric->series, key);
        }
    }
    if (!series) {
        series = xcalloc(1, sizeof(*series) + metric->spec->bucket_count * sizeof(uint64_t));
        series->labels = xstrdup(key);
        map_set(metric->series, key, series);
    }
    return series;
}

struct metrics *metrics_new(const struct metric_spec *specs, size_t count)
{
    struct metrics *metrics = xcalloc(1, sizeof(*metrics));

    metrics->metrics = xcalloc(count, sizeof(*metrics->metrics));
    metrics->count = count;
    for (size_t i = 0; i < count; i++) {
        struct metric *metric = &metrics->metrics[i];
        metric->spec = &specs[i];
        while (metric->label_count < METRIC_LABELS_MAX && specs[i].labels[metric->label_count])
            metric->label_count++;
        metric->max_series = specs[i].max_series ? specs[i].max_series : DEFAULT_SERIES;
        metric->series = map_new(series_free);
        /* What has no labels is there from the start, so that rates are right from the first
         * event. */
        if (metric->label_count == 0)
            metric_series(metric, NULL);
    }
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (size_t i = 0; i < metrics->count; i++)
        map_free(metrics->metrics[i].series);
    free(metrics->metrics);
    free(metrics);
}

static struct metric *metrics_at(const struct metrics *metrics, size_t metric)
{
    assert(metric < metrics->count);
    return &metrics->metrics[metric];
}

void metrics_add(struct metrics *metrics, size_t metric, double amount, const char *const *values)
{
    if (!metrics)
        return;
    assert(metrics_at(metrics, metric)->spec->type != METRIC_HISTOGRAM);
    metric_series(metrics_at(metrics, metric), values)->value += amount;
}

void metrics_set(struct metrics *metrics, size_t metric, double value, const char *const *values)
{
    if (!metrics)
        return;
    assert(metrics_at(metrics, metric)->spec->type != METRIC_HISTOGRAM);
    metric_series(metrics_at(metrics, metric), values)->value = value;
}

void metrics_observe(struct metrics *metrics, size_t metric, double value,
                     const char *const *values)
{
    if (!metrics)
        return;

    struct metric *m = metrics_at(metrics, metric);
    assert(m->spec->type == METRIC_HISTOGRAM);
    struct series *series = metric_series(m, values);
    series->value += value;
    series->count++;
    for (size_t i = 0; i < m->spec->bucket_count; i++)
        if (value <= m->spec->buckets[i]) {
            series->buckets[i]++;
            break;
        }
}

void metrics_remove(struct metrics *metrics, size_t metric, const char *const *values)
{
    if (!metrics)
        return;

    struct metric *m = metrics_at(metrics, metric);
    if (!values) {
        map_clear(m->series);
        return;
    }
    _cleanup_free_ char *key = format_labels(m, values);
    map_remove(m->series, key);
}

double metrics_value(const struct metrics *metrics, size_t metric, const char *const *values)
{
    if (!metrics)
        return 0;

    const struct metric *m = metrics_at(metrics, metric);
    _cleanup_free_ char *key = format_labels(m, values);
    const struct series *series = map_get(m->series, key);
    if (!series)
        return 0;
    return m->spec->type == METRIC_HISTOGRAM ? (double) series->count : series->value;
}

/* The shortest text that reads back as the same number. */
static void add_number(struct buf *out, double value)
{
    char text[40];

    if (isnan(value)) {
        buf_add_string(out, "NaN");
        return;
    }
    if (isinf(value)) {
        buf_add_string(out, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);
        double back = strtod(text, NULL);
        if (!(back < value) && !(back > value))
            break;
    }
    buf_add_string(out, text);
}

static void render_sample(struct buf *out, const char *name, const char *suffix, const char *labels,
                          double value)
{
    buf_addf(out, "%s%s", name, suffix);
    if (*labels)
        buf_addf(out, "{%s}", labels);
    buf_add_char(out, ' ');
    add_number(out, value);
    buf_add_char(out, '\n');
}

static void render_bucket(struct buf *out, const char *name, const char *labels, double bound,
                          uint64_t count)
{
    buf_addf(out, "%s_bucket{%s%sle=\"", name, labels, *labels ? "," : "");
    add_number(out, bound);
    buf_addf(out, "\"} %llu\n", (unsigned long long) count);
}

static void render_histogram(struct buf *out, const struct metric_spec *spec,
                             const struct series *series)
{
    uint64_t count = 0;

    for (size_t i = 0; i < spec->bucket_count; i++) {
        count += series->buckets[i];
        render_bucket(out, spec->name, series->labels, spec->buckets[i], count);
    }
    render_bucket(out, spec->name, series->labels, INFINITY, series->count);
    render_sample(out, spec->name, "_sum", series->labels, series->value);
    render_sample(out, spec->name, "_count", series->labels, (double) series->count);
}

static void render_help(struct buf *out, const struct metric_spec *spec)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };

    buf_addf(out, "# HELP %s ", spec->name);
    for (const char *c = spec->help; *c; c++) {
        if (*c == '\\')
            buf_add_string(out, "\\\\");
        else if (*c == '\n')
            buf_add_string(out, "\\n");
        else
            buf_add_char(out, *c);
    }
    buf_addf(out, "\n# TYPE %s %s\n", spec->name, types[spec->type]);
}

int metrics_render(const struct metrics *metrics, struct buf *out)
{
    for (size_t i = 0; metrics && i < metrics->count; i++) {
        const struct metric *metric = &metrics->metrics[i];
        void *value;

        if (map_size(metric->series) == 0)
            continue;
        render_help(out, metric->spec);
        for (size_t position = 0; map_next(metric->series, &position, NULL, &value);) {
            const struct series *series = value;
            if (metric->spec->type == METRIC_HISTOGRAM)
                render_histogram(out, metric->spec, series);
            else
                render_sample(out, metric->spec->name, "", series->labels, series->value);
        }
    }
    return out->overflow ? -EFBIG : 0;
}
