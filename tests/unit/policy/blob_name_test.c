// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob_name.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/cleanup.h"

Test(blob_name, good_names_pass)
{
    static const char *const names[] = {"a",
                                        "/usr/bin/x",
                                        "/usr/bin/x//child",
                                        "/usr/bin/x///usr/bin/y",
                                        "a b",
                                        "\xc3\xbcnicode",
                                        "a//b//c",
                                        "{/usr,}/bin/*",
                                        "a (enforce)",
                                        "a\"b",
                                        "null-x",
                                        "unconfined_t",
                                        "a//unconfined",
                                        "/"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        cr_expect_null(blob_name_check(names[i], strlen(names[i])), "%s: %s", names[i],
                       blob_name_check(names[i], strlen(names[i])));
}

Test(blob_name, what_the_kernel_would_take_for_something_else_is_refused)
{
    static const char *const names[] = {"",          " a",        "a ",
                                        "a\n",       "a\x7f",     "\x01",
                                        "a\xff",     ":ns:a",     "//a",
                                        "a//",       "a////b",    "a//&b",
                                        "&a",        "a//null-x", "a//b//null-/bin/x",
                                        "unconfined"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        cr_expect_not_null(blob_name_check(names[i], strlen(names[i])), "%s", names[i]);
}

Test(blob_name, the_length_has_a_bound)
{
    char name[BLOB_NAME_MAX + 2];

    memset(name, 'a', sizeof(name));
    name[BLOB_NAME_MAX] = '\0';
    cr_assert_null(blob_name_check(name, BLOB_NAME_MAX));
    name[BLOB_NAME_MAX] = 'a';
    name[BLOB_NAME_MAX + 1] = '\0';
    cr_assert_not_null(blob_name_check(name, BLOB_NAME_MAX + 1));
}

Test(blob_name, the_parent_is_what_the_kernel_finds)
{
    cr_assert_eq(blob_name_parent("a"), 0);
    cr_assert_eq(blob_name_parent("/usr/bin/a"), 0);
    cr_assert_eq(blob_name_parent("a//b"), 1);
    cr_assert_eq(blob_name_parent("a//b//c"), 4);
    cr_assert_eq(blob_name_parent("/bin/a///bin/b"), 6);
}

Test(blob_name, the_operators_own_are_reserved)
{
    cr_assert(blob_name_reserved("apparmor.io.agent"));
    cr_assert(blob_name_reserved("apparmor.io."));
    cr_assert(blob_name_reserved("apparmor.io.agent//kid"));
    cr_assert_not(blob_name_reserved("apparmor.iox"));
    cr_assert_not(blob_name_reserved("my-apparmor.io.agent"));
    cr_assert_not(blob_name_reserved("apparmor.io"));
}
