// SPDX-License-Identifier: Apache-2.0
#include "agent/census.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "tests/unit/agent/run_loop.h"

#define R1 "11111111111111111111111111111111"
#define R2 "22222222222222222222222222222222"

static char proc[] = "/tmp/census_test.XXXXXX";
static struct records *records;
static struct census *census;
static size_t told;

static void put(int pid, const char *file, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%d/%s", proc, pid, file);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static void put_process(int pid, const char *label)
{
    _cleanup_free_ char *stat =
        xasprintf("%d (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 4096 1", pid, pid);

    put(pid, "attr/apparmor/current", label);
    put(pid, "stat", stat);
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void end_process(int pid)
{
    _cleanup_free_ char *path = xasprintf("%s/%d", proc, pid);

    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void set_loaded(const char *name, const char *revision, enum policy_mode mode)
{
    _cleanup_strv_ struct strv names = {0};

    strv_add(&names, name);
    profile_state_set_loaded(&records_add(records, name)->state, revision, &names, mode);
}

static void on_changed(_unused_ void *userdata)
{
    told++;
}

static void setup(void)
{
    alloc_init();
    clock_set_source(&test_clock);
    cr_assert_not_null(mkdtemp(proc));
    put(2, "comm", "kthreadd\n");
    put_process(2, "unconfined\n");
    uv_loop_init(&loop);
    records = records_new();
    census = census_new(&loop, &(struct census_options){.proc = proc,
                                                        .records = records,
                                                        .changed = on_changed});
}

static void teardown(void)
{
    census_free(census);
    records_free(records);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
    nftw(proc, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(census, .init = setup, .fini = teardown, .timeout = 60);

static uint64_t count(const char *name, const char *revision)
{
    return sightings_count(&records_get(records, name)->sightings, revision);
}

/* Nothing is left to be done by itself: the loop ends. */
static void settle(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
}

/* When the next look may be. */
static void look(void)
{
    ahead_ms += CENSUS_SELDOM_MS;
    census_wake(census);
    settle();
}

Test(census, counts_who_runs_under_profiles_in_complain)
{
    set_loaded("web", R1, POLICY_COMPLAIN);
    set_loaded("db", R1, POLICY_ENFORCE);
    put_process(10, "web (complain)\n");
    put_process(11, "web//null-/bin/sh (complain)\n");
    put_process(12, "web//&outer (mixed)\n");
    put_process(13, "db (enforce)\n");
    put_process(14, "webber (complain)\n");
    put_process(15, "unconfined\n");
    census_wake(census);
    settle();
    cr_assert_eq(count("web", R1), 3);
    cr_assert_eq(count("db", R1), 0);
    cr_assert_eq(told, 1);
}

Test(census, is_idle_without_a_profile_in_complain)
{
    set_loaded("db", R1, POLICY_ENFORCE);
    census_wake(census);
    cr_assert_not(uv_loop_alive(&loop), "nothing is read, no timer runs");
    records_add(records, "new")->state.mode = POLICY_COMPLAIN;
    census_wake(census);
    cr_assert_not(uv_loop_alive(&loop), "nothing of it is loaded");
}

/* After a look no timer is left: the next one comes with the next event. */
Test(census, does_not_wake_by_itself)
{
    set_loaded("web", R1, POLICY_COMPLAIN);
    put_process(10, "web (complain)\n");
    census_wake(census);
    settle();
    cr_assert_not(uv_loop_alive(&loop));
    put_process(11, "web (complain)\n");
    census_remind(census);
    cr_assert_not(uv_loop_alive(&loop), "it has just looked");
    ahead_ms += CENSUS_SELDOM_MS;
    census_remind(census);
    settle();
    cr_assert_eq(count("web", R1), 2);
}

/* What comes within the interval is looked at once, at its end. */
Test(census, events_in_between_are_gathered)
{
    struct record *record;

    set_loaded("web", R1, POLICY_COMPLAIN);
    record = records_get(records, "web");
    census_wake(census);
    settle();
    put_process(10, "web (complain)\n");
    ahead_ms += CENSUS_INTERVAL_MS - 100;
    for (int i = 0; i < 100; i++)
        census_wake(census);
    cr_assert_eq(sightings_count(&record->sightings, R1), 0);
    settle();
    cr_assert_eq(count("web", R1), 1);
    cr_assert_not(uv_loop_alive(&loop));
}

/* Each time it is told is a write to the API server. */
Test(census, is_told_in_coarse_steps)
{
    set_loaded("web", R1, POLICY_COMPLAIN);
    for (int pid = 100; pid < 200; pid++) {
        put_process(pid, "web (complain)\n");
        look();
    }
    cr_assert_eq(count("web", R1), 100);
    cr_assert_eq(told, 7, "1, 2, 5, 10, 20, 50, 100");
}

Test(census, what_has_ended_stays_counted_and_a_new_revision_begins_anew)
{
    set_loaded("web", R1, POLICY_COMPLAIN);
    put_process(10, "web (complain)\n");
    put_process(11, "web (complain)\n");
    look();
    end_process(11);
    look();
    cr_assert_eq(count("web", R1), 2);
    set_loaded("web", R2, POLICY_COMPLAIN);
    look();
    cr_assert_eq(count("web", R2), 1);
    set_loaded("web", R2, POLICY_ENFORCE);
    set_loaded("db", R1, POLICY_COMPLAIN);
    look();
    cr_assert_eq(records_get(records, "web")->sightings.len, 0, "it takes no memory any more");
}

/* What cannot be read says nothing, and the next event asks again. */
Test(census, a_proc_that_does_not_show_all_is_not_counted)
{
    set_loaded("web", R1, POLICY_COMPLAIN);
    put_process(10, "web (complain)\n");
    put(2, "comm", "init\n");
    look();
    cr_assert_eq(count("web", R1), 0);
    cr_assert_eq(told, 0);
    put(2, "comm", "kthreadd\n");
    look();
    cr_assert_eq(count("web", R1), 1);
}
