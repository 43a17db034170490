// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob_dfa.h"

#include <criterion/criterion.h>

#include "lib/base/alloc.h"
#include "lib/base/cleanup.h"
#include "tests/unit/policy/blob_writer.h"

/* Numbers of tables in the file. */
enum { ACCEPT = 1, BASE, CHECK, DEFAULT, CLASSES, META, ACCEPT2, NEXT };

static const char *check(const struct dfa_spec *spec, enum blob_accept2 accept2)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1024 * 1024);
    struct blob_dfa dfa;

    put_dfa(&out, spec);
    /* Exact memory, so that the sanitizer sees a read past the end. */
    _cleanup_free_ uint8_t *exact = xmemdup(out.data, out.len);
    return blob_dfa_check(exact, out.len, accept2, &dfa);
}

Test(blob_dfa, sound_ones_pass)
{
    static const struct dfa_spec specs[] = {
        {.states = 2, .transitions = 256, .accept2 = true},
        {.states = 2, .transitions = 256, .accept2 = true, .classes = true},
        {.states = 2, .transitions = 256, .accept2 = true, .wide = true},
        {.states = 3, .transitions = 300, .accept2 = true, .table = NEXT, .index = 299, .value = 2},
        {.states = 3, .transitions = 300, .accept2 = true, .table = BASE, .index = 2, .value = 44},
        {.states = 3,
         .transitions = 256,
         .accept2 = true,
         .flags = 1,
         .table = BASE,
         .index = 2,
         .value = 0x80000000},
        {.states = 3,
         .transitions = 257,
         .accept2 = true,
         .flags = 2,
         .table = BASE,
         .index = 2,
         .value = 0x20000001},
        {.states = 2,
         .transitions = 256,
         .accept2 = true,
         .table = ACCEPT,
         .index = 1,
         .value = UINT32_MAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
        cr_expect_null(check(&specs[i], BLOB_ACCEPT2_NEEDED), "case %zu: %s", i,
                       check(&specs[i], BLOB_ACCEPT2_NEEDED));
}

Test(blob_dfa, what_would_lead_a_kernel_astray_is_refused)
{
    static const struct dfa_spec specs[] = {
        {.states = 2, .transitions = 255, .accept2 = true}, /* state 0 reaches past the end */
        {.states = 2, .transitions = 256, .accept2 = true, .table = NEXT, .index = 9, .value = 2},
        {.states = 2, .transitions = 256, .accept2 = true, .table = CHECK, .index = 9, .value = 2},
        {.states = 2,
         .transitions = 256,
         .accept2 = true,
         .table = DEFAULT,
         .index = 1,
         .value = 2},
        {.states = 2, .transitions = 256, .accept2 = true, .table = BASE, .index = 1, .value = 1},
        {.states = 2,
         .transitions = 256,
         .accept2 = true,
         .table = BASE,
         .index = 1,
         .value = 0x80000000}, /* difference-encoded, and no flag for it */
        {.states = 2,
         .transitions = 256,
         .accept2 = true,
         .flags = 1,
         .table = BASE,
         .index = 0,
         .value = 0x80000000}, /* its own default */
        {.states = 2,
         .transitions = 257,
         .accept2 = true,
         .table = BASE,
         .index = 1,
         .value = 0x20000001},
        {.states = 2,
         .transitions = 256,
         .accept2 = true,
         .flags = 2,
         .table = BASE,
         .index = 1,
         .value = 0x20000000}, /* one before the first transition */
        {.states = 2,
         .transitions = 256,
         .accept2 = true,
         .table = BASE,
         .index = 1,
         .value = 0x01000000},
        {.states = 2, .transitions = 256, .accept2 = true, .flags = 4},
        {.states = 0, .transitions = 256, .accept2 = true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
        cr_expect_not_null(check(&specs[i], BLOB_ACCEPT2_NEEDED), "case %zu", i);
}

/* States 1 to 4 are difference-encoded; their defaults form a chain or a circle. */
static const char *check_chain(const uint16_t defaults[static 5])
{
    _cleanup_buf_ struct buf out = BUF_INIT(1024 * 1024);
    struct dfa_spec spec = {.states = 5, .transitions = 256, .accept2 = true, .flags = 1};
    struct blob_dfa dfa;

    put_dfa(&out, &spec);
    /* header 24, two tables of 12 + 20 (4 bytes an entry), then the base table */
    uint8_t *base = (uint8_t *) out.data + 24 + 2 * 32 + 12;
    uint8_t *def = base - 12 + 32 + 12;
    for (size_t i = 1; i < 5; i++) {
        base[4 * i] = 0x80;
        def[2 * i] = (uint8_t) (defaults[i] >> 8);
        def[2 * i + 1] = (uint8_t) defaults[i];
    }
    return blob_dfa_check((const uint8_t *) out.data, out.len, BLOB_ACCEPT2_NEEDED, &dfa);
}

Test(blob_dfa, chains_end_and_circles_are_refused)
{
    static const uint16_t chains[][5] = {{0, 0, 1, 2, 3},
                                         {0, 2, 3, 4, 0},
                                         {0, 0, 0, 0, 0},
                                         {0, 3, 3, 0, 3}};
    static const uint16_t circles[][5] = {{0, 2, 1, 0, 0},
                                          {0, 1, 0, 0, 0},
                                          {0, 2, 3, 4, 2},
                                          {0, 0, 4, 2, 3}};

    for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
        cr_expect_null(check_chain(chains[i]), "chain %zu", i);
    for (size_t i = 0; i < ARRAY_SIZE(circles); i++)
        cr_expect_not_null(check_chain(circles[i]), "circle %zu", i);
}

Test(blob_dfa, the_second_table_of_permissions_must_fit_the_version)
{
    struct dfa_spec with = DFA_PLAIN, without = DFA_PLAIN;

    without.accept2 = false;
    cr_assert_null(check(&with, BLOB_ACCEPT2_NEEDED));
    cr_assert_null(check(&without, BLOB_ACCEPT2_REFUSED));
    cr_assert_not_null(check(&with, BLOB_ACCEPT2_REFUSED));
    cr_assert_not_null(check(&without, BLOB_ACCEPT2_NEEDED));
}

Test(blob_dfa, truncated_and_extended_ones_are_refused)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1024 * 1024);
    struct dfa_spec spec = DFA_PLAIN;
    struct blob_dfa dfa;

    put_dfa(&out, &spec);
    for (size_t len = 0; len < out.len; len++) {
        _cleanup_free_ uint8_t *exact = xmemdup(out.data, len + 1);
        cr_assert_not_null(blob_dfa_check(exact, len, BLOB_ACCEPT2_NEEDED, &dfa), "%zu", len);
    }
    buf_add(&out, "\0\0\0\0\0\0\0\0", 8);
    cr_assert_not_null(
        blob_dfa_check((const uint8_t *) out.data, out.len, BLOB_ACCEPT2_NEEDED, &dfa));
}

Test(blob_dfa, permissions_are_read_by_state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1024 * 1024);
    struct dfa_spec spec = DFA_PLAIN;
    struct blob_dfa dfa;

    spec.table = ACCEPT;
    spec.index = 1;
    spec.value = 0x01020304;
    put_dfa(&out, &spec);
    cr_assert_null(blob_dfa_check((const uint8_t *) out.data, out.len, BLOB_ACCEPT2_NEEDED, &dfa));
    cr_assert_eq(dfa.states, 2);
    cr_assert_eq(blob_dfa_accept(&dfa, 0), 0);
    cr_assert_eq(blob_dfa_accept(&dfa, 1), 0x01020304);
}
