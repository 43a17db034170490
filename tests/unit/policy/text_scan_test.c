// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/text_scan.h"

#include <criterion/criterion.h>
#include <string.h>

static struct text_scan scan_of(const char *text)
{
    return (struct text_scan){.text = text, .len = strlen(text)};
}

static size_t id_length(const char *text, const char *stops)
{
    struct text_scan scan = scan_of(text);

    text_skip_id(&scan, stops);
    return scan.at;
}

Test(text_scan, ids_go_on_past_braces_escapes_and_inner_commas)
{
    cr_assert_eq(id_length("/a/{b,c}/x r,", ""), strlen("/a/{b,c}/x"));
    cr_assert_eq(id_length("/a, r", ""), strlen("/a"));
    cr_assert_eq(id_length("/a\\ b\\,\\\"c d", ""), strlen("/a\\ b\\,\\\"c"));
    cr_assert_eq(id_length("/a\"b\"", ""), strlen("/a"));
    cr_assert_eq(id_length("a=b", "="), 1);
    cr_assert_eq(id_length("", ""), 0);
}

Test(text_scan, strings_and_lists_end_at_their_own_end)
{
    struct text_scan string = scan_of("\"a \\\" ) b\" c");
    struct text_scan list = scan_of("(a (b) \\) \")\" c) d");
    struct text_scan open_string = scan_of("\"a \\\"");
    struct text_scan open_list = scan_of("(a (b)");

    cr_assert(text_skip_string(&string));
    cr_assert_eq(string.at, strlen("\"a \\\" ) b\""));
    cr_assert(text_skip_list(&list));
    cr_assert_eq(list.at, strlen("(a (b) \\) \")\" c)"));
    cr_assert_not(text_skip_string(&open_string));
    cr_assert_not(text_skip_list(&open_list));
}

Test(text_scan, assignments_end_with_their_line)
{
    struct text_scan plain = scan_of("a b\nc"), continued = scan_of("a \\\n b\nc"),
                     comment = scan_of("a # \\\nc"), string = scan_of("\"a\nb\" c\nd");

    text_skip_assignment(&plain);
    cr_assert_eq(plain.at, 3);
    text_skip_assignment(&continued);
    cr_assert_eq(continued.at, strlen("a \\\n b"));
    text_skip_assignment(&comment);
    cr_assert_eq(comment.at, strlen("a # \\"));
    text_skip_assignment(&string);
    cr_assert_eq(string.at, strlen("\"a\nb\" c"));
}

Test(text_scan, space_holds_comments)
{
    struct text_scan scan = scan_of(" # a\n\t\r\n # b\nc");

    text_skip_space(&scan);
    cr_assert_eq(text_peek(&scan, 0), 'c');
    cr_assert_eq(text_line(&scan), 4);
}
