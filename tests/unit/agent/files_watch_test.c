// SPDX-License-Identifier: Apache-2.0
#include "agent/files_watch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

static char root[] = "/tmp/files_watch_test.XXXXXX";
static uv_loop_t loop;
static struct files *files;
static struct files_watch *watch;
static size_t web, any, others;

static void on_file(_unused_ void *userdata, const char *object)
{
    web += object && strcmp(object, "web") == 0;
    any += !object;
}

static void on_other(_unused_ void *userdata)
{
    others++;
}

static void make_folder(void)
{
    cr_assert_eq(fs_mkdirs(files_folder(files), 0755, NULL), 0);
}

static void put(const char *file)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", files_folder(files), file);

    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, "x", 1, 0644, NULL), 0);
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void setup(void)
{
    alloc_init();
    cr_assert_not_null(mkdtemp(root));
    uv_loop_init(&loop);
    files = files_new(root);
}

static void teardown(void)
{
    files_watch_free(watch);
    files_free(files);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(files_watch, .init = setup, .fini = teardown, .timeout = 60);

#define RUN_UNTIL(condition)            \
    do {                                \
        while (!(condition))            \
            uv_run(&loop, UV_RUN_ONCE); \
    } while (0)

Test(files_watch, tells_of_files_of_ours_and_that_there_are_others)
{
    make_folder();
    watch = files_watch_new(&loop, files, on_file, on_other, NULL);
    put("usr.bin.man");
    put("apparmor.io.web.profile");
    RUN_UNTIL(web > 0);
    cr_assert_eq(any, 0);
    cr_assert_geq(others, 1);
    others = 0;
    web = 0;
    /* Through a temporary file, which is nobody's. */
    put("apparmor.io.web.profile");
    RUN_UNTIL(web > 0);
    cr_assert_eq(others, 0);
}

/* By a package manager, or whoever thinks it his own. */
Test(files_watch, a_folder_that_is_replaced_may_have_lost_any_file)
{
    _cleanup_free_ char *aside = xasprintf("%s.old", files_folder(files));

    make_folder();
    put("apparmor.io.web.profile");
    watch = files_watch_new(&loop, files, on_file, on_other, NULL);
    cr_assert_eq(rename(files_folder(files), aside), 0);
    make_folder();
    RUN_UNTIL(any > 0);
    put("apparmor.io.web.profile");
    web = 0;
    RUN_UNTIL(web > 0);
}
