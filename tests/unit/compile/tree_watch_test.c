// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/tree_watch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/scratch.h"

static const char *const folders[] = {"abstractions", "tunables", NULL};
static struct tree_watch *watch;

static void make_folder(const char *name)
{
    _cleanup_free_ char *path = scratch_path(name);

    cr_assert_eq(mkdir(path, 0755), 0);
}

static void begin(void)
{
    _cleanup_free_ char *program = scratch_path("bin/parser");
    _cleanup_free_ char *base = scratch_path("base");

    tree_watch_begin(watch, program, base, folders);
}

static void open_watch(void)
{
    scratch_make();
    make_folder("bin");
    make_folder("base");
    make_folder("base/abstractions");
    make_folder("base/abstractions/more");
    scratch_put("bin/parser", "x", 0644);
    scratch_put("base/abstractions/a", "x", 0644);
    scratch_put("base/abstractions/more/b", "x", 0644);
    watch = tree_watch_new();
}

static void close_watch(void)
{
    tree_watch_free(watch);
    scratch_remove();
}

TestSuite(tree_watch, .init = open_watch, .fini = close_watch, .timeout = 20);

static void assert_quiet(void)
{
    cr_assert(tree_watch_is_quiet(watch));
}

/* Told once, and from then on, until somebody has looked. */
static void assert_told(void)
{
    cr_assert_not(tree_watch_is_quiet(watch));
    cr_assert_not(tree_watch_is_quiet(watch));
    begin();
    assert_quiet();
}

Test(tree_watch, before_it_begins_it_knows_nothing)
{
    cr_assert_not(tree_watch_is_quiet(watch));
}

Test(tree_watch, what_has_not_changed_is_quiet)
{
    _cleanup_free_ char *path = scratch_path("base/abstractions/a");
    char c;

    begin();
    assert_quiet();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(read(fd, &c, 1), 1);
    close(fd);
    assert_quiet();
}

Test(tree_watch, files_of_the_base_do_not_count)
{
    begin();
    for (int i = 0; i < 200; i++)
        scratch_put("base/apparmor.io.name.profile", "x", 0644);
    make_folder("base/other");
    scratch_put("base/other/x", "x", 0644);
    assert_quiet();
}

Test(tree_watch, each_change_is_told)
{
    _cleanup_free_ char *file = scratch_path("base/abstractions/a");
    _cleanup_free_ char *deep = scratch_path("base/abstractions/more/b");
    _cleanup_free_ char *elsewhere = scratch_path("b");
    _cleanup_free_ char *program = scratch_path("bin/parser");

    begin();
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(write(fd, "y", 1), 1);
    close(fd);
    assert_told();
    cr_assert_eq(chmod(file, 0600), 0);
    assert_told();
    scratch_put("base/abstractions/a", "x", 0644);
    assert_told();
    scratch_put("base/abstractions/new", "x", 0644);
    assert_told();
    cr_assert_eq(rename(deep, elsewhere), 0);
    assert_told();
    make_folder("base/tunables");
    assert_told();
    scratch_put("base/tunables/t", "x", 0644);
    assert_told();
    scratch_put("bin/parser", "x", 0644);
    assert_told();
    cr_assert_eq(truncate(program, 0), 0);
    assert_told();
}

Test(tree_watch, a_folder_that_goes_and_comes_is_told)
{
    _cleanup_free_ char *folder = scratch_path("base/abstractions");
    _cleanup_free_ char *aside = scratch_path("base/aside");

    begin();
    cr_assert_eq(rename(folder, aside), 0);
    assert_told();
    cr_assert_eq(rename(aside, folder), 0);
    assert_told();
    scratch_put("base/abstractions/a", "x", 0644);
    assert_told();
}

Test(tree_watch, a_write_through_memory_is_told)
{
    _cleanup_free_ char *file = scratch_path("base/abstractions/a");

    begin();
    int fd = open(file, O_RDWR | O_CLOEXEC);
    char *memory = mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(memory, MAP_FAILED);
    close(fd);
    memory[0] = 'z';
    munmap(memory, 1);
    assert_told();
}

/* Events are of what was watched, not of what its path leads to now. */
Test(tree_watch, a_link_on_the_way_that_leads_elsewhere_is_told)
{
    _cleanup_free_ char *way = scratch_path("way"), *base = scratch_path("way/base"),
                        *program = scratch_path("way/bin/parser"), *here = scratch_path(".");

    cr_assert_eq(symlink(here, way), 0);
    tree_watch_begin(watch, program, base, folders);
    assert_quiet();
    make_folder("elsewhere");
    make_folder("elsewhere/base");
    make_folder("elsewhere/bin");
    scratch_put("elsewhere/bin/parser", "x", 0644);
    cr_assert_eq(unlink(way), 0);
    cr_assert_eq(symlink("elsewhere", way), 0);
    cr_assert_not(tree_watch_is_quiet(watch));
}

Test(tree_watch, more_events_than_fit_are_told)
{
    begin();
    for (int i = 0; i < 20000; i++) {
        _cleanup_free_ char *name = xasprintf("base/%d", i % 100);
        _cleanup_free_ char *path = scratch_path(name);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        unlink(path);
    }
    assert_told();
}

Test(tree_watch, with_links_it_is_never_sure)
{
    _cleanup_free_ char *link = scratch_path("base/abstractions/link");
    _cleanup_free_ char *folder = scratch_path("base/tunables");

    cr_assert_eq(symlink("../elsewhere", link), 0);
    begin();
    cr_assert_not(tree_watch_is_quiet(watch));
    cr_assert_eq(unlink(link), 0);
    begin();
    assert_quiet();
    cr_assert_eq(symlink("abstractions", folder), 0);
    begin();
    cr_assert_not(tree_watch_is_quiet(watch));
}

Test(tree_watch, with_other_names_of_files_it_is_never_sure)
{
    _cleanup_free_ char *file = scratch_path("base/abstractions/a"), *other = scratch_path("other");

    cr_assert_eq(link(file, other), 0);
    begin();
    cr_assert_not(tree_watch_is_quiet(watch));
}

/* As a file that a container gets from its host. */
Test(tree_watch, with_a_file_mounted_there_it_is_never_sure)
{
    _cleanup_free_ char *file = scratch_path("base/abstractions/a"),
                        *other = scratch_path("bin/parser");

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(other, file, NULL, MS_BIND, NULL) < 0)
        cr_skip_test("mounting needs a right");
    begin();
    cr_assert_not(tree_watch_is_quiet(watch));
    umount(file);
}

Test(tree_watch, without_a_program_or_on_the_files_of_others_it_is_never_sure)
{
    _cleanup_free_ char *base = scratch_path("base");
    _cleanup_free_ char *program = scratch_path("bin/parser");

    tree_watch_begin(watch, "/nonexistent", base, folders);
    cr_assert_not(tree_watch_is_quiet(watch));
    tree_watch_begin(watch, program, "/nonexistent", folders);
    cr_assert_not(tree_watch_is_quiet(watch));
    tree_watch_begin(watch, "/proc/self/exe", base, folders);
    assert_quiet();
    tree_watch_begin(watch, "/proc/version", base, folders);
    cr_assert_not(tree_watch_is_quiet(watch));
}
