// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob_pdb.h"

#include <criterion/criterion.h>

#include "lib/base/alloc.h"
#include "lib/base/cleanup.h"
#include "tests/unit/policy/blob_writer.h"

enum { ACCEPT = 1, PERM_WORDS = 14, ALLOW = 1, DENY, SUBTREE, XINDEX = 11, TAG, LABEL };

static const char *read_as(const struct buf *out, enum blob_pdb_kind kind)
{
    _cleanup_free_ uint8_t *exact = xmemdup(buf_string(out), out->len);
    struct blob_reader reader = {.data = exact, .len = out->len};
    bool present = false;

    const char *problem = blob_pdb_read(&reader, kind, &present);
    if (!problem)
        cr_assert_eq(reader.pos, reader.len, "%zu of %zu", reader.pos, reader.len);
    return problem;
}

static void put_names(struct buf *out, const char *const *names, size_t count)
{
    put(out, BLOB_CODE_STRUCT, "xtable");
    put_array(out, NULL, (uint16_t) count);
    for (size_t i = 0; i < count; i++)
        put_string(out, NULL, names[i]);
    put(out, BLOB_CODE_ARRAY_END, NULL);
    put(out, BLOB_CODE_STRUCT_END, NULL);
}

/* Two permissions; one word of the second is not zero. */
static void put_perms(struct buf *out, size_t word, uint32_t value)
{
    put(out, BLOB_CODE_STRUCT, "perms");
    put_u32(out, "version", 1);
    put_array(out, NULL, 2);
    put_words(out, PERM_WORDS);
    for (size_t i = 0; i < PERM_WORDS; i++)
        put_u32(out, NULL, i == word ? value : 0);
    put(out, BLOB_CODE_ARRAY_END, NULL);
    put(out, BLOB_CODE_STRUCT_END, NULL);
}

Test(blob_pdb, absence_is_fine_except_where_rules_were_announced)
{
    struct buf nothing = BUF_INIT(16);

    cr_assert_null(read_as(&nothing, BLOB_PDB_XMATCH));
    cr_assert_null(read_as(&nothing, BLOB_PDB_FILE));
    cr_assert_not_null(read_as(&nothing, BLOB_PDB_POLICY));
}

Test(blob_pdb, padding_in_front_of_the_automaton_is_skipped)
{
    struct dfa_spec spec = DFA_PLAIN;

    for (size_t pad = 0; pad < 8; pad++) {
        _cleanup_buf_ struct buf padded = BUF_INIT(65536), out = BUF_INIT(65536);

        buf_add(&padded, "\0\0\0\0\0\0\0\0", pad);
        put_dfa(&padded, &spec);
        put_bytes(&out, "aadfa", padded.data, padded.len);
        cr_expect_null(read_as(&out, BLOB_PDB_FILE), "%zu", pad);
    }
}

static const char *check_start(const char *name, uint32_t start)
{
    _cleanup_buf_ struct buf out = BUF_INIT(65536);
    struct dfa_spec spec = DFA_PLAIN;

    put_dfa_blob(&out, &spec);
    put_u32(&out, name, start);
    return read_as(&out, BLOB_PDB_POLICY);
}

Test(blob_pdb, start_states_must_be_there)
{
    _cleanup_buf_ struct buf single = BUF_INIT(65536);
    struct dfa_spec spec = DFA_PLAIN;

    cr_assert_null(check_start("start", 1));
    cr_assert_null(check_start("dfa_start", 0));
    cr_assert_not_null(check_start("start", 2));
    cr_assert_not_null(check_start("dfa_start", UINT32_MAX));
    spec.states = 1; /* the kernel begins at state 1 when nothing is said */
    put_dfa_blob(&single, &spec);
    cr_assert_not_null(read_as(&single, BLOB_PDB_POLICY));
}

static const char *check_name(const char *name, size_t len)
{
    _cleanup_buf_ struct buf out = BUF_INIT(65536);

    put(&out, BLOB_CODE_STRUCT, "xtable");
    put_array(&out, NULL, 1);
    put_string_of(&out, NULL, name, len);
    put(&out, BLOB_CODE_ARRAY_END, NULL);
    put(&out, BLOB_CODE_STRUCT_END, NULL);
    return read_as(&out, BLOB_PDB_FILE);
}

Test(blob_pdb, names_of_transitions_are_as_the_kernel_wants_them)
{
    cr_assert_null(check_name("a", 1));
    cr_assert_null(check_name(":ns\0a", 5));
    cr_assert_null(check_name(":a", 2));
    cr_assert_not_null(check_name(" a", 2));
    cr_assert_not_null(check_name("\ta", 2));
    cr_assert_not_null(check_name("a\0b", 3));
    cr_assert_not_null(check_name(":", 1));
    cr_assert_not_null(check_name(":\0a", 3));
    cr_assert_not_null(check_name(":a\0b\0c", 6));
}

static const char *check_old_accept(uint32_t accept, size_t names)
{
    static const char *const NAMES[] = {"a", "b"};
    _cleanup_buf_ struct buf out = BUF_INIT(65536);
    struct dfa_spec spec = DFA_PLAIN;

    spec.table = ACCEPT;
    spec.index = 1;
    spec.value = accept;
    put_dfa_blob(&out, &spec);
    if (names > 0)
        put_names(&out, NAMES, names);
    return read_as(&out, BLOB_PDB_FILE);
}

Test(blob_pdb, inlined_permissions_name_only_what_is_there)
{
    enum { INDEX = 10, OTHER = 14 };

    cr_assert_null(check_old_accept(0x3u << INDEX, 0));
    cr_assert_not_null(check_old_accept(0x4u << INDEX, 0));
    cr_assert_null(check_old_accept(0x4u << INDEX, 1));
    cr_assert_not_null(check_old_accept(0x5u << INDEX, 1));
    cr_assert_null(check_old_accept(0x5u << INDEX, 2));
    cr_assert_not_null(check_old_accept(0x4u << (INDEX + OTHER), 0));
    cr_assert_null(check_old_accept(0x5u << (INDEX + OTHER), 2));
    cr_assert_not_null(check_old_accept(0xfu << (INDEX + OTHER), 2));
}

static const char *check_perms(size_t word, uint32_t value, uint32_t accept, size_t names)
{
    static const char *const NAMES[] = {"a", "b"};
    _cleanup_buf_ struct buf out = BUF_INIT(65536);
    struct dfa_spec spec = DFA_PLAIN;

    spec.accept2 = false;
    spec.table = ACCEPT;
    spec.index = 1;
    spec.value = accept;
    put_perms(&out, word, value);
    put_dfa_blob(&out, &spec);
    if (names > 0)
        put_names(&out, NAMES, names);
    return read_as(&out, BLOB_PDB_FILE);
}

Test(blob_pdb, tables_of_permissions_are_checked)
{
    cr_assert_null(check_perms(ALLOW, 4, 1, 0));
    cr_assert_not_null(check_perms(ALLOW, 4, 2, 0), "past the table");
    cr_assert_not_null(check_perms(SUBTREE, 1, 1, 0), "more than is allowed");
    cr_assert_not_null(check_perms(TAG, 1, 1, 0), "tags");
    cr_assert_null(check_perms(XINDEX, 0x04000009, 1, 0), "a name of no table");
    cr_assert_not_null(check_perms(XINDEX, 0x08000000, 1, 0));
    cr_assert_null(check_perms(XINDEX, 0x08000000, 1, 1));
    cr_assert_not_null(check_perms(XINDEX, 0x08000001, 1, 1));
    cr_assert_null(check_perms(LABEL, 1, 1, 2));
    cr_assert_not_null(check_perms(LABEL, 1, 1, 1));
}

Test(blob_pdb, a_table_of_permissions_goes_with_an_automaton)
{
    _cleanup_buf_ struct buf out = BUF_INIT(65536);

    put_perms(&out, ALLOW, 1);
    cr_assert_not_null(read_as(&out, BLOB_PDB_FILE));
}

static const char *check_version(uint32_t version, bool accept2)
{
    _cleanup_buf_ struct buf out = BUF_INIT(65536);
    struct dfa_spec spec = DFA_PLAIN;

    spec.accept2 = accept2;
    put_perms(&out, ALLOW, 1);
    put_u32(&out, "permsv", version);
    put_dfa_blob(&out, &spec);
    return read_as(&out, BLOB_PDB_FILE);
}

Test(blob_pdb, the_third_version_of_permissions_has_two_tables)
{
    cr_assert_null(check_version(2, false));
    cr_assert_null(check_version(3, true));
    cr_assert_not_null(check_version(2, true));
    cr_assert_not_null(check_version(3, false));
}
