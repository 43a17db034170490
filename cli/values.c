// SPDX-License-Identifier: Apache-2.0
#include "cli/values.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

#define TEXT_MAX (256 * 1024)

const char *value_or_empty(const char *text)
{
    return text ? text : "";
}

const cJSON *value_condition(const cJSON *object, const char *type)
{
    const cJSON *condition;

    cJSON_ArrayForEach(condition, json_get(object, "status",
                                           "conditions")) if (strcmp(value_text(condition, "type"),
                                                                     type) == 0) return condition;
    return NULL;
}

char *value_age(const char *time, int64_t now_ms)
{
    static const struct {
        int64_t seconds, below; /* used up to this many of them */
        char unit;
    } units[] = {{1, 120, 's'}, {60, 180, 'm'}, {3600, 48, 'h'}, {86400, INT64_MAX, 'd'}};
    int64_t then_ms, seconds;
    size_t i = 0;

    if (!time || !*time || clock_parse(time, &then_ms) < 0)
        return xstrdup("");
    seconds = now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0;
    while (seconds / units[i].seconds >= units[i].below)
        i++;
    return xasprintf("%lld%c", (long long) (seconds / units[i].seconds), units[i].unit);
}

char *value_join(const cJSON *strings)
{
    _cleanup_strv_ struct strv list = {0};
    const cJSON *item;

    cJSON_ArrayForEach(item, strings)
    {
        if (cJSON_IsString(item))
            strv_add(&list, item->valuestring);
    }
    return strv_join(&list, ", ");
}

char *value_some(const struct strv *names, size_t max)
{
    struct buf out = BUF_INIT(TEXT_MAX);
    size_t shown = names->len <= max ? names->len : max, left = names->len - shown;

    for (size_t i = 0; i < shown; i++) {
        const char *joint = i == 0 ? "" : i + 1 == shown && left == 0 ? " and " : ", ";
        buf_addf(&out, "%s%s", joint, names->items[i]);
    }
    if (left > 0)
        buf_addf(&out, " and %zu other%s", left, left == 1 ? "" : "s");
    return buf_take(&out);
}
