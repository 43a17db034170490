// SPDX-License-Identifier: Apache-2.0
#include "controller/kernels.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

static unsigned changes;
static struct kernels *kernels;

static void count_change(_unused_ void *userdata)
{
    changes++;
}

static void setup(void)
{
    alloc_init();
    changes = 0;
    kernels = kernels_new(count_change, NULL);
}

static void teardown(void)
{
    kernels_free(kernels);
}

TestSuite(kernels, .init = setup, .fini = teardown);

static const char *id_of(const char *text)
{
    static char ids[4][FEATURES_ID_SIZE];
    static unsigned next;
    char *id = ids[next++ % 4];

    features_id_of(text, strlen(text), id);
    return id;
}

static void node(const char *name, const char *text, uint64_t now_ms)
{
    kernels_set_node(kernels, name, text ? id_of(text) : NULL, now_ms);
}

static void text_of(const char *named_after, const char *text, uint64_t now_ms)
{
    _cleanup_free_ char *name = xasprintf(FEATURES_PREFIX "%s", id_of(named_after));

    kernels_set_text(kernels, name, text, now_ms);
}

static void gone(const char *text)
{
    _cleanup_free_ char *name = xasprintf(FEATURES_PREFIX "%s", id_of(text));

    kernels_remove_text(kernels, name);
}

static void assert_listed(const char *const *texts, size_t count)
{
    struct features *found[8];

    cr_assert_eq(kernels_list(kernels, found, 8), count);
    for (size_t i = 0; i < count; i++)
        cr_assert_str_eq(features_id(found[i]), id_of(texts[i]), "%zu", i);
}
#define LISTS(...)                                            \
    assert_listed((const char *const[]){"", __VA_ARGS__} + 1, \
                  ARRAY_SIZE(((const char *const[]){"", __VA_ARGS__})) - 1)

Test(kernels, count_when_a_node_has_them_and_their_text_is_there)
{
    LISTS();
    node("a", "old", 0);
    LISTS();
    cr_assert_eq(changes, 0);
    text_of("old", "old", 0);
    LISTS("old");
    cr_assert_eq(changes, 1);
    text_of("new", "new", 0);
    LISTS("old");
    cr_assert_eq(changes, 1, "no node has it");
    node("b", "new", 0);
    node("c", "new", 0);
    LISTS("new", "old");
    cr_assert_eq(changes, 2);
    node("c", "new", 0);
    cr_assert_eq(changes, 2);
}

Test(kernels, of_more_nodes_come_first_and_too_many_are_left_out)
{
    struct features *found[1];

    text_of("old", "old", 0);
    text_of("new", "new", 0);
    node("a", "old", 0);
    node("b", "new", 0);
    node("c", "new", 0);
    cr_assert_eq(kernels_list(kernels, found, 1), 1);
    cr_assert_str_eq(features_id(found[0]), id_of("new"));
}

static void assert_garbage(uint64_t now_ms, const char *expected)
{
    _cleanup_strv_ struct strv list = {0};
    _cleanup_free_ char *joined = NULL;

    kernels_list_garbage(kernels, now_ms, &list);
    joined = strv_join(&list, " ");
    cr_assert_str_eq(joined, expected);
}

Test(kernels, that_no_node_has_are_garbage_after_an_hour_and_count_until_then)
{
    _cleanup_free_ char *old = xasprintf(FEATURES_PREFIX "%s", id_of("old"));

    text_of("old", "old", 0);
    node("a", "old", 0);
    node("a", NULL, 1000);
    LISTS("old");
    assert_garbage(1000 + KERNELS_UNUSED_MS - 1, "");
    assert_garbage(1000 + KERNELS_UNUSED_MS, old);
    node("a", "old", 2000);
    assert_garbage(1000 + KERNELS_UNUSED_MS, "");
    node("a", NULL, 3000);
    gone("old");
    LISTS();
    assert_garbage(UINT64_MAX, "");
}

Test(kernels, that_no_node_ever_had_are_garbage_too)
{
    _cleanup_free_ char *old = xasprintf(FEATURES_PREFIX "%s", id_of("old"));

    text_of("old", "old", 500);
    assert_garbage(500 + KERNELS_UNUSED_MS - 1, "");
    assert_garbage(500 + KERNELS_UNUSED_MS, old);
}

Test(kernels, whose_text_is_another_never_count)
{
    _cleanup_free_ char *old = xasprintf(FEATURES_PREFIX "%s", id_of("old"));
    char large[9000];

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    node("a", "old", 0);
    text_of("old", "forged", 0);
    LISTS();
    assert_garbage(0, old);
    text_of("old", NULL, 0);
    LISTS();
    assert_garbage(0, old);
    text_of("old", "old", 0);
    LISTS("old");
    assert_garbage(0, "");
    node("a", large, 0);
    text_of(large, large, 0);
    LISTS("old");
}

Test(kernels, that_nodes_make_up_are_no_harm)
{
    kernels_set_node(kernels, "a", "", 0);
    kernels_set_node(kernels, "b", "../../etc", 0);
    kernels_set_node(kernels, "c", "0123456789abcdef", 0);
    kernels_set_text(kernels, "some-configmap", "x", 0);
    kernels_set_text(kernels, FEATURES_PREFIX "x", "x", 0);
    kernels_remove_text(kernels, "never-there");
    LISTS();
    assert_garbage(UINT64_MAX, "");
}
