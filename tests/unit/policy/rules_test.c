// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/rules.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

TestSuite(rules, .init = alloc_init);

static void write_down(void *userdata, const struct policy_rule *rule)
{
    buf_addf(userdata, "%u %s%s%.*s %s\n", rule->line, rule->audit ? "audit " : "",
             rule->deny ? "deny " : "", (int) rule->word_len, rule->word,
             policy_mode_kernel_name(rule->mode));
}

static void assert_rules(const char *text, const char *expected)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);

    cr_assert_eq(policy_rules_each(text, strlen(text), write_down, &out), 0, "%s", text);
    cr_assert_str_eq(buf_string(&out), expected, "%s:\n%s", text, buf_string(&out));
}

Test(rules, of_each_kind_with_their_lines)
{
    assert_rules("abi <abi/3.0>,\n"
                 "include <tunables/global>\n"
                 "@{X} = /a /b # deny\n"
                 "@{X} += \\\n /deny\n"
                 "profile p {\n"
                 "  include <abstractions/base>\n"
                 "  include if exists <local/p>\n"
                 "  #include <abstractions/deny>\n"
                 "  signal (send) peer=q,\n"
                 "  deny /a w, deny @{X}/y w,\n"
                 "  audit deny network raw,\n"
                 "  owner /b r,\n"
                 "  # deny /c r,\n"
                 "  mount\n    fstype=tmpfs -> /deny/,\n"
                 "  change_profile -> q,\n"
                 "}\n",
                 "10 signal enforce\n11 deny  enforce\n11 deny  enforce\n"
                 "12 audit deny network enforce\n13  enforce\n15 mount enforce\n"
                 "17 change_profile enforce\n");
}

Test(rules, have_the_mode_of_their_own_profile)
{
    assert_rules("profile a flags=(complain, attach_disconnected) {\n"
                 " deny /a r,\n"
                 " profile kid { deny /k r, }\n"
                 " ^hat flags=(kill) { deny /h r, }\n"
                 " deny /b r,\n"
                 "}\n"
                 "profile b (unconfined) { capability, }\n",
                 "2 deny  complain\n3 deny  enforce\n4 deny  kill\n5 deny  complain\n"
                 "7 capability unconfined\n");
}

Test(rules, of_blocks_and_conditions)
{
    assert_rules("$debug = true\nprofile p {\n if $debug {\n  /a r,\n } else {\n  deny /b r,\n }\n"
                 " audit deny {\n /c r,\n }\n}\n",
                 "4  enforce\n6 deny  enforce\n8 audit deny  enforce\n9  enforce\n");
}

Test(rules, with_priorities)
{
    assert_rules("profile p { priority=-3 audit deny signal, priority=2 /a r, }",
                 "1 audit deny signal enforce\n1  enforce\n");
}

Test(rules, of_what_is_not_understood_end)
{
    static const char *const texts[] = {
        "profile p {", "}", "profile p { /a r }", "include <x", "profile p { include \"a", "{",
    };
    _cleanup_buf_ struct buf out = BUF_INIT(4096);

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        cr_assert_eq(policy_rules_each(texts[i], strlen(texts[i]), write_down, &out), -EBADMSG,
                     "%s", texts[i]);
}
