// SPDX-License-Identifier: Apache-2.0
#include "lib/base/loop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

static uv_loop_t loop;

static void open_loop(void)
{
    uv_loop_init(&loop);
}

static void close_loop(void)
{
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(loop, .init = open_loop, .fini = close_loop, .timeout = 20);

static struct loop_timer *timer;
static int fired;

static void free_itself(void *userdata)
{
    fired++;
    loop_timer_free(timer);
    *(bool *) userdata = true;
}

Test(loop, a_timer_may_be_freed_from_its_own_callback)
{
    bool called = false;

    timer = loop_timer_new(&loop, free_itself, &called);
    cr_assert_not(loop_timer_active(timer));
    loop_timer_start(timer, 1);
    cr_assert(loop_timer_active(timer));
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert(called);
}

static void count(void *userdata)
{
    ++*(int *) userdata;
}

Test(loop, a_timer_fires_once_and_a_new_start_replaces_the_old)
{
    int calls = 0;
    _cleanup_(loop_timer_freep) struct loop_timer *t = loop_timer_new(&loop, count, &calls);
    uint64_t start = uv_hrtime();

    loop_timer_start(t, 100000);
    loop_timer_start(t, 20);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(calls, 1);
    cr_assert_geq(uv_hrtime() - start, UINT64_C(19000000));
    loop_timer_start(t, 100000);
    loop_timer_stop(t);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(calls, 1);
}

static struct loop_poll *poll_handle;

static void read_and_free(void *userdata, int status, int events)
{
    uint64_t value;

    cr_assert_eq(status, 0);
    cr_assert(events & UV_READABLE);
    cr_assert_eq(read(*(int *) userdata, &value, sizeof(value)), 8);
    fired++;
    loop_poll_free(poll_handle);
}

Test(loop, a_descriptor_may_be_closed_after_its_poll_was_freed)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    for (int i = 0; i < 3; i++) {
        poll_handle = loop_poll_new(&loop, fd, 0, read_and_free, &fd);
        cr_assert_not_null(poll_handle);
        cr_assert_eq(eventfd_write(fd, 1), 0);
        uv_run(&loop, UV_RUN_NOWAIT);
        cr_assert_eq(fired, i, "paused");
        loop_poll_set(poll_handle, UV_READABLE);
        uv_run(&loop, UV_RUN_DEFAULT);
        cr_assert_eq(fired, i + 1);
    }
    poll_handle = loop_poll_new(&loop, fd, UV_READABLE, read_and_free, &fd);
    loop_poll_free(poll_handle);
    close(fd);
}

Test(loop, what_cannot_be_polled_says_so)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    cr_assert_null(loop_poll_new(&loop, fd, UV_READABLE, read_and_free, &fd));
    cr_assert_eq(errno, EPERM);
    close(fd);
}

static struct loop_signals *signals;

static void on_signal(void *userdata, int number)
{
    *(int *) userdata = number;
    loop_signals_free(signals);
}

struct watched {
    struct loop_watch *watch;
    char name[16];
};

static void note(void *userdata, const char *name, int status)
{
    struct watched *watched = userdata;

    cr_assert_eq(status, 0);
    snprintf(watched->name, sizeof(watched->name), "%s", name);
    loop_watch_free(watched->watch);
}

Test(loop, what_changes_in_a_folder_is_told_by_its_name)
{
    char folder[] = "/tmp/loop-test-XXXXXX";
    struct watched watched = {0};

    cr_assert_not_null(mkdtemp(folder));
    watched.watch = loop_watch_new(&loop, folder, note, &watched);
    cr_assert_not_null(watched.watch);
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(mkdirat(dir, "entry", 0755), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(watched.name, "entry");
    unlinkat(dir, "entry", AT_REMOVEDIR);
    close(dir);
    rmdir(folder);
}

Test(loop, what_cannot_be_watched_says_so)
{
    cr_assert_null(loop_watch_new(&loop, "/no/folder", note, NULL));
    cr_assert_eq(errno, ENOENT);
}

Test(loop, sigterm_arrives_and_sigpipe_is_ignored)
{
    int number = 0;

    signals = loop_signals_new(&loop, on_signal, &number);
    raise(SIGPIPE);
    raise(SIGTERM);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(number, SIGTERM);
}

/* An unreferenced handle does not keep the loop running, and yet is one too many. */
Test(loop_drain, notices_a_handle_left_open, .signal = SIGABRT)
{
    uv_timer_t left;

    uv_loop_init(&loop);
    uv_timer_init(&loop, &left);
    loop_drain(&loop);
}

Test(loop_drain, an_earlier_stop_does_not_end_it)
{
    uv_loop_init(&loop);
    loop_timer_free(loop_timer_new(&loop, count, NULL));
    uv_stop(&loop);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

Test(loop_drain, nothing_is_freed_twice)
{
    loop_timer_free(NULL);
    loop_poll_free(NULL);
    loop_signals_free(NULL);
}
