// SPDX-License-Identifier: Apache-2.0
#include "controller/violations.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

static int by_object(const void *a, const void *b)
{
    const struct violation *one = a, *other = b;

    return strcmp(one->object, other->object);
}

static uint64_t count_of(const cJSON *entry, const char *key)
{
    int64_t count = json_int(json_get(entry, key), 0);

    return count > 0 ? (uint64_t) count : 0;
}

static bool read_entry(struct violation *violation, const cJSON *entry)
{
    const char *object = json_string(entry, "object"), *revision = json_string(entry, "revision");
    const char *last = json_string(entry, "lastTime");

    if (!object || !revision || strlen(revision) >= sizeof(violation->revision) || !last ||
        clock_parse(last, &violation->last_ms) < 0)
        return false;
    memcpy(violation->revision, revision, strlen(revision) + 1);
    violation->denied = count_of(entry, "denied");
    violation->allowed = count_of(entry, "allowed");
    violation->object = xstrdup(object);
    return true;
}

void violations_init(struct violations *violations, const cJSON *list)
{
    const cJSON *entry;
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;

    *violations = (struct violations){0};
    if (count == 0)
        return;
    violations->items = xcalloc(VIOLATIONS_MAX, sizeof(*violations->items));
    cJSON_ArrayForEach(entry, list)
    {
        if (violations->len < VIOLATIONS_MAX &&
            read_entry(&violations->items[violations->len], entry))
            violations->len++;
    }
    qsort(violations->items, violations->len, sizeof(*violations->items), by_object);
    violations->items =
        xreallocarray(violations->items, violations->len + 1, sizeof(*violations->items));
}

void violations_done(struct violations *violations)
{
    for (size_t i = 0; i < violations->len; i++)
        free(violations->items[i].object);
    free(violations->items);
    *violations = (struct violations){0};
}

const struct violation *violations_find(const struct violations *violations, const char *object)
{
    const struct violation key = {.object = (char *) object};

    return violations->len == 0 ? NULL
                                : bsearch(&key, violations->items, violations->len,
                                          sizeof(*violations->items), by_object);
}

static bool says_the_same(const struct violation *a, const struct violation *b)
{
    return strcmp(a->revision, b->revision) == 0 && a->denied == b->denied &&
           a->allowed == b->allowed && a->last_ms == b->last_ms;
}

void violations_compare(const struct violations *a, const struct violations *b,
                        violations_differ_fn fn, void *userdata)
{
    size_t i = 0, j = 0;

    while (i < a->len || j < b->len) {
        const struct violation *one = i < a->len ? &a->items[i] : NULL;
        const struct violation *other = j < b->len ? &b->items[j] : NULL;
        int order = !one ? 1 : !other ? -1 : by_object(one, other);

        i += order <= 0;
        j += order >= 0;
        if (order != 0 || !says_the_same(one, other))
            fn(userdata, order <= 0 ? one->object : other->object);
    }
}
