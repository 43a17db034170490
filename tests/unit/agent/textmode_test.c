// SPDX-License-Identifier: Apache-2.0
#include "agent/textmode.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static void assert_written(const char *text, enum policy_mode mode, const char *expected)
{
    _cleanup_buf_ struct buf out = BUF_INIT(10000);

    cr_assert_eq(textmode_apply(text, strlen(text), mode, &out), 0);
    cr_assert_str_eq(buf_string(&out), expected);
}

Test(textmode, every_profile_child_and_hat_gets_the_flag)
{
    assert_written("profile a {\n  /x r,\n  profile b {\n  }\n  ^c {\n  }\n  hat d {\n  }\n}\n",
                   POLICY_COMPLAIN,
                   "profile a flags=(complain) {\n  /x r,\n  profile b flags=(complain) {\n  }\n"
                   "  ^c flags=(complain) {\n  }\n  hat d flags=(complain) {\n  }\n}\n");
    assert_written("/usr/bin/x{,y} {\n}\n\"/a b\" {\n}\nprofile a{} {}", POLICY_KILL,
                   "/usr/bin/x{,y} flags=(kill) {\n}\n\"/a b\" flags=(kill) {\n}\n"
                   "profile a{} flags=(kill) {}");
}

Test(textmode, other_flags_stay_and_other_modes_go)
{
    assert_written("profile a /x flags=(attach_disconnected, complain,audit) {\n}\n", POLICY_KILL,
                   "profile a /x flags=(attach_disconnected,audit,kill) {\n}\n");
    assert_written("profile a flags=(complain) {\n}\n", POLICY_ENFORCE, "profile a {\n}\n");
    assert_written("profile a flags = ( unconfined , audit ) {\n}\n", POLICY_ENFORCE,
                   "profile a flags=(audit) {\n}\n");
    assert_written("profile a (complain) {\n}\n", POLICY_UNCONFINED,
                   "profile a flags=(unconfined) {\n}\n");
    assert_written("profile a /x xattrs=(user.a=\"(b)\") flags=(kill) {\n}\n", POLICY_COMPLAIN,
                   "profile a /x xattrs=(user.a=\"(b)\") flags=(complain) {\n}\n");
    assert_written("profile a /x xattrs=(user.a=b) {\n}\n", POLICY_COMPLAIN,
                   "profile a /x xattrs=(user.a=b) flags=(complain) {\n}\n");
}

Test(textmode, nothing_else_changes)
{
    static const char *const rules[] = {
        "@{A}=x {y,z}\n@{B} += \\\n  q\n$c = true\n",
        "abi <abi/3.0>,\nalias /a -> /b,\n",
        "  @{A}/{a,b}/** rw,\n  \"/a {\" r,\n  /a,b r,\n",
        "  owner {\n    /x r,\n  }\n  audit deny {\n    /y r,\n  }\n",
        "  if $c {\n    /x r,\n  } else {\n    /y r,\n  }\n",
        "  mount options=(rw, bind) /a{b,c} -> /d,\n  dbus (send) bus=session peer=(name=x),\n",
        "  # profile x {\n  /x r, # profile y {\n",
        "  change_profile -> @{A}//{b,c},\n  /x px -> y,\n",
        "  signal (send) peer={a,b},\n  network (read, write) inet,\n",
        "}\n# end",
        "\"unended { ",
        "/x{",
    };

    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        if (i < 10)
            assert_written(rules[i], POLICY_COMPLAIN, rules[i]);
    /* Text that does not compile is the compiler's to refuse; here it must only end. */
    for (size_t i = 10; i < ARRAY_SIZE(rules); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT(10000);
        cr_assert_eq(textmode_apply(rules[i], strlen(rules[i]), POLICY_KILL, &out), 0);
    }
}

Test(textmode, has_a_ceiling)
{
    _cleanup_buf_ struct buf out = BUF_INIT(20);

    cr_assert_eq(textmode_apply("profile a {\n}\n", 14, POLICY_COMPLAIN, &out), -EFBIG);
}
