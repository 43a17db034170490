// SPDX-License-Identifier: Apache-2.0
#include "controller/verdicts.h"

#include <stdint.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"

struct entry {
    struct verdict *verdict;
    uint64_t used; /* of the clock below */
};

struct verdicts {
    struct map *entries;
    size_t max;
    uint64_t clock; /* counts questions */
};

static void entry_free(void *value)
{
    struct entry *entry = value;

    verdict_free(entry->verdict);
    free(entry);
}

struct verdicts *verdicts_new(size_t max)
{
    struct verdicts *verdicts = xcalloc(1, sizeof(*verdicts));

    verdicts->entries = map_new(entry_free);
    verdicts->max = max;
    return verdicts;
}

void verdicts_free(struct verdicts *verdicts)
{
    if (!verdicts)
        return;
    map_free(verdicts->entries);
    free(verdicts);
}

const struct verdict *verdicts_get(struct verdicts *verdicts, const char *key)
{
    struct entry *entry = map_get(verdicts->entries, key);

    if (!entry)
        return NULL;
    entry->used = ++verdicts->clock;
    return entry->verdict;
}

static void make_room(struct verdicts *verdicts)
{
    const char *key, *oldest_key = NULL;
    uint64_t oldest = UINT64_MAX;
    size_t position = 0;
    void *value;

    while (map_next(verdicts->entries, &position, &key, &value)) {
        const struct entry *entry = value;

        if (entry->used < oldest) {
            oldest = entry->used;
            oldest_key = key;
        }
    }
    if (oldest_key) {
        _cleanup_free_ char *copy = xstrdup(oldest_key);

        map_remove(verdicts->entries, copy);
    }
}

void verdicts_put(struct verdicts *verdicts, const char *key, struct verdict *verdict)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    if (!map_has(verdicts->entries, key) && map_size(verdicts->entries) >= verdicts->max)
        make_room(verdicts);
    entry->verdict = verdict;
    entry->used = ++verdicts->clock;
    map_set(verdicts->entries, key, entry);
}

void verdicts_remove(struct verdicts *verdicts, const char *key)
{
    map_remove(verdicts->entries, key);
}
