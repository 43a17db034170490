// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/flatten.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static void assert_cleaned(const char *text, const char *expected)
{
    _cleanup_buf_ struct buf out = BUF_INIT(10000);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(flatten_clean(text, strlen(text), &out, &err), 0, "%s: %s", text,
                 error_message(&err));
    cr_assert_str_eq(buf_string(&out), expected);
}

Test(flatten, comments_between_rules_go)
{
    assert_cleaned("# a (\n\n##included <tunables/global>\n@{A}=x\n# b\nprofile a { # why\n  # c\n"
                   "  /x r,\n\t# d\n}\n#",
                   "@{A}=x\nprofile a { # why\n  /x r,\n}\n");
}

Test(flatten, what_may_be_part_of_a_rule_stays)
{
    static const char *const texts[] = {
        "profile a {\n  /x px ->\n# b,\n}\n",
        "profile a {\n  mount options=(ro\n# b\n) /x,\n}\n",
        "profile a {\n  mount options=(ro,\n# b\n) /x,\n}\n",
        "profile a {\n  \"/x\n# b\" r,\n}\n",
        "@{A}=x \\\n# b\nprofile a {\n}\n",
        "@{A}=x # b\n# c\nprofile a {\n}\n",
        "@{A}=x \\\n\n/b {\n}\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(10000);
        int r = flatten_clean(texts[i], strlen(texts[i]), &out, NULL);
        /* The last check may refuse what it is not sure of; nothing is left out, though. */
        cr_assert(r == 0 || r == -EPERM);
        cr_assert_str_eq(buf_string(&out), texts[i]);
    }
}

Test(flatten, one_abi_rule_of_each_kind_stays)
{
    assert_cleaned("abi <abi/3.0>,\nprofile a {\n  abi <abi/3.0>,\n  /x r,\n}\nabi <abi/4.0>,\n",
                   "abi <abi/3.0>,\nprofile a {\n  /x r,\n}\nabi <abi/4.0>,\n");
}

Test(flatten, no_include_may_be_left)
{
    static const char *const texts[] = {
        "include <abstractions/base>\n",
        "profile a {\n  #include <abstractions/base>\n  /x r,\n}\n",
        "profile a {\n  /x r, include if exists <abstractions/base>\n}\n",
        "profile a {\n  include \"/etc/passwd\"\n}\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(10000);
        _cleanup_error_ struct error err = {0};
        cr_assert_eq(flatten_clean(texts[i], strlen(texts[i]), &out, &err), -EPERM, "%s", texts[i]);
        cr_assert_str_eq(error_reason(&err, ""), "ForbiddenInclude");
    }
}

Test(flatten, has_a_ceiling)
{
    _cleanup_buf_ struct buf out = BUF_INIT(10);

    cr_assert_eq(flatten_clean("profile a {\n}\n", 14, &out, NULL), -EFBIG);
}
