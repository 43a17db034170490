// SPDX-License-Identifier: Apache-2.0
#include "agent/processes.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"

#define POD "1f7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5b"
#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER_ID "ff112233445566778899aabbccddeeff00112233445566778899aabbccddee00"
#define INSIDE "0::/kubepods/burstable/pod" POD "/" ID "\n"
#define ELSEWHERE "0::/kubepods/burstable/pod" POD "/" OTHER_ID "\n"
#define OUTSIDE "0::/system.slice/ssh.service\n"

static char proc[] = "/tmp/processes-proc-XXXXXX";
static int64_t now_ms;

static int64_t realtime(_unused_ void *userdata)
{
    return now_ms;
}

static uint64_t monotonic(_unused_ void *userdata)
{
    return 1;
}

static const struct clock_source stopped = {.realtime_ms = realtime, .monotonic_ms = monotonic};

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void put(int pid, const char *file, const char *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%d/%s", proc, pid, file);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

/* A process that has begun so long before now. */
static void put_process(int pid, const char *cgroup, int64_t age_ms)
{
    struct timespec boot;

    clock_gettime(CLOCK_BOOTTIME, &boot);
    int64_t began = (int64_t) boot.tv_sec * 1000 + boot.tv_nsec / 1000000 - age_ms;
    _cleanup_free_ char *stat =
        xasprintf("%d (x y) z) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %lld "
                  "4096 1",
                  pid, (long long) began * sysconf(_SC_CLK_TCK) / 1000);

    put(pid, "cgroup", cgroup);
    put(pid, "stat", stat);
}

static void end_process(int pid)
{
    _cleanup_free_ char *path = xasprintf("%s/%d", proc, pid);

    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(proc));
    /* It is read as nobody. */
    cr_assert_eq(chmod(proc, 0755), 0);
    put(2, "comm", "kthreadd\n");
    now_ms = 1700000000000;
    clock_set_source(&stopped);
}

static void end(void)
{
    clock_set_source(NULL);
    nftw(proc, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(processes, .init = begin, .fini = end);

Test(processes, what_is_in_a_pod_and_what_is_not)
{
    _cleanup_(processes_freep) struct processes *processes = processes_new(proc);
    struct cgroup_place place;

    put_process(10, INSIDE, 60000);
    put_process(11, OUTSIDE, 60000);
    cr_assert_eq(processes_find(processes, 10, now_ms - 5, &place), PROCESS_IN_POD);
    cr_expect_str_eq(place.pod, POD);
    cr_expect_str_eq(place.container, ID);
    cr_expect_eq(processes_find(processes, 11, now_ms - 5, &place), PROCESS_OUTSIDE);
    cr_expect_eq(processes_find(processes, 12, now_ms - 5, &place), PROCESS_UNKNOWN);
    cr_expect_eq(processes_find(processes, 0, now_ms, &place), PROCESS_UNKNOWN);
}

/* Another process has the number by now. */
Test(processes, one_that_began_later_is_not_it)
{
    _cleanup_(processes_freep) struct processes *processes = processes_new(proc);
    struct cgroup_place place;

    put_process(10, INSIDE, 1000);
    cr_expect_eq(processes_find(processes, 10, now_ms - 1500, &place), PROCESS_UNKNOWN);
    cr_expect_eq(processes_find(processes, 10, now_ms - 900, &place), PROCESS_IN_POD);
}

Test(processes, what_was_found_holds_for_a_moment)
{
    _cleanup_(processes_freep) struct processes *processes = processes_new(proc);
    struct cgroup_place place;

    put_process(10, INSIDE, 60000);
    cr_assert_eq(processes_find(processes, 10, now_ms, &place), PROCESS_IN_POD);
    end_process(10);
    /* It had a right to be there when these were made. */
    cr_expect_eq(processes_find(processes, 10, now_ms - 30000, &place), PROCESS_IN_POD);
    cr_expect_eq(processes_find(processes, 10, now_ms + PROCESSES_HOLD_MS, &place), PROCESS_IN_POD);
    cr_expect_eq(processes_find(processes, 10, now_ms + PROCESSES_HOLD_MS + 1, &place),
                 PROCESS_UNKNOWN);
    /* Before it began. */
    cr_expect_eq(processes_find(processes, 10, now_ms - 61000, &place), PROCESS_UNKNOWN);
}

Test(processes, a_number_that_is_taken_again_is_another_process)
{
    _cleanup_(processes_freep) struct processes *processes = processes_new(proc);
    struct cgroup_place place;

    put_process(10, INSIDE, 60000);
    cr_assert_eq(processes_find(processes, 10, now_ms, &place), PROCESS_IN_POD);
    now_ms += 10000;
    put_process(10, ELSEWHERE, 4000);
    cr_assert_eq(processes_find(processes, 10, now_ms, &place), PROCESS_IN_POD);
    cr_expect_str_eq(place.container, OTHER_ID);
    /* Neither: the first had ended at some time, and the second had not begun. */
    cr_expect_eq(processes_find(processes, 10, now_ms - 5000, &place), PROCESS_UNKNOWN);
}

Test(processes, without_the_whole_node_nothing_is_known)
{
    struct cgroup_place place;

    put(2, "comm", "sh\n");
    _cleanup_(processes_freep) struct processes *processes = processes_new(proc);
    put_process(10, INSIDE, 60000);
    cr_expect_eq(processes_find(processes, 10, now_ms, &place), PROCESS_UNKNOWN);
}
