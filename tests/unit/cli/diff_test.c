// SPDX-License-Identifier: Apache-2.0
#include "cli/diff.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"

static void expect(const char *a, const char *b, const char *expected)
{
    const struct diff diff = {.old_text = a, .new_text = b, .old_name = "old", .new_name = "new"};
    _cleanup_buf_ struct buf out = BUF_INIT(64 * 1024);

    diff_unified(&diff, &out);
    cr_assert_str_eq(buf_string(&out), expected);
}

Test(diff, equal_texts_have_none)
{
    expect("a\nb\n", "a\nb\n", "");
    expect("", "", "");
}

Test(diff, shows_three_lines_around)
{
    expect("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nnew\n5\n6\n7\n8\n9\n",
           "--- old\n+++ new\n@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+new\n 5\n 6\n 7\n");
}

Test(diff, changes_apart_are_hunks_of_their_own)
{
    expect("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
           "--- old\n+++ new\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
           "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
}

Test(diff, a_last_line_without_its_break)
{
    expect("a\nb", "a\nb\n",
           "--- old\n+++ new\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
    expect("", "a\n", "--- old\n+++ new\n@@ -0,0 +1,1 @@\n+a\n");
}

Test(diff, of_a_part_of_a_file)
{
    const char *const shown[] = {"    profile x {", "    }"};
    const struct diff diff = {.old_text = "profile x {\n}\n",
                              .new_text = "profile x {\n  /a r,\n\n}\n",
                              .old_name = "a/f",
                              .new_name = "b/f",
                              .line = 5,
                              .indent = "    ",
                              .shown = shown};
    _cleanup_buf_ struct buf out = BUF_INIT(64 * 1024);

    diff_unified(&diff, &out);
    cr_assert_str_eq(buf_string(&out), "--- a/f\n+++ b/f\n@@ -6,2 +6,4 @@\n     profile x {\n"
                                       "+      /a r,\n+\n     }\n");
}

/* What patch(1) makes of it is the new text, for many pairs of texts. */
Test(diff, patch_applies_it)
{
    char folder[] = "/tmp/diff_test.XXXXXX";
    unsigned seed = 7;

    cr_assert_not_null(mkdtemp(folder));
    for (unsigned round = 0; round < 40; round++) {
        _cleanup_buf_ struct buf a = BUF_INIT(10000), b = BUF_INIT(10000), out = BUF_INIT(100000);
        _cleanup_free_ char *command =
            xasprintf("cd %s && patch -s -o result old diff && cmp -s result new", folder);
        const char *const names[] = {"old", "new", "diff"};
        const struct buf *const texts[] = {&a, &b, &out};

        for (unsigned i = 0; i < 30; i++) {
            seed = seed * 1103515245 + 12345;
            unsigned what = seed >> 24;
            if (what % 8 != 0)
                buf_addf(&a, "%u\n", what % 5);
            if (what % 7 != 0)
                buf_addf(&b, "%u\n", what % 5);
        }
        diff_unified(&(struct diff){.old_text = buf_string(&a),
                                    .new_text = buf_string(&b),
                                    .old_name = "old",
                                    .new_name = "new"},
                     &out);
        if (out.len == 0)
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            _cleanup_free_ char *path = xasprintf("%s/%s", folder, names[i]);
            FILE *file = fopen(path, "w");

            fputs(buf_string(texts[i]), file);
            fclose(file);
        }
        cr_assert_eq(system(command), 0, "%s\n%s", buf_string(&a), buf_string(&out));
    }
    _cleanup_free_ char *command = xasprintf("rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}
