// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

/*
 * Hash map from strings to pointers, iterated in order of insertion. Keys are
 * copied. Values are released with `free_value` (may be NULL) when replaced,
 * removed or when the map goes. Keys may come from outside: the hash is seeded
 * per process.
 */
struct map;

typedef void (*map_free_fn)(void *value);

struct map *map_new(map_free_fn free_value);
void map_free(struct map *map);
DEFINE_CLEANUP(struct map *, map_free)

size_t map_size(const struct map *map);
void *map_get(const struct map *map, const char *key);
bool map_has(const struct map *map, const char *key);
/* Returns true when the key is new; an old value is released. */
bool map_set(struct map *map, const char *key, void *value);
/* Removes the key and hands its value to the caller; NULL when absent. */
void *map_take(struct map *map, const char *key);
/* Removes the key and releases its value; false when absent. */
bool map_remove(struct map *map, const char *key);
void map_clear(struct map *map);

/* Iteration; `*position` starts at 0. Removing the entry just returned is
 * allowed, adding is not. */
bool map_next(const struct map *map, size_t *position, const char **ret_key, void **ret_value);
/* Sorted copy of the keys; the caller frees the array, the strings stay the
 * map's. */
const char **map_sorted_keys(const struct map *map);
