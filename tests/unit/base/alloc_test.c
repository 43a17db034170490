// SPDX-License-Identifier: Apache-2.0
#include "lib/base/alloc.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>

#include "lib/base/json.h"

Test(alloc, nothing_is_still_a_block)
{
    _cleanup_free_ void *empty = xmalloc(0);
    _cleanup_free_ void *none = xcalloc(0, 8);
    _cleanup_free_ void *shrunk = xrealloc(xmalloc(8), 0);

    cr_assert_not_null(empty);
    cr_assert_not_null(none);
    cr_assert_not_null(shrunk);
}

Test(alloc, copies_end_where_they_are_told)
{
    static const char bytes[] = {'a', '\0', 'b'};
    _cleanup_free_ char *cut = xstrndup("abcdef", 3);
    _cleanup_free_ char *whole = xstrndup("ab", 10);
    _cleanup_free_ char *data = xmemdup(bytes, sizeof(bytes));
    _cleanup_free_ char *text = xasprintf("%s-%d", "x", 7);

    cr_assert_str_eq(cut, "abc");
    cr_assert_str_eq(whole, "ab");
    cr_assert_arr_eq(data, bytes, sizeof(bytes));
    cr_assert_str_eq(text, "x-7");
    cr_assert_null(xstrdup(NULL));
    cr_assert_null(xstrndup(NULL, 3));
    cr_assert_null(xmemdup(NULL, 3));
}

Test(alloc, a_product_that_overflows_aborts, .signal = SIGABRT)
{
    xreallocarray(NULL, SIZE_MAX / 2, 3);
}

Test(alloc, taking_a_pointer_forgets_it)
{
    char *text = xstrdup("x");
    _cleanup_free_ char *taken = TAKE_PTR(text);

    cr_assert_null(text);
    cr_assert_str_eq(taken, "x");
}

Test(alloc, json_is_built_from_the_same_memory)
{
    alloc_init();
    _cleanup_json_ cJSON *json = cJSON_CreateString("x");

    cr_assert_str_eq(json->valuestring, "x");
}

Test(alloc, large_blocks_do_not_stay_with_the_process)
{
    alloc_init();
    free(xcalloc(1, 8 * 1024 * 1024));
    size_t before = mallinfo2().hblkhd;
    _cleanup_free_ void *block = xmalloc(512 * 1024);

    if (mallinfo2().arena == 0)
        cr_skip_test("another allocator (a sanitizer's)");
    cr_assert_geq(mallinfo2().hblkhd, before + 512 * 1024, "a mapping of its own");
}
