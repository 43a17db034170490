// SPDX-License-Identifier: Apache-2.0
#include "controller/liveness.h"

#include <assert.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"

struct liveness {
    uint64_t lost_after_ms;
    bool pods_seen;
    uint64_t pods_seen_ms; /* when the first was */
    struct map *places;    /* of struct place, by the node's name */
};

/* Where a Node, pods of the agent's, or both are. */
struct place {
    bool exists, ready; /* the Node */
    unsigned pods, ready_pods;
    uint64_t unready_ms; /* since when the Node is not Ready */
    uint64_t podless_ms; /* since when none of the pods is */
};

struct liveness *liveness_new(uint64_t lost_after_ms)
{
    struct liveness *liveness = xcalloc(1, sizeof(*liveness));

    liveness->lost_after_ms = lost_after_ms;
    liveness->places = map_new(free);
    return liveness;
}

void liveness_free(struct liveness *liveness)
{
    if (!liveness)
        return;
    map_free(liveness->places);
    free(liveness);
}

static struct place *place_get(struct liveness *liveness, const char *node, uint64_t now_ms)
{
    struct place *place = map_get(liveness->places, node);

    if (!place) {
        place = xcalloc(1, sizeof(*place));
        place->unready_ms = place->podless_ms = now_ms;
        map_set(liveness->places, node, place);
    }
    return place;
}

static void place_drop(struct liveness *liveness, const char *node, const struct place *place)
{
    if (!place->exists && place->pods == 0)
        map_remove(liveness->places, node);
}

void liveness_set_node(struct liveness *liveness, const char *node, bool ready, uint64_t now_ms)
{
    struct place *place = place_get(liveness, node, now_ms);

    if (!ready && (place->ready || !place->exists))
        place->unready_ms = now_ms;
    place->exists = true;
    place->ready = ready;
}

void liveness_remove_node(struct liveness *liveness, const char *node)
{
    struct place *place = map_get(liveness->places, node);

    if (!place)
        return;
    place->exists = place->ready = false;
    place_drop(liveness, node, place);
}

void liveness_add_pod(struct liveness *liveness, const char *node, bool ready, uint64_t now_ms)
{
    struct place *place = place_get(liveness, node, now_ms);

    if (!liveness->pods_seen)
        liveness->pods_seen_ms = now_ms;
    liveness->pods_seen = true;
    place->pods++;
    place->ready_pods += ready;
}

void liveness_remove_pod(struct liveness *liveness, const char *node, bool ready, uint64_t now_ms)
{
    struct place *place = map_get(liveness->places, node);

    assert(place && place->pods > 0 && place->ready_pods >= ready);
    place->pods--;
    place->ready_pods -= ready;
    if (ready && place->ready_pods == 0)
        place->podless_ms = now_ms;
    place_drop(liveness, node, place);
}

/* Since when the Node, or all of the agent's pods on it, are not Ready; UINT64_MAX: they are. */
static uint64_t away_since(const struct liveness *liveness, const struct place *place)
{
    uint64_t since_ms = place->ready ? UINT64_MAX : place->unready_ms, podless_ms;

    if (!liveness->pods_seen || place->ready_pods > 0)
        return since_ms;
    podless_ms =
        place->podless_ms > liveness->pods_seen_ms ? place->podless_ms : liveness->pods_seen_ms;
    return podless_ms < since_ms ? podless_ms : since_ms;
}

bool liveness_lost(const struct liveness *liveness, const char *node, uint64_t now_ms,
                   uint64_t *ret_lost_ms)
{
    const struct place *place = map_get(liveness->places, node);
    uint64_t since_ms;

    if (!place || !place->exists)
        return true;
    since_ms = away_since(liveness, place);
    if (since_ms == UINT64_MAX) {
        *ret_lost_ms = UINT64_MAX;
        return false;
    }
    if (now_ms - since_ms >= liveness->lost_after_ms)
        return true;
    *ret_lost_ms = since_ms + liveness->lost_after_ms;
    return false;
}

uint64_t liveness_away_ms(const struct liveness *liveness, const char *node, uint64_t now_ms)
{
    const struct place *place = map_get(liveness->places, node);
    uint64_t since_ms;

    if (!place || !place->exists)
        return UINT64_MAX;
    since_ms = away_since(liveness, place);
    return since_ms == UINT64_MAX ? 0 : now_ms - since_ms;
}
