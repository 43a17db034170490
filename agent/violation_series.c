// SPDX-License-Identifier: Apache-2.0
#include "agent/violation_series.h"

#include <string.h>

#include "agent/agent_metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/map.h"

/* Of all labels together; each is cut before that, by whoever reads records. */
#define KEY_MAX 8192
/* No value has control characters. */
#define SEPARATOR '\x01'

struct violation_series {
    struct metrics *metrics;
    struct map *used; /* of uint64_t, when last, by the labels' values */
    struct buf key;
    uint64_t looked_ms;
};

struct violation_series *violation_series_new(struct metrics *metrics)
{
    struct violation_series *series = xcalloc(1, sizeof(*series));

    series->metrics = metrics;
    series->used = map_new(free);
    series->key = BUF_INIT(KEY_MAX);
    return series;
}

void violation_series_free(struct violation_series *series)
{
    if (!series)
        return;
    map_free(series->used);
    buf_done(&series->key);
    free(series);
}

static const char *key_of(struct violation_series *series, const char *const *values)
{
    buf_reset(&series->key);
    for (size_t i = 0; i < VIOLATION_LABELS; i++) {
        buf_add_string(&series->key, values[i]);
        buf_add_char(&series->key, SEPARATOR);
    }
    return buf_string(&series->key);
}

static void remove_series(struct violation_series *series, const char *key)
{
    _cleanup_free_ char *text = xstrdup(key);
    const char *values[VIOLATION_LABELS];
    char *at = text;

    for (size_t i = 0; i < VIOLATION_LABELS; i++) {
        char *end = strchr(at, SEPARATOR);

        values[i] = at;
        *end = '\0';
        at = end + 1;
    }
    metrics_remove(series->metrics, METRIC_VIOLATIONS, values);
    map_remove(series->used, key);
}

static void make_room(struct violation_series *series, uint64_t now_ms)
{
    const char *key;
    size_t position = 0;
    void *value;

    if (series->looked_ms && now_ms - series->looked_ms < VIOLATION_LOOK_MS)
        return;
    series->looked_ms = now_ms;
    while (map_next(series->used, &position, &key, &value))
        if (now_ms - *(const uint64_t *) value > VIOLATION_IDLE_MS)
            remove_series(series, key);
}

void violation_series_add(struct violation_series *series,
                          const char *const values[static VIOLATION_LABELS])
{
    const char *key = key_of(series, values);
    uint64_t *used = series->key.overflow ? NULL : map_get(series->used, key);
    uint64_t now_ms = clock_monotonic_ms();

    if (!used && map_size(series->used) >= VIOLATION_SERIES_MAX)
        make_room(series, now_ms);
    if (!used && !series->key.overflow && map_size(series->used) < VIOLATION_SERIES_MAX) {
        used = xcalloc(1, sizeof(*used));
        map_set(series->used, key, used);
    }
    if (used)
        *used = now_ms;
    metrics_add(series->metrics, METRIC_VIOLATIONS, 1, values);
}
