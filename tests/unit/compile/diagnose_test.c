// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/diagnose.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

#define F "/proc/self/fd/7"

static const char text[] = "profile web {\n  @{FOO}/x r,\n  capability net_foo,\n}\n";
/* Stands for the strings in the parser's program. */
static const char vocabulary[] =
    "\0syntax error, unexpected TOK_CLOSE, expecting TOK_END_OF_RULE\0Invalid capability %s.\0"
    "Found reference to variable %s, but is never declared\0Could not open '%s'\0"
    "%s: has merged rule %s with conflicting x modifiers\0profile\0ERROR\0";

static void assert_says(const char *output, const char *expected)
{
    const struct diagnose_options options = {
        .file = F,
        .includes = "/etc/apparmor.d",
        .text = text,
        .text_len = strlen(text),
        .parser = vocabulary,
        .parser_len = sizeof(vocabulary),
    };
    _cleanup_free_ char *message = diagnose(&options, output);

    cr_assert_str_eq(message, expected);
}

#define AT(place, message) \
    "AppArmor parser error for " F " in profile " place " at line " message "\n"
#define NOTHING "apparmor_parser refuses the policy and does not say why"

Test(diagnose, points_at_lines_of_the_policy)
{
    assert_says(AT(F, "3: syntax error, unexpected TOK_CLOSE, expecting TOK_END_OF_RULE"),
                "line 3: syntax error, unexpected TOK_CLOSE, expecting TOK_END_OF_RULE");
    assert_says("AppArmor parser error for " F " at line 12: Invalid capability net_foo.\n",
                "line 12: Invalid capability net_foo.");
    assert_says("AppArmor parser error for " F " in " F " at line 12: syntax error\n",
                "line 12: syntax error");
}

Test(diagnose, names_shipped_includes)
{
    assert_says(AT("/etc/apparmor.d/abstractions/ssl-certs.d/x", "4: syntax error"),
                "abstractions/ssl-certs.d/x, line 4: syntax error");
    assert_says(AT("/etc/apparmor.d/abstractions/a b", "4: syntax error"), NOTHING);
}

Test(diagnose, drops_what_points_elsewhere)
{
    assert_says(AT("/etc/shadow", "1: Invalid capability root."), NOTHING);
    assert_says(AT("/etc/apparmor.d/../shadow", "1: Invalid capability root."), NOTHING);
    assert_says(AT("/etc/apparmor.dx/y", "1: syntax error"), NOTHING);
    assert_says(AT(F "x", "1: syntax error"), NOTHING);
    assert_says("AppArmor parser error for /etc/shadow at line 1: syntax error\n", NOTHING);
    assert_says("AppArmor parser error at line 1: syntax error\n", NOTHING);
    assert_says(AT(F, "x: syntax error"), NOTHING);
    assert_says(AT(F, "3 syntax error"), NOTHING);
}

Test(diagnose, words_of_neither_policy_nor_parser_do_not_get_out)
{
    assert_says(AT(F, "3: Invalid capability hunter2."), "line 3: Invalid capability ….");
    assert_says(AT(F, "3: Could not open '/run/secrets/token'"), "line 3: Could not open '…'");
    assert_says("hunter2 xyzzy\n", "… …");
    /* Not even as a part of the parser's words. */
    assert_says(AT(F, "3: Invalid capability apabilit."), "line 3: Invalid capability ….");
    assert_says(AT(F, "3: Invalid capability \xff\x1b[2J."), "line 3: Invalid capability ….");
}

Test(diagnose, variables_are_found_in_the_policy)
{
    assert_says("Found reference to variable FOO, but is never declared\n",
                "line 2: Found reference to variable FOO, but is never declared");
    assert_says("Found reference to variable BAR, but is never declared\n",
                "Found reference to variable …, but is never declared");
}

Test(diagnose, messages_without_a_line_are_kept_when_there_is_no_better)
{
    assert_says("profile web: has merged rule @{FOO}/x with conflicting x modifiers\n",
                "profile web: has merged rule @{FOO}/x with conflicting x modifiers");
    assert_says("ERROR profile web//capability\n", "ERROR profile web//capability");
    assert_says("ERROR profile web//hunter2\n", "ERROR profile …");
    assert_says("ERROR profile web\n" AT(F, "3: syntax error"), "line 3: syntax error");
    assert_says("apparmor_parser: ERROR profile " F "\nsyntax error",
                "ERROR profile spec.policy; syntax error");
}

Test(diagnose, warnings_are_no_errors)
{
    assert_says("Warning from " F " (" F " line 2): syntax error\n" AT(F, "3: syntax error"),
                "line 3: syntax error");
    assert_says("", NOTHING);
    assert_says("\n\n", NOTHING);
}

Test(diagnose, has_an_end)
{
    _cleanup_buf_ struct buf output = BUF_INIT(200000);
    const struct diagnose_options options = {
        .file = F, .includes = "/", .text = "x", .text_len = 1, .parser = "x", .parser_len = 1};

    while (buf_add_string(&output, AT(F, "3: x x x x x x x x x x x x x x x x x")) == 0)
        ;
    _cleanup_free_ char *message = diagnose(&options, buf_string(&output));
    cr_assert_leq(strlen(message), 1000);
    cr_assert_gt(strlen(message), 900);
}
