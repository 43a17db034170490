// SPDX-License-Identifier: Apache-2.0
#include "lib/base/map.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

static int released;

static void count_release(void *value)
{
    released++;
    free(value);
}

Test(map, iterates_in_order_of_insertion)
{
    static const char *const keys[] = {"z", "a", "m", "b"};
    _cleanup_(map_freep) struct map *map = map_new(NULL);
    const char *key;
    void *value;
    size_t position = 0, i = 0;

    for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
        cr_assert(map_set(map, keys[k], (void *) (uintptr_t) (k + 1)));
    /* A new value does not move its key. */
    cr_assert_not(map_set(map, "a", (void *) (uintptr_t) 2));
    for (; map_next(map, &position, &key, &value); i++) {
        cr_assert_str_eq(key, keys[i]);
        cr_assert_eq((uintptr_t) value, i + 1);
    }
    cr_assert_eq(i, ARRAY_SIZE(keys));
}

Test(map, releases_what_is_replaced_removed_or_left)
{
    struct map *map = map_new(count_release);

    map_set(map, "a", xstrdup("1"));
    map_set(map, "a", xstrdup("2"));
    cr_assert_eq(released, 1);
    map_set(map, "b", xstrdup("3"));
    cr_assert(map_remove(map, "b"));
    cr_assert_eq(released, 2);
    cr_assert_not(map_remove(map, "b"));
    map_set(map, "c", xstrdup("4"));
    _cleanup_free_ char *taken = map_take(map, "c");
    cr_assert_str_eq(taken, "4");
    cr_assert_null(map_take(map, "c"));
    cr_assert_eq(released, 2);
    map_free(map);
    cr_assert_eq(released, 3);
}

Test(map, setting_the_same_value_again_keeps_it)
{
    _cleanup_(map_freep) struct map *map = map_new(free);
    char *value = xstrdup("x");

    map_set(map, "k", value);
    map_set(map, "k", value);
    cr_assert_str_eq(map_get(map, "k"), "x");
}

/* Against a plain array as the model: every operation of a long random sequence agrees. */
Test(map, agrees_with_a_model)
{
    _cleanup_(map_freep) struct map *map = map_new(NULL);
    uintptr_t model[257] = {0};
    size_t size = 0;

    for (uintptr_t step = 1; step < 200000; step++) {
        size_t index = clock_random_below(ARRAY_SIZE(model));
        char key[16];
        snprintf(key, sizeof(key), "key-%zu", index);
        cr_assert_eq((uintptr_t) map_get(map, key), model[index]);
        cr_assert_eq(map_has(map, key), model[index] != 0);
        if (clock_random_below(2)) {
            cr_assert_eq(map_set(map, key, (void *) step), model[index] == 0);
            size += model[index] == 0;
            model[index] = step;
        } else {
            cr_assert_eq(map_remove(map, key), model[index] != 0);
            size -= model[index] != 0;
            model[index] = 0;
        }
        cr_assert_eq(map_size(map), size);
    }
}

Test(map, an_entry_may_be_removed_while_it_is_visited)
{
    _cleanup_(map_freep) struct map *map = map_new(NULL);
    const char *key;
    size_t position = 0, seen = 0;

    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        map_set(map, name, map);
    }
    for (; map_next(map, &position, &key, NULL); seen++)
        if (atol(key) % 2)
            map_remove(map, key);
    cr_assert_eq(seen, 100);
    cr_assert_eq(map_size(map), 50);
    for (position = 0, seen = 0; map_next(map, &position, &key, NULL); seen++)
        cr_assert_eq(atol(key), (long) seen * 2);
    cr_assert_eq(seen, 50);
}

/* As a queue it neither grows nor slows down: a million keys pass through in well under a minute
 * only if holes at the front are skipped and closed. */
Test(map, serves_as_a_queue, .timeout = 60)
{
    _cleanup_(map_freep) struct map *map = map_new(NULL);
    char key[16];

    for (int i = 0; i < 1000000; i++) {
        const char *first;
        size_t position = 0;
        snprintf(key, sizeof(key), "%d", i);
        map_set(map, key, map);
        if (i >= 1000) {
            cr_assert(map_next(map, &position, &first, NULL));
            cr_assert_eq(atol(first), i - 1000);
            map_remove(map, first);
        }
    }
    cr_assert_eq(map_size(map), 1000);
}

Test(map, keys_of_every_length_and_null_values)
{
    _cleanup_(map_freep) struct map *map = map_new(free);
    char key[64] = "";

    for (size_t i = 0; i < sizeof(key) - 1; i++) {
        cr_assert(map_set(map, key, NULL));
        cr_assert(map_has(map, key));
        cr_assert_null(map_get(map, key));
        key[i] = 'a';
    }
    cr_assert_eq(map_size(map), sizeof(key) - 1);
    map_clear(map);
    cr_assert_eq(map_size(map), 0);
    cr_assert_not(map_has(map, ""));
    map_set(map, "x", NULL);
    cr_assert_eq(map_size(map), 1);
}

Test(map, sorts_its_keys)
{
    _cleanup_(map_freep) struct map *map = map_new(NULL);

    map_set(map, "b", NULL);
    map_set(map, "a", NULL);
    map_set(map, "B", NULL);
    const char **keys = map_sorted_keys(map);
    cr_assert_str_eq(keys[0], "B");
    cr_assert_str_eq(keys[1], "a");
    cr_assert_str_eq(keys[2], "b");
    cr_assert_null(keys[3]);
    free(keys);
}

Test(map, nothing_is_an_empty_map)
{
    size_t position = 0;

    cr_assert_eq(map_size(NULL), 0);
    cr_assert_null(map_get(NULL, "x"));
    cr_assert_not(map_next(NULL, &position, NULL, NULL));
    map_free(NULL);
}
