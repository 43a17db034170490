// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/warnings.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

TestSuite(warnings, .init = alloc_init);

static void assert_deny(const char *text, const char *flat, enum policy_mode mode,
                        const char *expected)
{
    _cleanup_warnings_ struct policy_warnings warnings = {0};
    const struct policy_texts texts = {text, strlen(text), flat, strlen(flat), mode};

    policy_warn_deny(&warnings, &texts);
    cr_assert_eq(warnings.len, *expected != '\0', "%s", text);
    if (warnings.len > 0) {
        cr_assert_str_eq(warnings.items[0].reason, POLICY_WARNING_DENY);
        cr_assert_eq(strncmp(warnings.items[0].message, expected, strlen(expected)), 0, "%s",
                     warnings.items[0].message);
    }
}

#define ENFORCED "profile p {\n /a r,\n deny /b w,\n}\n"
#define COMPLAIN "profile p flags=(complain) {\n /a r,\n deny /b w,\n}\n"

Test(warnings, of_deny_rules_that_complain_mode_enforces)
{
    assert_deny(COMPLAIN, COMPLAIN, POLICY_MODE_UNSET, "line 3: an explicit deny rule is enforced");
    assert_deny(ENFORCED, COMPLAIN, POLICY_COMPLAIN, "line 3: ");
    assert_deny(ENFORCED, ENFORCED, POLICY_MODE_UNSET, "");
    assert_deny(COMPLAIN, ENFORCED, POLICY_ENFORCE, "");
    assert_deny("profile p { audit deny /b w, }", "profile p { audit deny /b w, }", POLICY_COMPLAIN,
                "");
    assert_deny("profile p {\n deny /a w,\n deny /b w,\n deny /c w, }", "profile p { }",
                POLICY_COMPLAIN, "line 2: this and 2 more explicit deny rules");
    assert_deny("profile p { include <abstractions/x> }", ENFORCED, POLICY_COMPLAIN,
                "what the policy includes has 1 explicit deny rule, which is");
}

Test(warnings, of_kinds_of_rules_that_kernels_do_not_know)
{
    static const char text[] = "profile p {\n /a r,\n signal,\n dbus send,\n dbus receive,\n"
                               " userns,\n}\n";
    static const char old[] = "signal {mask {hup\n}\n}\n";
    static const char new[] = "signal {mask {hup\n}\n}\nnamespaces {mask {userns_create\n}\n}\n";
    const struct policy_kernel kernels[] = {{"old", old, strlen(old)}, {"new", new, strlen(new)}};
    const struct policy_texts texts = {text, strlen(text), "", 0, POLICY_MODE_UNSET};
    _cleanup_warnings_ struct policy_warnings both = {0}, none = {0};

    policy_warn_kernels(&both, &texts, kernels, 2);
    cr_assert_eq(both.len, 2);
    cr_assert_str_eq(both.items[0].message,
                     "line 4: dbus rules are not enforced by the kernel of any node");
    cr_assert_eq(both.items[0].line, 4);
    cr_assert_str_eq(both.items[1].message,
                     "line 6: userns rules are not enforced on nodes with kernel features old");
    policy_warn_kernels(&none, &texts, kernels, 0);
    cr_assert_eq(none.len, 0);
}

Test(warnings, are_bounded_and_each_is_there_once)
{
    _cleanup_warnings_ struct policy_warnings warnings = {0};

    policy_warn(&warnings, POLICY_WARNING_DENY, 1, "same");
    policy_warn(&warnings, POLICY_WARNING_DENY, 1, "same");
    cr_assert_eq(warnings.len, 1);
    for (unsigned i = 0; i < 100; i++)
        policy_warn(&warnings, POLICY_WARNING_DENY, i, "another");
    cr_assert_eq(warnings.len, POLICY_WARNINGS_MAX);
}
