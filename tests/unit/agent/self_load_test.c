// SPDX-License-Identifier: Apache-2.0
#include "agent/self_load.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

/* A folder that looks like securityfs, as in the test of agent/kernel. */
static char root[] = "/tmp/self-load-test-XXXXXX";

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

static void make_tree(void)
{
    alloc_init();
    cr_assert_not_null(mkdtemp(root));
    put("features/policy/set_load", "yes\n");
    put("features/file/mask", "create read write\n");
    put(".replace", "");
    put(".remove", "");
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void remove_tree(void)
{
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(self_load, .init = make_tree, .fini = remove_tree, .timeout = 30);

Test(self_load, writes_what_it_is_given)
{
    _cleanup_free_ char *path = path_of(".replace");
    _cleanup_buf_ struct buf content = BUF_INIT(100);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(self_load(root, "policy", 6, 20000, &err), 0, "%s", error_message(&err));
    cr_assert_eq(fs_read(AT_FDCWD, path, &content, NULL), 0);
    cr_assert_str_eq(buf_string(&content), "policy");
}

Test(self_load, tells_what_the_kernel_says)
{
    _cleanup_free_ char *path = path_of(".replace");
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0755), 0);
    cr_assert_eq(self_load(root, "policy", 6, 20000, &err), -EISDIR);
    cr_assert_not_null(strstr(error_message(&err), "did not load"), "%s", error_message(&err));
}

Test(self_load, does_not_wait_for_ever)
{
    _cleanup_free_ char *path = path_of(".replace");
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(unlink(path), 0);
    /* Without a reader it is not even opened. */
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(self_load(root, "policy", 6, 50, &err), -ETIMEDOUT);
    cr_assert_not_null(strstr(error_message(&err), "stuck"), "%s", error_message(&err));
}

Test(self_load, needs_the_interface)
{
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(self_load("/no/apparmorfs", "policy", 6, 20000, &err), -ENOENT);
    cr_assert_not_null(strstr(error_message(&err), "/no/apparmorfs"), "%s", error_message(&err));
}
