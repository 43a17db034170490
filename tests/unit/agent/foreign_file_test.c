// SPDX-License-Identifier: Apache-2.0
#include "agent/foreign_file.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

static char folder[] = "/tmp/foreign_file_test.XXXXXX";

static void setup(void)
{
    alloc_init();
    cr_assert_not_null(mkdtemp(folder));
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void teardown(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(foreign_file, .init = setup, .fini = teardown, .timeout = 60);

static void put(const char *file, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, file);

    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static void expect(const char *name, const char *expected)
{
    _cleanup_strv_ struct strv names = {0};
    _cleanup_free_ char *found = NULL;

    strv_add(&names, name);
    found = foreign_file_of(folder, &names);
    if (expected)
        cr_expect_str_eq(found ? found : "none", expected, "%s", name);
    else
        cr_expect_null(found, "%s: %s", name, found);
}

Test(foreign_file, finds_the_first_that_declares_it)
{
    put("b", "profile my-app { file, }");
    put("c", "profile my-app { file, }");
    put("a", "# profile my-app { file, }\nprofile other { /my-app r, }");
    expect("my-app", "b");
    expect("other", "a");
    expect("my", NULL);
}

Test(foreign_file, understands_what_files_are_like)
{
    put("many", "abi <abi/4.0>,\ninclude <tunables/global>\n@{X}=/my-app\n"
                "profile one /usr/bin/one flags=(complain) { include <abstractions/base> }\n"
                "profile \"my app\" { profile child { file, } ^hat { file, } }\n");
    expect("my app", "many");
    expect("one", "many");
    expect("child", NULL);
    expect("hat", NULL);
}

Test(foreign_file, what_the_host_skips_declares_nothing)
{
    static const char *const files[] = {"my.dpkg-new", "my~", ".my", "README", "my.rpmsave"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        put(files[i], "profile my-app { file, }");
    put("apparmor.io.my-app.profile", "profile my-app { file, }");
    expect("my-app", NULL);
}

Test(foreign_file, what_is_disabled_declares_nothing)
{
    _cleanup_free_ char *disabled = xasprintf("%s/disable", folder),
                        *link = xasprintf("%s/disable/a", folder);

    put("a", "profile my-app { file, }");
    put("b", "profile my-app { file, }");
    expect("my-app", "a");
    cr_assert_eq(mkdir(disabled, 0755), 0);
    cr_assert_eq(symlink("/nowhere", link), 0);
    expect("my-app", "b");
}

/* What would hang or fill whoever reads it. */
Test(foreign_file, what_is_no_file_of_policy_declares_nothing)
{
    _cleanup_free_ char *fifo = xasprintf("%s/fifo", folder), *link = xasprintf("%s/zero", folder),
                        *large = xcalloc(1, 2 * 1024 * 1024), *path = xasprintf("%s/large", folder),
                        *below = xasprintf("%s/below", folder);

    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_assert_eq(symlink("/dev/zero", link), 0);
    cr_assert_eq(mkdir(below, 0755), 0);
    memset(large, '#', 2 * 1024 * 1024);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, large, 2 * 1024 * 1024, 0644, NULL), 0);
    put("broken", "profile my-app { \"");
    put("binary", "\x01\xff\xfe my-app {{{{{{");
    expect("my-app", NULL);
}

Test(foreign_file, a_folder_that_is_not_there_has_none)
{
    _cleanup_strv_ struct strv names = {0};

    strv_add(&names, "x");
    cr_assert_null(foreign_file_of("/nowhere", &names));
}
