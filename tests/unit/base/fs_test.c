// SPDX-License-Identifier: Apache-2.0
#include "lib/base/fs.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"

static char folder[] = "/tmp/fs-test-XXXXXX";
static int dir = -1;

static void enter_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(fs_open_dir(AT_FDCWD, folder, &dir, NULL), 0);
}

static size_t count_entries(void)
{
    DIR *stream = opendir(folder);
    size_t count = 0;

    while (readdir(stream))
        count++;
    closedir(stream);
    return count - 2;
}

static void leave_folder(void)
{
    static const char *const files[] = {"a", "b", "fifo", ".a.tmp", "x/y/z", "link"};
    static const char *const folders[] = {"x/y/z", "x/y", "x", "a", ".a.tmp"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        unlinkat(dir, files[i], 0);
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        unlinkat(dir, folders[i], AT_REMOVEDIR);
    close(dir);
    rmdir(folder);
}

TestSuite(fs, .init = enter_folder, .fini = leave_folder);

static void assert_content(const char *name, const char *expected)
{
    _cleanup_buf_ struct buf buf = BUF_INIT(100);

    cr_assert_eq(fs_read(dir, name, &buf, NULL), 0);
    cr_assert_str_eq(buf_string(&buf), expected);
}

Test(fs, replaces_a_file_atomically)
{
    struct stat st;

    umask(0077);
    cr_assert_eq(fs_write_atomic(dir, "a", "one", 3, 0644, NULL), 0);
    assert_content("a", "one");
    cr_assert_eq(fstatat(dir, "a", &st, 0), 0);
    cr_assert_eq(st.st_mode & 07777, 0644);
    ino_t inode = st.st_ino;
    cr_assert_eq(fs_write_atomic(dir, "a", "two", 3, 0600, NULL), 0);
    assert_content("a", "two");
    fstatat(dir, "a", &st, 0);
    cr_assert_neq(st.st_ino, inode);
    cr_assert_eq(count_entries(), 1);
}

Test(fs, a_stale_temporary_file_is_no_obstacle_and_is_not_followed)
{
    cr_assert_eq(fs_write_atomic(dir, "b", "secret", 6, 0600, NULL), 0);
    cr_assert_eq(symlinkat("b", dir, ".a.tmp"), 0);
    cr_assert_eq(fs_write_atomic(dir, "a", "new", 3, 0600, NULL), 0);
    assert_content("b", "secret");
    assert_content("a", "new");
    cr_assert_eq(count_entries(), 2);
}

Test(fs, a_failed_write_leaves_the_old_file_and_no_temporary)
{
    _cleanup_error_ struct error err = {0};

    /* A folder of that name cannot be replaced by a file. */
    cr_assert_eq(mkdirat(dir, "a", 0700), 0);
    cr_assert_eq(fs_write_atomic(dir, "a", "x", 1, 0600, &err), -EISDIR);
    cr_assert_not_null(strstr(err.message, "cannot replace a"));
    cr_assert_eq(count_entries(), 1);
}

Test(fs, paths_work_as_names)
{
    _cleanup_free_ char *path = xasprintf("%s/a", folder);

    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, "x", 1, 0600, NULL), 0);
    assert_content("a", "x");
    cr_assert_eq(fs_remove(AT_FDCWD, path, NULL), 0);
    cr_assert_eq(count_entries(), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, folder, "x", 1, 0600, NULL), -EISDIR);
}

Test(fs, reading_stops_at_the_ceiling)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_buf_ struct buf exact = BUF_INIT(3), small = BUF_INIT(2);

    cr_assert_eq(fs_write_atomic(dir, "a", "abc", 3, 0600, NULL), 0);
    cr_assert_eq(fs_read(dir, "a", &exact, &err), 0);
    cr_assert_eq(fs_read(dir, "a", &small, &err), -EFBIG);
    cr_assert_str_eq(err.message, "a is larger than 2 bytes");
    cr_assert_eq(fs_read(AT_FDCWD, "/dev/zero", &small, &err), -EFBIG);
    cr_assert_eq(fs_read(dir, "none", &small, &err), -ENOENT);
    cr_assert_str_eq(err.message, "cannot open none: No such file or directory");
}

Test(fs, a_plain_file_is_neither_link_nor_fifo_nor_shared, .timeout = 10)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_buf_ struct buf buf = BUF_INIT(100);

    cr_assert_eq(fs_write_atomic(dir, "a", "abc", 3, 0600, NULL), 0);
    cr_assert_eq(fs_read_plain(dir, "a", &buf, &err), 0);
    cr_assert_str_eq(buf_string(&buf), "abc");
    cr_assert_eq(symlinkat("a", dir, "link"), 0);
    cr_assert_eq(fs_read_plain(dir, "link", &buf, &err), -ELOOP);
    cr_assert_eq(mkfifoat(dir, "fifo", 0600), 0);
    cr_assert_eq(fs_read_plain(dir, "fifo", &buf, &err), -EINVAL);
    cr_assert_str_eq(err.message, "fifo is not a regular file");
    cr_assert_eq(linkat(dir, "a", dir, "b", 0), 0);
    cr_assert_eq(fs_read_plain(dir, "a", &buf, &err), -EMLINK);
    cr_assert_eq(fs_read_plain(dir, "none", &buf, &err), -ENOENT);
}

Test(fs, removing_twice_is_fine)
{
    cr_assert_eq(fs_write_atomic(dir, "a", "", 0, 0600, NULL), 0);
    cr_assert_eq(fs_remove(dir, "a", NULL), 0);
    cr_assert_eq(fs_remove(dir, "a", NULL), 0);
    cr_assert_eq(fs_remove(dir, "no/such/a", NULL), 0);
    cr_assert_eq(fs_remove(dir, "a/", NULL), -EINVAL);
}

Test(fs, makes_missing_parents)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *path = xasprintf("%s/x/y/z", folder);
    _cleanup_free_ char *below = xasprintf("%s/a/c", folder);
    struct stat st;

    cr_assert_eq(fs_mkdirs(path, 0700, &err), 0);
    cr_assert_eq(fs_mkdirs(path, 0700, &err), 0);
    cr_assert_eq(fstatat(dir, "x/y/z", &st, 0), 0);
    cr_assert_eq(fs_mkdirs("/", 0700, &err), 0);
    cr_assert_eq(fs_write_atomic(dir, "a", "", 0, 0600, NULL), 0);
    cr_assert_eq(fs_mkdirs(below, 0700, &err), -ENOTDIR);
    below[strlen(below) - 2] = '\0';
    cr_assert_eq(fs_mkdirs(below, 0700, &err), -ENOTDIR);
    cr_assert_not_null(strstr(err.message, "exists and is not a folder"));
}

Test(fs, writes_all_through_a_small_pipe)
{
    int ends[2];
    static char data[300000], back[300000];
    size_t got = 0;

    memset(data, 'x', sizeof(data));
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(fs_write_all(ends[1], data, sizeof(data)) == 0 ? 0 : 1);
    close(ends[1]);
    for (ssize_t count; (count = read(ends[0], back + got, sizeof(back) - got)) > 0;)
        got += (size_t) count;
    cr_assert_eq(got, sizeof(data));
    cr_assert_eq(fs_write_all(-1, "x", 1), -EBADF);
}
