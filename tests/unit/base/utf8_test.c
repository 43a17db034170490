// SPDX-License-Identifier: Apache-2.0
#include "lib/base/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/cleanup.h"

Test(utf8, takes_each_length)
{
    cr_assert_eq(utf8_sequence("a", 1), 1);
    cr_assert_eq(utf8_sequence("\xc3\xa9", 2), 2);
    cr_assert_eq(utf8_sequence("\xe2\x82\xac", 3), 3);
    cr_assert_eq(utf8_sequence("\xf0\x9f\x98\x80", 4), 4);
    cr_assert_eq(utf8_sequence("", 0), 0);
    cr_assert_eq(utf8_sequence("\0", 1), 1);
}

Test(utf8, refuses_what_rfc3629_forbids)
{
    static const char *const bad[] = {
        "\x80",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xc3",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc3(",
        "\xe2(\x82",
        "\xf0\x9f(\x80",
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_eq(utf8_sequence(bad[i], strlen(bad[i])), 0, "case %zu", i);
    cr_assert_not(utf8_valid("ab\xff", 3));
    cr_assert(utf8_valid("ab\xc3\xa9", 4));
}

/* Over all code points: what the encoding's own arithmetic gives is accepted, but for surrogates.
 */
Test(utf8, accepts_every_code_point_and_no_surrogate)
{
    for (unsigned c = 0x800; c < 0x110000; c++) {
        char text[4];
        size_t len = c < 0x10000 ? 3 : 4;
        if (len == 3) {
            text[0] = (char) (0xe0 | c >> 12);
        } else {
            text[0] = (char) (0xf0 | c >> 18);
            text[1] = (char) (0x80 | (c >> 12 & 0x3f));
        }
        text[len - 2] = (char) (0x80 | (c >> 6 & 0x3f));
        text[len - 1] = (char) (0x80 | (c & 0x3f));
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        cr_assert_eq(utf8_sequence(text, len), surrogate ? 0 : len, "U+%04X", c);
    }
}

Test(utf8, cuts_between_characters)
{
    const char *text = "a\xe2\x82\xac"
                       "b";

    cr_assert_eq(utf8_cut(text, 5, 9), 5);
    cr_assert_eq(utf8_cut(text, 5, 4), 4);
    cr_assert_eq(utf8_cut(text, 5, 3), 1);
    cr_assert_eq(utf8_cut(text, 5, 2), 1);
    cr_assert_eq(utf8_cut(text, 5, 1), 1);
    cr_assert_eq(utf8_cut(text, 5, 0), 0);
}

Test(utf8, what_nobody_sees_is_not_visible)
{
    static const char *const hidden[] = {"\n",           "\x1b",         "\x7f",         "\xc2\x9b",
                                         "\xe2\x80\xa8", "\xe2\x80\xae", "\xe2\x81\xa6", "\xff"};

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        cr_assert_eq(utf8_visible(hidden[i], strlen(hidden[i])), 0, "%zu", i);
    cr_assert_eq(utf8_visible("a", 1), 1);
    cr_assert_eq(utf8_visible("ü", 2), 2);
    cr_assert_eq(utf8_visible("…", 3), 3);
}
