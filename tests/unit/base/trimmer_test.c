// SPDX-License-Identifier: Apache-2.0
#include "lib/base/trimmer.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/code_pages.h"
#include "lib/base/loop.h"

#define BLOCKS 20000
#define BLOCK 512

static uv_loop_t loop;

static void open_loop(void)
{
    alloc_init();
    uv_loop_init(&loop);
}

static void close_loop(void)
{
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(trimmer, .init = open_loop, .fini = close_loop, .timeout = 30);

static size_t resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    size_t size, resident;

    cr_assert_eq(fscanf(file, "%zu %zu", &size, &resident), 2);
    fclose(file);
    return resident * (size_t) sysconf(_SC_PAGESIZE) / 1024;
}

/* Small blocks, the last of which stays: the heap ends above what is free. */
static void *leave_holes(void)
{
    static void *blocks[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = memset(xmalloc(BLOCK), 1, BLOCK);
    for (size_t i = 0; i < BLOCKS - 1; i++)
        free(blocks[i]);
    return blocks[BLOCKS - 1];
}

Test(trimmer, what_a_burst_has_left_goes_back_to_the_system)
{
    struct trimmer *trimmer = trimmer_new(&loop, NULL, NULL);
    _cleanup_free_ void *last = leave_holes();
    size_t before = resident_kib();

#ifdef __SANITIZE_ADDRESS__
    trimmer_free(trimmer);
    cr_skip_test("AddressSanitizer keeps what is freed");
#endif
    trimmer_worked(trimmer);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_lt(resident_kib() + BLOCKS * BLOCK / 1024 / 2, before);
    trimmer_free(trimmer);
}

static bool busy_twice(void *userdata)
{
    return ++*(unsigned *) userdata <= 2;
}

Test(trimmer, it_waits_for_the_end_of_the_burst_and_then_rests)
{
    unsigned asked = 0;
    struct trimmer *trimmer = trimmer_new(&loop, busy_twice, &asked);

    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(asked, 0);
    trimmer_worked(trimmer);
    trimmer_worked(trimmer);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(asked, 3);
    trimmer_free(trimmer);
}

static size_t resident_of_files_kib(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[200];
    size_t kib = 0;

    while (fgets(line, sizeof(line), file))
        (void) !sscanf(line, "RssFile: %zu", &kib);
    fclose(file);
    return kib;
}

Test(trimmer, code_that_nobody_runs_is_out_of_the_way)
{
    struct trimmer *trimmer = trimmer_new(&loop, NULL, NULL);
    size_t before = resident_of_files_kib(), after;

    trimmer_worked(trimmer);
    uv_run(&loop, UV_RUN_DEFAULT);
    after = resident_of_files_kib();
    cr_assert_lt(after, before / 2, "%zu KiB, of %zu before", after, before);
    trimmer_free(trimmer);
}

static void *work(void *userdata)
{
    const bool *over = userdata;
    unsigned long sum = 0;

    while (!__atomic_load_n(over, __ATOMIC_RELAXED)) {
        _cleanup_free_ char *text = xasprintf("%lu %s", sum, strerror((int) (sum % 100)));
        sum += strlen(text);
    }
    return NULL;
}

Test(trimmer, code_that_somebody_runs_comes_back)
{
    bool over = false;
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, work, &over), 0);
    for (int i = 0; i < 1000; i++)
        code_pages_forget();
    __atomic_store_n(&over, true, __ATOMIC_RELAXED);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}
