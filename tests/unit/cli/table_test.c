// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char *const header[] = {"NAME", "N", "LAST", NULL};

static void expect(const struct table *table, bool colour, const char *expected)
{
    size_t len;
    char *text = NULL;
    FILE *stream = open_memstream(&text, &len);

    table_print(table, stream, colour, 2);
    fclose(stream);
    cr_assert_str_eq(text, expected);
    free(text);
}

Test(table, columns_are_as_wide_as_their_widest_cell)
{
    _cleanup_(table_freep) struct table *table = table_new(header);

    table_add(table, "a-long-name");
    table_add_count(table, 1000);
    table_add(table, "x");
    table_add(table, "ü");
    table_add_count(table, 2);
    table_add(table, NULL);
    expect(table, false,
           "  NAME         N     LAST\n"
           "  a-long-name  1000  x\n"
           "  ü            2     -\n");
    cr_assert_eq(table_rows(table), 2);
}

Test(table, nothing_without_rows)
{
    _cleanup_(table_freep) struct table *table = table_new(header);

    expect(table, true, "");
}

Test(table, colour_does_not_count_as_width)
{
    static const char *const two[] = {"A", "B", NULL};
    _cleanup_(table_freep) struct table *table = table_new(two);

    table_add_coloured(table, COLOUR_RED, "bad");
    table_add(table, "x");
    expect(table, true, "  \x1b[2mA\x1b[0m    \x1b[2mB\x1b[0m\n  \x1b[31mbad\x1b[0m  x\n");
}

Test(table, what_would_steer_the_terminal_is_written_out)
{
    static const char *const two[] = {"A", "B", NULL};
    _cleanup_(table_freep) struct table *table = table_new(two);

    table_add(table, "\x1b[2J\n\xff\xc2\x9b");
    table_add(table, "\xe2\x80\xae"
                     "x");
    expect(table, false,
           "  A                      B\n"
           "  \\x1b[2J\\n\\xff\\xc2\\x9b  \\xe2\\x80\\xaex\n");
}
