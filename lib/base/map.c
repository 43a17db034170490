// SPDX-License-Identifier: Apache-2.0
#include "lib/base/map.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

/*
 * Entries lie in order of insertion; `slots` is an open-addressed table of indices into them. A
 * removed entry stays as a hole until the map grows, so that positions of an iteration hold.
 */
struct map_entry {
    uint64_t hash;
    char *key; /* NULL: a hole */
    void *value;
};

#define SLOT_FREE 0
#define SLOT_GONE UINT32_MAX /* others are 1 + an entry's index */

struct map {
    map_free_fn free_value;
    struct map_entry *entries;
    size_t used;     /* entries, holes included */
    size_t capacity; /* of entries; the table has twice as many slots */
    size_t first;    /* no entry before it */
    size_t size;
    uint32_t *slots;
    size_t mask;
};

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[static 4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static const uint64_t *map_seed(void)
{
    static uint64_t seed[2];
    static bool seeded;

    if (!seeded) {
        seed[0] = clock_random();
        seed[1] = clock_random();
        seeded = true;
    }
    return seed;
}

/* SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"). */
static uint64_t map_hash(const char *key)
{
    const uint64_t *seed = map_seed();
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
                     seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
    size_t len = strlen(key), i = 0;

    for (; len - i >= 8; i += 8) {
        uint64_t word;
        memcpy(&word, key + i, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }

    uint64_t last = (uint64_t) len << 56;
    memcpy(&last, key + i, len - i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int round = 0; round < 3; round++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(map_free_fn free_value)
{
    struct map *map = xcalloc(1, sizeof(*map));

    map->free_value = free_value;
    return map;
}

static void map_release(const struct map *map, void *value)
{
    if (map->free_value && value)
        map->free_value(value);
}

void map_free(struct map *map)
{
    if (!map)
        return;
    map_clear(map);
    free(map->entries);
    free(map->slots);
    free(map);
}

size_t map_size(const struct map *map)
{
    return map ? map->size : 0;
}

/* The slot that holds `key`, or NULL. */
static uint32_t *map_slot(const struct map *map, const char *key, uint64_t hash)
{
    if (map->size == 0)
        return NULL;
    for (size_t i = hash & map->mask; map->slots[i] != SLOT_FREE; i = (i + 1) & map->mask) {
        if (map->slots[i] == SLOT_GONE)
            continue;
        const struct map_entry *entry = &map->entries[map->slots[i] - 1];
        if (entry->hash == hash && strcmp(entry->key, key) == 0)
            return &map->slots[i];
    }
    return NULL;
}

static struct map_entry *map_find(const struct map *map, const char *key)
{
    if (!map || map->size == 0)
        return NULL;
    uint32_t *slot = map_slot(map, key, map_hash(key));
    return slot ? &map->entries[*slot - 1] : NULL;
}

void *map_get(const struct map *map, const char *key)
{
    const struct map_entry *entry = map_find(map, key);

    return entry ? entry->value : NULL;
}

bool map_has(const struct map *map, const char *key)
{
    return map_find(map, key) != NULL;
}

static void map_place(struct map *map, uint64_t hash, size_t index)
{
    size_t i = hash & map->mask;

    while (map->slots[i] != SLOT_FREE)
        i = (i + 1) & map->mask;
    map->slots[i] = (uint32_t) index + 1;
}

/* Closes the holes and makes room for more; grows only when the entries themselves need it. */
static void map_rebuild(struct map *map)
{
    size_t kept = 0, capacity = 8;

    for (size_t i = map->first; i < map->used; i++)
        if (map->entries[i].key)
            map->entries[kept++] = map->entries[i];
    map->first = 0;
    map->used = kept;

    while (capacity < kept + kept / 2 + 1)
        capacity *= 2;
    assert(capacity < UINT32_MAX / 2);
    map->entries = xreallocarray(map->entries, capacity, sizeof(*map->entries));
    map->capacity = capacity;
    free(map->slots);
    map->slots = xcalloc(capacity * 2, sizeof(*map->slots));
    map->mask = capacity * 2 - 1;
    for (size_t i = 0; i < kept; i++)
        map_place(map, map->entries[i].hash, i);
}

bool map_set(struct map *map, const char *key, void *value)
{
    struct map_entry *old = map_find(map, key);

    if (old) {
        void *gone = old->value;
        old->value = value;
        if (gone != value)
            map_release(map, gone);
        return false;
    }

    if (map->used == map->capacity)
        map_rebuild(map);
    uint64_t hash = map_hash(key);
    map_place(map, hash, map->used);
    map->entries[map->used++] = (struct map_entry){hash, xstrdup(key), value};
    map->size++;
    return true;
}

/* Forgets the key; false when it is absent. */
static bool map_cut(struct map *map, const char *key, void **ret_value)
{
    uint32_t *slot = map && map->size ? map_slot(map, key, map_hash(key)) : NULL;

    if (!slot)
        return false;

    struct map_entry *entry = &map->entries[*slot - 1];
    *slot = SLOT_GONE;
    *ret_value = entry->value;
    free(entry->key);
    *entry = (struct map_entry){0};
    map->size--;
    while (map->first < map->used && !map->entries[map->first].key)
        map->first++;
    return true;
}

void *map_take(struct map *map, const char *key)
{
    void *value = NULL;

    return map_cut(map, key, &value) ? value : NULL;
}

bool map_remove(struct map *map, const char *key)
{
    void *value;

    if (!map_cut(map, key, &value))
        return false;
    map_release(map, value);
    return true;
}

void map_clear(struct map *map)
{
    for (size_t i = map->first; i < map->used; i++) {
        struct map_entry entry = map->entries[i];
        if (!entry.key)
            continue;
        free(entry.key);
        map_release(map, entry.value);
    }
    if (map->slots)
        memset(map->slots, 0, (map->mask + 1) * sizeof(*map->slots));
    map->used = map->first = map->size = 0;
}

bool map_next(const struct map *map, size_t *position, const char **ret_key, void **ret_value)
{
    if (!map)
        return false;
    if (*position < map->first)
        *position = map->first;
    for (; *position < map->used; (*position)++) {
        const struct map_entry *entry = &map->entries[*position];
        if (!entry->key)
            continue;
        if (ret_key)
            *ret_key = entry->key;
        if (ret_value)
            *ret_value = entry->value;
        (*position)++;
        return true;
    }
    return false;
}

static int map_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

const char **map_sorted_keys(const struct map *map)
{
    size_t size = map_size(map), position = 0, i = 0;
    const char **keys = xcalloc(size + 1, sizeof(*keys));

    while (map_next(map, &position, &keys[i], NULL))
        i++;
    qsort(keys, size, sizeof(*keys), map_compare);
    return keys;
}
