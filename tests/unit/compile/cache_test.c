// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/cache.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

/* Room for two entries of 200 bytes with their heads, not for three. */
#define SIZE_MAX_OF_TEST 700

static char root[] = "/tmp/cache_test.XXXXXX";
static char *folder;
static struct cache *cache;

static void setup(void)
{
    alloc_init();
    cr_assert(mkdtemp(root));
    folder = xasprintf("%s/var/cache", root);
    cache = cache_new(folder, SIZE_MAX_OF_TEST);
}

static void teardown(void)
{
    _cleanup_free_ char *command = xasprintf("rm -rf %s", root);

    cache_free(cache);
    free(folder);
    cr_assert_eq(system(command), 0);
}

static size_t bytes_kept(void)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    size_t size = 0;
    struct stat st;

    cr_assert_not_null(dir);
    while ((entry = readdir(dir)))
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            size += (size_t) st.st_size;
    closedir(dir);
    return size;
}

TestSuite(cache, .init = setup, .fini = teardown);

static void put(const char *key, char fill, size_t len)
{
    _cleanup_free_ char *data = xcalloc(1, len + 1);
    _cleanup_error_ struct error err = {0};

    memset(data, fill, len);
    cr_assert_eq(cache_put(cache, key, data, len, &err), 0, "%s", error_message(&err));
}

static int get(const char *key, struct buf *out)
{
    _cleanup_error_ struct error err = {0};

    *out = BUF_INIT(SIZE_MAX_OF_TEST);
    return cache_get(cache, key, out, &err);
}

static bool has(const char *key)
{
    _cleanup_buf_ struct buf out;

    return get(key, &out) == 0;
}

static char *file_of(const char *key)
{
    return xasprintf("%s/%s.policy", folder, key);
}

/* Makes the entry the one that was not used for longest. */
static void make_old(const char *key)
{
    _cleanup_free_ char *file = file_of(key);
    const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1}};

    cr_assert_eq(utimensat(AT_FDCWD, file, times, 0), 0);
}

Test(cache, gives_back_what_was_put)
{
    _cleanup_buf_ struct buf out;

    cr_assert_not(has("a"), "a folder that is not there is an empty cache");
    put("a", 'x', 200);
    put("b", '\0', 10);
    cr_assert_eq(get("a", &out), 0);
    cr_assert_eq(out.len, 200);
    cr_assert_eq(strspn(out.data, "x"), 200);
    cr_assert(has("b"));
    cr_assert_not(has("c"));
    put("a", 'y', 3);
    buf_done(&out);
    cr_assert_eq(get("a", &out), 0);
    cr_assert_str_eq(buf_string(&out), "yyy");
}

Test(cache, is_nobody_elses)
{
    struct stat st;

    put("a", 'x', 10);
    cr_assert_eq(stat(folder, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    cr_assert_eq(chmod(folder, 0770), 0);
    cr_assert_not(has("a"));
    cr_assert_eq(cache_put(cache, "b", "x", 1, NULL), -EPERM);
    cr_assert_eq(chmod(folder, 0700), 0);
    cr_assert(has("a"));
}

/* Each way of cutting an entry short, and each byte of it changed. */
Test(cache, never_gives_what_is_damaged)
{
    _cleanup_free_ char *file = file_of("a");
    _cleanup_buf_ struct buf whole = BUF_INIT(SIZE_MAX_OF_TEST);

    put("a", 'x', 20);
    cr_assert_eq(fs_read(AT_FDCWD, file, &whole, NULL), 0);
    for (size_t i = 0; i < whole.len; i++) {
        cr_assert_eq(fs_write_unsynced(AT_FDCWD, file, whole.data, i, 0600, NULL), 0);
        cr_assert_not(has("a"), "%zu bytes of %zu", i, whole.len);
        cr_assert_eq(access(file, F_OK), -1, "it is gone");
        whole.data[i] = (char) ~whole.data[i];
        cr_assert_eq(fs_write_unsynced(AT_FDCWD, file, whole.data, whole.len, 0600, NULL), 0);
        cr_assert_not(has("a"), "byte %zu", i);
        whole.data[i] = (char) ~whole.data[i];
    }
    cr_assert_eq(fs_write_unsynced(AT_FDCWD, file, whole.data, whole.len, 0600, NULL), 0);
    cr_assert(has("a"));
}

Test(cache, follows_no_link)
{
    _cleanup_free_ char *file = file_of("a"), *other = file_of("b");

    put("b", 'x', 20);
    cr_assert_eq(symlink(other, file), 0);
    cr_assert_not(has("a"));
    cr_assert(has("b"), "the link is gone, not what it leads to");
    cr_assert_eq(symlink(other, file), 0);
    put("a", 'y', 20);
    _cleanup_buf_ struct buf out;
    cr_assert_eq(get("b", &out), 0);
    cr_assert_eq(out.data[0], 'x');
}

Test(cache, drops_what_was_not_used_for_longest)
{
    put("a", 'a', 200);
    put("b", 'b', 200);
    make_old("b");
    make_old("a");
    cr_assert(has("a"), "which makes it the newer one");
    put("c", 'c', 200);
    cr_assert(has("a"));
    cr_assert_not(has("b"));
    cr_assert(has("c"));
}

Test(cache, stays_within_its_size)
{
    _cleanup_free_ char *left = xasprintf("%s/.x.policy.tmp", folder);
    char rest[400] = {0};

    put("a", 'a', 200);
    put("b", 'b', SIZE_MAX_OF_TEST);
    cr_assert_not(has("b"), "more than all that is kept");
    cr_assert(has("a"));
    /* What a crash has left counts, too. */
    cr_assert_eq(fs_write_unsynced(AT_FDCWD, left, rest, sizeof(rest), 0600, NULL), 0);
    make_old("a");
    cache_free(cache);
    cache = cache_new(folder, SIZE_MAX_OF_TEST);
    put("c", 'c', 100);
    cr_assert_not(has("a"));
    cr_assert(has("c"));
}

Test(cache, stays_within_its_size_however_much_comes)
{
    char key[8];

    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        put(key, 'x', 100);
        cr_assert(has(key));
        cr_assert_leq(bytes_kept(), SIZE_MAX_OF_TEST);
    }
    cr_assert_gt(bytes_kept(), SIZE_MAX_OF_TEST / 2);
}

Test(cache, says_why_it_cannot_be_written)
{
    _cleanup_free_ char *file = xasprintf("%s/var", root);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(fs_write_unsynced(AT_FDCWD, file, "", 0, 0600, NULL), 0);
    cr_assert_lt(cache_put(cache, "a", "x", 1, &err), 0);
    cr_assert_not_null(strstr(error_message(&err), file), "%s", error_message(&err));
}

Test(cache, without_one_nothing_is_kept)
{
    _cleanup_buf_ struct buf out = BUF_INIT(64);

    cr_assert_eq(cache_put(NULL, "k", "x", 1, NULL), 0);
    cr_assert_eq(cache_get(NULL, "k", &out, NULL), -ENOENT);
    cr_assert_eq(out.len, 0);
}
