// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/unit/scratch.h"

TestSuite(tree, .init = scratch_make, .fini = scratch_remove, .timeout = 20);

static char *list(void)
{
    struct buf out = BUF_INIT(100000);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(tree_list(scratch, &out, &err), 0, "%s", error_message(&err));
    return buf_take(&out);
}

Test(tree, names_and_contents_count_and_order_does_not)
{
    scratch_put("b/x", "1", 0644);
    scratch_put("a", "2", 0644);
    _cleanup_free_ char *first = list();
    scratch_put("a", "2", 0644);
    scratch_put("b/x", "1", 0644);
    _cleanup_free_ char *same = list();
    scratch_put("b/x", "3", 0644);
    _cleanup_free_ char *other = list();
    scratch_put("b/x", "1", 0644);
    scratch_put("b/y", "", 0644);
    _cleanup_free_ char *more = list();

    cr_assert_str_eq(first, same);
    cr_assert_str_neq(first, other);
    cr_assert_str_neq(first, more);
    cr_assert_lt(strstr(first, "/a\n"), strstr(first, "/b/x\n"));
}

Test(tree, only_files_are_read)
{
    _cleanup_free_ char *fifo = scratch_path("fifo"), *loop = scratch_path("loop"),
                        *dead = scratch_path("dead"), *link = scratch_path("link");

    scratch_put("a", "1", 0644);
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_assert_eq(symlink(".", loop), 0);
    cr_assert_eq(symlink("nowhere", dead), 0);
    _cleanup_free_ char *before = list();
    cr_assert_eq(symlink("a", link), 0);
    _cleanup_free_ char *after = list();

    cr_assert_null(strstr(before, "fifo"));
    cr_assert_null(strstr(before, "loop"));
    cr_assert_not_null(strstr(after, "/link\n"));
}

static char *stamp(void)
{
    struct buf out = BUF_INIT(100000);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(tree_stamp(scratch, &out, &err), 0, "%s", error_message(&err));
    return buf_take(&out);
}

/* Changes within one tick of the clock that stamps files (up to 10 ms) need not show. */
static void wait_for_tick(void)
{
    struct timespec before, now;

    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    do
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_sec == before.tv_sec && now.tv_nsec == before.tv_nsec);
}

Test(tree, a_stamp_shows_each_kind_of_change)
{
    _cleanup_free_ char *file = scratch_path("b/x"), *link = scratch_path("link");
    struct stat st;

    scratch_put("b/x", "1", 0644);
    cr_assert_eq(symlink("b/x", link), 0);
    cr_assert_eq(stat(file, &st), 0);
    _cleanup_free_ char *first = stamp();
    _cleanup_free_ char *same = stamp();
    cr_assert_str_eq(first, same);
    cr_assert_not_null(strstr(first, "/link\n"));

    scratch_put("b/x", "1", 0644);
    _cleanup_free_ char *replaced = stamp();
    cr_assert_str_neq(first, replaced);

    /* In place, with the same size and its old time of modification. */
    wait_for_tick();
    int fd = open(file, O_WRONLY);
    cr_assert_eq(write(fd, "2", 1), 1);
    cr_assert_eq(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
    close(fd);
    _cleanup_free_ char *changed = stamp();
    cr_assert_str_neq(replaced, changed);

    scratch_put("b/y", "", 0644);
    _cleanup_free_ char *more = stamp();
    cr_assert_str_neq(changed, more);
}

Test(tree, a_stamp_reads_nothing)
{
    if (geteuid() == 0)
        cr_assert_eq(setresuid(65534, 65534, 65534), 0);
    cr_assert_eq(access("/etc/shadow", R_OK), -1);
    _cleanup_buf_ struct buf out = BUF_INIT(1000), none = BUF_INIT(1000);
    cr_assert_eq(tree_stamp("/etc/shadow", &out, NULL), 0);
    cr_assert_gt(out.len, 0);
    cr_assert_eq(tree_list("/etc/shadow", &none, NULL), -EACCES);
}

Test(tree, what_is_not_there_is_empty)
{
    _cleanup_buf_ struct buf out = BUF_INIT(100);

    cr_assert_eq(tree_list("/no/such/path", &out, NULL), 0);
    cr_assert_eq(tree_stamp("/no/such/path", &out, NULL), 0);
    cr_assert_eq(out.len, 0);
}

Test(tree, a_single_file_is_a_tree)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1000);
    _cleanup_free_ char *path = scratch_path("a");

    scratch_put("a", "abc", 0644);
    cr_assert_eq(tree_list(path, &out, NULL), 0);
    cr_assert_eq(strncmp(buf_string(&out), "ba7816bf", 8), 0);
}

Test(tree, has_limits)
{
    _cleanup_buf_ struct buf small = BUF_INIT(10), out = BUF_INIT(100000);
    _cleanup_error_ struct error err = {0};

    scratch_put("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/x", "", 0644);
    cr_assert_eq(tree_list(scratch, &out, &err), -ELOOP);
    scratch_put("a", "", 0644);
    _cleanup_free_ char *path = scratch_path("a");
    cr_assert_eq(tree_list(path, &small, &err), -EFBIG);
    cr_assert_eq(tree_stamp(path, &small, &err), -EFBIG);
}
