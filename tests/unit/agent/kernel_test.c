// SPDX-License-Identifier: Apache-2.0
#include "agent/kernel.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

/*
 * A folder that looks like securityfs: reading back is plain file reading. A FIFO in the place of
 * .replace is a write that does not return until somebody reads, as with a stuck kernel. What the
 * kernel itself does is tested in guests with AppArmor.
 */
static char root[] = "/tmp/kernel-test-XXXXXX";
static uv_loop_t loop;

static void put(const char *name, const char *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", root, name);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static void make_tree(void)
{
    alloc_init();
    uv_loop_init(&loop);
    cr_assert_not_null(mkdtemp(root));
    put("enabled", "Y\n");
    put("fs/features/policy/set_load", "yes\n");
    put("fs/features/file/mask", "create read write\n");
    put("fs/.replace", "");
    put("fs/.remove", "");
    put("fs/policy/profiles/web.1/name", "web\n");
    put("fs/policy/profiles/web.1/mode", "enforce\n");
    put("fs/policy/profiles/web.1/sha1", "a9993e364706816aba3e25717850c26c9cd0d89d\n");
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void remove_tree(void)
{
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(kernel, .init = make_tree, .fini = remove_tree, .timeout = 30);

static struct kernel *open_kernel(uint64_t write_deadline_ms)
{
    _cleanup_free_ char *fs = path_of("fs"), *module = path_of("enabled");
    const struct kernel_options options = {.apparmorfs = fs,
                                           .module = module,
                                           .write_deadline_ms = write_deadline_ms};
    _cleanup_error_ struct error err = {0};
    struct kernel *kernel = NULL;

    cr_assert_eq(kernel_new(&loop, &options, &kernel, &err), 0, "%s", error_message(&err));
    return kernel;
}

static void assert_unusable(const char *reason, const char *message)
{
    _cleanup_free_ char *fs = path_of("fs"), *module = path_of("enabled");
    const struct kernel_options options = {.apparmorfs = fs, .module = module};
    _cleanup_error_ struct error err = {0};
    struct kernel *kernel = NULL;

    cr_assert_eq(kernel_new(&loop, &options, &kernel, &err), -EOPNOTSUPP);
    cr_assert_null(kernel);
    cr_assert_str_eq(error_reason(&err, ""), reason);
    cr_assert_not_null(strstr(error_message(&err), message), "%s", error_message(&err));
}

Test(kernel, a_node_without_apparmor_says_what_to_do)
{
    _cleanup_free_ char *replace = path_of("fs/.replace"), *module = path_of("enabled");

    unlink(replace);
    assert_unusable("SecurityfsMissing", "mount securityfs");
    put("enabled", "N\n");
    assert_unusable("AppArmorDisabled", "apparmor=1");
    unlink(module);
    assert_unusable("AppArmorDisabled", "cannot be read");
}

Test(kernel, names_its_features_folder)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    _cleanup_free_ char *features = path_of("fs/features");

    cr_assert_str_eq(kernel_features_path(kernel), features);
    cr_assert_not(kernel_stuck(kernel));
}

Test(kernel, tells_where_its_profiles_are)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    _cleanup_free_ char *expected = path_of("fs/policy/profiles");
    _cleanup_free_ char *path = kernel_profiles_path(kernel);

    cr_assert_str_eq(path, expected);
}

/* --- writes --- */

struct outcome {
    int calls;
    struct error err;
};

static void record(void *userdata, const struct error *err)
{
    struct outcome *outcome = userdata;

    outcome->calls++;
    error_copy(&outcome->err, err);
    /* A turn of the loop must not wait for more once this has been called. */
    uv_stop(&loop);
}

/* While a write is stuck the loop has work that never ends. */
static void run_until(const int *calls)
{
    while (*calls == 0)
        uv_run(&loop, UV_RUN_DEFAULT);
}

/* Until nothing is left to do. */
static void run_all(void)
{
    while (uv_run(&loop, UV_RUN_DEFAULT))
        ;
}

static void assert_content(const char *name, const char *expected)
{
    _cleanup_free_ char *path = path_of(name);
    _cleanup_buf_ struct buf text = BUF_INIT(1000);

    cr_assert_eq(fs_read(AT_FDCWD, path, &text, NULL), 0);
    cr_assert_str_eq(buf_string(&text), expected);
}

Test(kernel, writes_reach_the_files_of_the_kernel)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    struct outcome load = {0}, removal = {0};
    char data[] = "compiled policy";

    kernel_load(kernel, data, strlen(data), record, &load);
    memset(data, 'x', strlen(data));
    kernel_remove(kernel, "web", UINT64_MAX, record, &removal);
    cr_assert_eq(load.calls + removal.calls, 0, "never from inside");
    run_all();
    cr_assert_eq(load.calls, 1);
    cr_assert_eq(load.err.code, 0, "%s", error_message(&load.err));
    cr_assert_eq(removal.calls, 1);
    cr_assert_eq(removal.err.code, 0, "%s", error_message(&removal.err));
    assert_content("fs/.replace", "compiled policy");
    assert_content("fs/.remove", "web");
}

Test(kernel, a_refusal_is_told)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    _cleanup_free_ char *replace = path_of("fs/.replace");
    struct outcome load = {0};

    /* A folder cannot be opened for writing. */
    unlink(replace);
    cr_assert_eq(mkdir(replace, 0755), 0);
    kernel_load(kernel, "x", 1, record, &load);
    run_all();
    cr_assert_eq(load.calls, 1);
    cr_assert_eq(load.err.code, -EISDIR);
    cr_assert_str_eq(error_reason(&load.err, ""), "KernelRefused");
    error_done(&load.err);
}

static void make_fifo(const char *name)
{
    _cleanup_free_ char *path = path_of(name);

    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
}

/* Opening a FIFO for writing waits for a reader, as a write waits for the kernel's lock. */
Test(kernel, a_write_that_does_not_return_is_given_up_and_seen)
{
    struct kernel *kernel = open_kernel(100);
    _cleanup_free_ char *replace = path_of("fs/.replace");
    struct outcome first = {0}, second = {0}, third = {0};

    make_fifo("fs/.replace");
    kernel_load(kernel, "one", 3, record, &first);
    kernel_load(kernel, "two", 3, record, &second);
    run_until(&first.calls);
    run_until(&second.calls);
    cr_assert(kernel_stuck(kernel));
    cr_assert_eq(first.err.code, -ETIMEDOUT);
    cr_assert_str_eq(error_reason(&first.err, ""), "KernelStuck");
    cr_assert_eq(second.err.code, -ETIMEDOUT);
    kernel_remove(kernel, "x", UINT64_MAX, record, &third);
    run_until(&third.calls);
    cr_assert_eq(third.err.code, -ETIMEDOUT);

    /* The lock comes free: the state goes, nobody is called twice, writes work again. */
    _cleanup_close_ int reader = open(replace, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert_geq(reader, 0);
    run_all();
    cr_assert_not(kernel_stuck(kernel));
    cr_assert_eq(first.calls, 1);
    error_done(&third.err);
    kernel_remove(kernel, "x", UINT64_MAX, record, &third);
    run_all();
    cr_assert_eq(third.calls, 2);
    cr_assert_eq(third.err.code, 0);
    error_done(&first.err);
    error_done(&second.err);
    kernel_free(kernel);
}

static uint64_t now_ms = 1000;

static uint64_t test_now(_unused_ void *userdata)
{
    return now_ms;
}

Test(kernel, a_removal_whose_time_is_over_is_not_begun)
{
    static const struct clock_source source = {.monotonic_ms = test_now};
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    struct outcome late = {0}, in_time = {0};

    clock_set_source(&source);
    kernel_remove(kernel, "late", now_ms + 100, record, &late);
    kernel_remove(kernel, "in-time", now_ms + 101, record, &in_time);
    now_ms += 101; /* other writes have taken that long */
    run_all();
    clock_set_source(NULL);
    cr_assert_eq(late.err.code, -ETIME);
    cr_assert_not_null(strstr(error_message(&late.err), "late"));
    cr_assert_eq(in_time.err.code, 0);
    assert_content("fs/.remove", "in-time");
    error_done(&late.err);
}

Test(kernel, may_be_freed_while_a_write_is_stuck)
{
    struct kernel *kernel = open_kernel(50);
    _cleanup_free_ char *replace = path_of("fs/.replace");
    struct outcome load = {0}, waiting = {0};

    make_fifo("fs/.replace");
    kernel_load(kernel, "one", 3, record, &load);
    run_until(&load.calls);
    kernel_load(kernel, "two", 3, record, &waiting);
    kernel_free(kernel);
    _cleanup_close_ int reader = open(replace, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert_geq(reader, 0);
    run_all();
    cr_assert_eq(load.calls, 1);
    cr_assert_eq(waiting.calls, 0);
    error_done(&load.err);
}

/* --- revisions --- */

static bool foreign; /* as last told */

static void count(void *userdata, bool is_foreign)
{
    ++*(int *) userdata;
    foreign = is_foreign;
    uv_stop(&loop);
}

/* Revisions are written to it; 1 is the present one. The caller closes it. */
static int watch_revisions(struct kernel *kernel, int *changes)
{
    _cleanup_free_ char *path = path_of("fs/revision");
    int writer;

    make_fifo("fs/revision");
    writer = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(fs_write_all(writer, "1\n", 2), 0);
    cr_assert_eq(kernel_watch(kernel, count, changes, NULL), 0);
    return writer;
}

static void change(int fd, const char *revision, int *changes)
{
    *changes = 0;
    cr_assert_eq(fs_write_all(fd, revision, strlen(revision)), 0);
    run_until(changes);
}

Test(kernel, a_new_revision_is_noticed)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    int changes = 0;

    _cleanup_close_ int writer = watch_revisions(kernel, &changes);
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(changes, 0, "the present one is no change");
    cr_assert_eq(fs_write_all(writer, "2\n3\n", 4), 0);
    run_until(&changes);
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(changes, 1, "several changes are one");
    cr_assert_eq(fs_write_all(writer, "4\n", 2), 0);
    changes = 0;
    run_until(&changes);
}

Test(kernel, own_writes_are_told_from_those_of_others)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    struct outcome load = {0};
    int changes = 0;

    _cleanup_close_ int writer = watch_revisions(kernel, &changes);

    kernel_load(kernel, "x", 1, record, &load);
    run_until(&load.calls);
    change(writer, "2\n", &changes);
    cr_assert_not(foreign);
    change(writer, "3\n", &changes);
    cr_assert(foreign);
    change(writer, "4\n", &changes);
    cr_assert(foreign, "until all is read back");
    kernel_settle(kernel);
    change(writer, "5\n", &changes);
    cr_assert(foreign);
    kernel_settle(kernel);
    load.calls = 0;
    kernel_load(kernel, "x", 1, record, &load);
    run_until(&load.calls);
    change(writer, "7\n", &changes);
    cr_assert(foreign, "one of the two is not ours");
}

Test(kernel, what_a_write_does_after_it_was_given_up_is_told_as_anothers)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(100);
    _cleanup_free_ char *replace = path_of("fs/.replace");
    struct outcome load = {0};
    int changes = 0;

    make_fifo("fs/.replace");
    _cleanup_close_ int writer = watch_revisions(kernel, &changes);
    kernel_load(kernel, "x", 1, record, &load);
    run_until(&load.calls);
    cr_assert_eq(load.err.code, -ETIMEDOUT);
    error_done(&load.err);

    _cleanup_close_ int reader = open(replace, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert_eq(fs_write_all(writer, "2\n", 2), 0);
    while (kernel_stuck(kernel))
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert(foreign);
}

Test(kernel, a_change_that_comes_just_before_all_is_read_back_is_told_no_less)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    int changes = 0;

    _cleanup_close_ int writer = watch_revisions(kernel, &changes);
    cr_assert_eq(fs_write_all(writer, "2\n", 2), 0);
    kernel_settle(kernel);
    run_until(&changes);
    cr_assert(foreign);
}

Test(kernel, what_others_do_during_a_write_is_told_at_its_end)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    _cleanup_free_ char *replace = path_of("fs/.replace");
    struct outcome load = {0};
    int changes = 0;

    make_fifo("fs/.replace");
    _cleanup_close_ int writer = watch_revisions(kernel, &changes);
    kernel_load(kernel, "x", 1, record, &load);
    change(writer, "2\n", &changes);
    cr_assert_not(foreign, "it may be the write that runs");
    cr_assert_eq(fs_write_all(writer, "3\n", 2), 0);
    _cleanup_close_ int reader = open(replace, O_RDONLY | O_CLOEXEC);
    run_until(&load.calls);
    cr_assert(foreign);
}

Test(kernel, a_revision_that_cannot_be_watched_is_an_error)
{
    _cleanup_(kernel_freep) struct kernel *kernel = open_kernel(0);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kernel_watch(kernel, count, NULL, &err), -ENOENT);
    put("fs/revision", "1\n");
    cr_assert_eq(kernel_watch(kernel, count, NULL, &err), -EPERM);
    cr_assert_not_null(strstr(err.message, "cannot poll"));
}
