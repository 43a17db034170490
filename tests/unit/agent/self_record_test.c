// SPDX-License-Identifier: Apache-2.0
#include "agent/self_record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/files.h"
#include "lib/base/alloc.h"
#include "lib/base/fs.h"

static char root[] = "/tmp/self-record-test-XXXXXX";

static void make_root(void)
{
    alloc_init();
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

TestSuite(self_record, .init = make_root, .fini = remove_root, .timeout = 30);

static struct marker sample(void)
{
    return (struct marker){
        .object = (char *) (uintptr_t) "agent",
        .uid = (char *) (uintptr_t) "",
        .revision = "0123456789abcdef0123456789abcdef",
    };
}

static void write_sample(void)
{
    const struct marker marker = sample();
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(self_record_write(root, &marker, "profile x { }\n", 14, &err), 0, "%s",
                 error_message(&err));
}

static char *path(void)
{
    return xasprintf("%s/etc/apparmor.d/apparmor.io.agent", root);
}

Test(self_record, is_read_back)
{
    _cleanup_(marker_freep) struct marker *back = NULL;

    cr_assert_eq(self_record_read(root, &back, NULL), -ENOENT);
    write_sample();
    write_sample();
    cr_assert_eq(self_record_read(root, &back, NULL), 0);
    cr_assert_str_eq(back->revision, sample().revision);
}

Test(self_record, ends_with_the_policy_for_the_hosts_tools)
{
    _cleanup_free_ char *file = path();
    _cleanup_buf_ struct buf content = BUF_INIT(10000);

    write_sample();
    cr_assert_eq(fs_read(AT_FDCWD, file, &content, NULL), 0);
    cr_assert_not_null(strstr(buf_string(&content), "\nprofile x { }\n"));
}

static void count(void *userdata, const char *object _unused_, struct marker *marker,
                  const struct error *why _unused_)
{
    (*(int *) userdata)++;
    marker_free(marker);
}

Test(self_record, is_not_taken_for_an_objects)
{
    _cleanup_(files_freep) struct files *files = files_new(root);
    int objects = 0;

    write_sample();
    cr_assert_eq(files_each(files, count, &objects, NULL), 0);
    cr_assert_eq(objects, 0);
}

Test(self_record, of_another_hand_is_left_alone)
{
    const struct marker marker = sample();
    _cleanup_free_ char *file = path();
    _cleanup_buf_ struct buf content = BUF_INIT(10000);
    _cleanup_error_ struct error err = {0};
    struct marker *back = NULL;

    write_sample();
    cr_assert_eq(fs_write_atomic(AT_FDCWD, file, "precious", 8, 0644, NULL), 0);
    cr_assert_eq(self_record_read(root, &back, &err), -EPERM);
    cr_assert_eq(self_record_write(root, &marker, "", 0, &err), -EPERM);
    cr_assert_not_null(strstr(error_message(&err), "apparmor.io.agent"));
    cr_assert_eq(fs_read(AT_FDCWD, file, &content, NULL), 0);
    cr_assert_str_eq(buf_string(&content), "precious");
}

Test(self_record, is_not_written_through_a_link)
{
    const struct marker marker = sample();
    _cleanup_free_ char *file = path(), *target = xasprintf("%s/target", root);
    _cleanup_error_ struct error err = {0};

    write_sample();
    cr_assert_eq(fs_write_atomic(AT_FDCWD, target, "precious", 8, 0644, NULL), 0);
    cr_assert_eq(unlink(file), 0);
    cr_assert_eq(symlink(target, file), 0);
    cr_assert_eq(self_record_write(root, &marker, "", 0, &err), -EPERM);
}
