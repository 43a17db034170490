// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

static char root[] = "/tmp/tree-test-XXXXXX";

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static void put(const char *name, const char *content)
{
    _cleanup_free_ char *path = path_of(name);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

static void make_root(void)
{
    cr_assert_not_null(mkdtemp(root));
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void remove_root(void)
{
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(tree, .init = make_root, .fini = remove_root, .timeout = 20);

static char *list(void)
{
    struct buf out = BUF_INIT(100000);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(tree_list(root, &out, &err), 0, "%s", error_message(&err));
    return buf_take(&out);
}

Test(tree, names_and_contents_count_and_order_does_not)
{
    put("b/x", "1");
    put("a", "2");
    _cleanup_free_ char *first = list();
    put("a", "2");
    put("b/x", "1");
    _cleanup_free_ char *same = list();
    put("b/x", "3");
    _cleanup_free_ char *other = list();
    put("b/x", "1");
    put("b/y", "");
    _cleanup_free_ char *more = list();

    cr_assert_str_eq(first, same);
    cr_assert_str_neq(first, other);
    cr_assert_str_neq(first, more);
    cr_assert_lt(strstr(first, "/a\n"), strstr(first, "/b/x\n"));
}

Test(tree, only_files_are_read)
{
    _cleanup_free_ char *fifo = path_of("fifo"), *loop = path_of("loop"), *dead = path_of("dead"),
                        *link = path_of("link");

    put("a", "1");
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

    cr_assert_eq(tree_stamp(root, &out, &err), 0, "%s", error_message(&err));
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
    _cleanup_free_ char *file = path_of("b/x"), *link = path_of("link");
    struct stat st;

    put("b/x", "1");
    cr_assert_eq(symlink("b/x", link), 0);
    cr_assert_eq(stat(file, &st), 0);
    _cleanup_free_ char *first = stamp();
    _cleanup_free_ char *same = stamp();
    cr_assert_str_eq(first, same);
    cr_assert_not_null(strstr(first, "/link\n"));

    put("b/x", "1");
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

    put("b/y", "");
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
    _cleanup_free_ char *path = path_of("a");

    put("a", "abc");
    cr_assert_eq(tree_list(path, &out, NULL), 0);
    cr_assert_eq(strncmp(buf_string(&out), "ba7816bf", 8), 0);
}

Test(tree, has_limits)
{
    _cleanup_buf_ struct buf small = BUF_INIT(10), out = BUF_INIT(100000);
    _cleanup_error_ struct error err = {0};

    put("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/x", "");
    cr_assert_eq(tree_list(root, &out, &err), -ELOOP);
    put("a", "");
    _cleanup_free_ char *path = path_of("a");
    cr_assert_eq(tree_list(path, &small, &err), -EFBIG);
    cr_assert_eq(tree_stamp(path, &small, &err), -EFBIG);
}
