// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/event_correlator.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/map.h"

/* The distinct messages of one object, type and reason. */
struct kind {
    char messages[EVENT_SIMILAR_MAX - 1][DIGEST_HEX_SIZE];
    unsigned count;
    uint64_t last; /* monotonic ms */
};

struct bucket {
    double tokens;
    uint64_t filled_at;
};

struct event_correlator {
    double burst;
    double refill_ms;
    struct map *kinds;
    struct map *buckets;
};

struct event_correlator *event_correlator_new(unsigned burst, uint64_t refill_ms)
{
    struct event_correlator *correlator = xcalloc(1, sizeof(*correlator));

    correlator->burst = burst;
    correlator->refill_ms = (double) refill_ms;
    correlator->kinds = map_new(free);
    correlator->buckets = map_new(free);
    return correlator;
}

void event_correlator_free(struct event_correlator *correlator)
{
    if (!correlator)
        return;
    map_free(correlator->kinds);
    map_free(correlator->buckets);
    free(correlator);
}

void event_memory_trim(struct map *memory, size_t max)
{
    while (map_size(memory) > max) {
        size_t position = 0;
        const char *key;
        void *value;

        if (!map_next(memory, &position, &key, &value))
            break;
        map_remove(memory, key);
    }
}

/* The entry of the key, made of zeroes when there is none, as the most recently used. */
static void *remember(struct map *memory, const char *key, size_t size, bool *ret_new)
{
    void *value = map_take(memory, key);

    *ret_new = !value;
    if (!value)
        value = xcalloc(1, size);
    map_set(memory, key, value);
    event_memory_trim(memory, EVENT_MEMORY_MAX);
    return value;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* With its NUL, so that neighbours cannot run into one another. */
static struct digest_part part(const char *text)
{
    const char *value = text ? text : "";

    return (struct digest_part){value, strlen(value) + 1};
}

static void make_keys(const struct kube_reference *about, enum kube_event_type type,
                      const char *reason, const char *message, struct event_key *ret,
                      char ret_kind[static DIGEST_HEX_SIZE])
{
    const struct digest_part parts[] = {
        part(about->api_version), part(about->kind),     part(about->ns), part(about->name),
        part(about->uid),         {&type, sizeof(type)}, part(reason),    part(message),
    };

    digest_hex(DIGEST_SHA256, parts, 5, ret->object);
    digest_hex(DIGEST_SHA256, parts, 7, ret_kind);
    digest_hex(DIGEST_SHA256, parts, 8, ret->series);
}

/* --- similar ones -------------------------------------------------------------------------------
 */

static bool has_message(const struct kind *kind, const char *message)
{
    for (unsigned i = 0; i < kind->count; i++)
        if (strcmp(kind->messages[i], message) == 0)
            return true;
    return false;
}

void event_correlate(struct event_correlator *correlator, const struct kube_reference *about,
                     enum kube_event_type type, const char *reason, const char *message,
                     struct event_key *ret)
{
    uint64_t now = clock_monotonic_ms();
    char key[DIGEST_HEX_SIZE];
    struct kind *kind;
    bool new;

    make_keys(about, type, reason, message, ret, key);
    kind = remember(correlator->kinds, key, sizeof(*kind), &new);
    if (!new &&now - kind->last > EVENT_WINDOW_MS)
        kind->count = 0;
    kind->last = now;
    /* From the tenth distinct message on, all but the nine that have their
     * Event already are combined. */
    if (!has_message(kind, ret->series) && kind->count < ARRAY_SIZE(kind->messages))
        memcpy(kind->messages[kind->count++], ret->series, DIGEST_HEX_SIZE);
    ret->combined = !has_message(kind, ret->series);
    if (ret->combined)
        memcpy(ret->series, key, sizeof(ret->series));
}

/* --- the limit
 * ------------------------------------------------------------------------------------
 */

bool event_correlator_allow(struct event_correlator *correlator, const char *object)
{
    uint64_t now = clock_monotonic_ms();
    struct bucket *bucket;
    bool new;

    bucket = remember(correlator->buckets, object, sizeof(*bucket), &new);
    if (new)
        bucket->tokens = correlator->burst;
    else
        bucket->tokens += (double) (now - bucket->filled_at) / correlator->refill_ms;
    if (bucket->tokens > correlator->burst)
        bucket->tokens = correlator->burst;
    bucket->filled_at = now;
    if (bucket->tokens < 1)
        return false;
    bucket->tokens -= 1;
    return true;
}
