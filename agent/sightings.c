// SPDX-License-Identifier: Apache-2.0
#include "agent/sightings.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

void sightings_done(struct sightings *sightings)
{
    free(sightings->items);
    *sightings = (struct sightings){0};
}

static bool is_of(const struct sightings *sightings, const char *revision)
{
    return *revision && strcmp(sightings->revision, revision) == 0;
}

static void begin(struct sightings *sightings, const char *revision)
{
    sightings_done(sightings);
    memcpy(sightings->revision, revision, strnlen(revision, sizeof(sightings->revision) - 1));
}

void sightings_adopt(struct sightings *sightings, const char *revision, uint64_t count)
{
    if (!is_of(sightings, revision))
        begin(sightings, revision);
    sightings->told = count;
}

static int by_pid(const void *a, const void *b)
{
    pid_t one = *(const pid_t *) a, other = *(const pid_t *) b;

    return one < other ? -1 : one > other;
}

static bool is_alive(const struct sightings_look *look, pid_t pid)
{
    return look->alive_count > 0 &&
           bsearch(&pid, look->alive, look->alive_count, sizeof(*look->alive), by_pid);
}

static bool is_same(const struct sighting *a, const struct sighting *b)
{
    return a->pid == b->pid && a->start == b->start;
}

/* Of two of one number the older has ended. */
static bool is_first(const struct sighting *a, const struct sighting *b)
{
    return a->pid < b->pid || (a->pid == b->pid && a->start < b->start);
}

static void count_new(struct sightings *sightings, const struct sighting *seen, uint64_t since)
{
    if (seen->start < since)
        sightings->older++;
    else
        sightings->newer++;
}

/* What is gone from the profile but not from the node may come back. */
void sightings_add(struct sightings *sightings, const char *revision,
                   const struct sightings_look *look)
{
    struct sighting *kept;
    size_t i = 0, j = 0, len = 0;

    if (!is_of(sightings, revision))
        begin(sightings, revision);
    kept = xcalloc(sightings->len + look->seen_count + 1, sizeof(*kept));
    while (i < sightings->len || j < look->seen_count) {
        const struct sighting *old = i < sightings->len ? &sightings->items[i] : NULL;
        const struct sighting *seen = j < look->seen_count ? &look->seen[j] : NULL;

        if (old && seen && is_same(old, seen)) {
            kept[len++] = *seen;
            i++;
            j++;
        } else if (!seen || (old && is_first(old, seen))) {
            if (is_alive(look, old->pid) && !(seen && seen->pid == old->pid))
                kept[len++] = *old;
            i++;
        } else {
            count_new(sightings, seen, look->since);
            kept[len++] = *seen;
            j++;
        }
    }
    free(sightings->items);
    sightings->items = xreallocarray(kept, len + 1, sizeof(*kept));
    sightings->len = len;
}

/* Of what is older the agent before this one may have counted any. */
uint64_t sightings_count(const struct sightings *sightings, const char *revision)
{
    uint64_t older = sightings->older;

    if (!is_of(sightings, revision))
        return 0;
    return (sightings->told > older ? sightings->told : older) + sightings->newer;
}
