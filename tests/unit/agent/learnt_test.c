// SPDX-License-Identifier: Apache-2.0
#include "agent/learnt.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "tests/unit/agent/run_loop.h"

/* The kernel is a folder that looks like securityfs. */

static char root[] = "/tmp/learnt_test.XXXXXX";
static struct kernel *kernel;
static struct records *records;
static struct learnt *learnt;
static char *proc;
static size_t told_web, told_db;

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static void put(const char *name, const char *text)
{
    _cleanup_free_ char *path = path_of(name);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static void put_task(int pid, const char *label)
{
    _cleanup_free_ char *current = xasprintf("proc/%d/task/%d/attr/apparmor/current", pid, pid);
    _cleanup_free_ char *stat = xasprintf("proc/%d/task/%d/stat", pid, pid);

    put(current, label);
    put(stat, "1 (x) S 1\n");
}

static void start_kernel(void)
{
    _cleanup_free_ char *fs = path_of("fs");
    _cleanup_free_ char *module = path_of("enabled");
    const struct kernel_options options = {.apparmorfs = fs, .module = module};

    put("enabled", "Y\n");
    put("fs/.replace", "");
    put("fs/features/policy/set_load", "yes");
    put("fs/profiles", "web (enforce)\nweb//null-/bin/sh (complain)\n");
    cr_assert_eq(kernel_new(&loop, &options, &kernel, NULL), 0);
}

static void add_record(const char *name)
{
    struct record *record = records_add(records, name);

    record->marker = xcalloc(1, sizeof(*record->marker));
    record->state.mode = POLICY_ENFORCE;
    strv_add(&record->state.names, name);
}

static void on_changed(_unused_ void *userdata, const char *object)
{
    told_web += strcmp(object, "web") == 0;
    told_db += strcmp(object, "db") == 0;
}

static void setup(void)
{
    alloc_init();
    clock_set_source(&test_clock);
    cr_assert_not_null(mkdtemp(root));
    uv_loop_init(&loop);
    proc = path_of("proc");
    put("proc/2/comm", "kthreadd\n");
    start_kernel();
    records = records_new();
    add_record("web");
    add_record("db");
    learnt = learnt_new(&loop, &(struct learnt_options){.kernel = kernel,
                                                        .proc = proc,
                                                        .records = records,
                                                        .changed = on_changed});
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void teardown(void)
{
    learnt_free(learnt);
    records_free(records);
    kernel_free(kernel);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(proc);
}

TestSuite(learnt, .init = setup, .fini = teardown, .timeout = 60);

static const struct tasks_use *use_of(const char *name)
{
    return &records_get(records, name)->learnt;
}

/* Each time it is told is a write to the API server, for as long as the tasks live. */
Test(learnt, which_tasks_and_how_many_is_told_once_a_minute)
{
    put_task(40, "web//null-/bin/sh (complain)\n");
    learnt_wake(learnt);
    RUN_UNTIL(told_web == 1);
    cr_assert_eq(use_of("web")->count, 1);
    /* Another profile's tells that both have been looked at again. */
    put_task(41, "web//null-/bin/sh (complain)\n");
    put_task(50, "db//null-/bin/sh (complain)\n");
    learnt_wake(learnt);
    RUN_UNTIL(told_db == 1);
    cr_assert_eq(told_web, 1);
    ahead_ms += 60000;
    learnt_wake(learnt);
    RUN_UNTIL(told_web == 2);
    cr_assert_eq(use_of("web")->count, 2);
    /* That none is left is news at once. */
    put("fs/profiles", "web (enforce)\n");
    learnt_wake(learnt);
    RUN_UNTIL(told_web == 3 && told_db == 2);
    cr_assert_not(use_of("web")->used);
}

static bool write_if_read(const char *path)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    return fd >= 0 && write(fd, "web (enforce)\n", 14) == 14;
}

/* Opening a FIFO for reading waits for its writer, as the list does for a stuck policy lock. */
Test(learnt, a_stuck_policy_lock_does_not_hold_the_loop)
{
    _cleanup_free_ char *path = path_of("fs/profiles");

    records_get(records, "web")->learnt.used = true;
    unlink(path);
    cr_assert_eq(mkfifo(path, 0644), 0);
    learnt_wake(learnt);
    RUN_UNTIL(write_if_read(path));
    RUN_UNTIL(told_web == 1);
}
