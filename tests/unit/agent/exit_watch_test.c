// SPDX-License-Identifier: Apache-2.0
#include "agent/exit_watch.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"

static uv_loop_t loop;
static unsigned ended;

static void on_end(void *userdata)
{
    struct exit_watch **watch = userdata;

    ended++;
    exit_watch_free(*watch);
    *watch = NULL;
}

static void setup(void)
{
    alloc_init();
    uv_loop_init(&loop);
}

static void teardown(void)
{
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(exit_watch, .init = setup, .fini = teardown, .timeout = 30);

static pid_t start_process(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

Test(exit_watch, tells_the_end_of_a_process)
{
    pid_t pid = start_process();
    struct exit_watch *watch = exit_watch_new(&loop, pid, on_end, &watch);

    cr_assert_not_null(watch);
    cr_assert_eq(exit_watch_pid(watch), pid);
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(ended, 0);
    kill(pid, SIGKILL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(ended, 1);
    cr_assert_null(watch);
    waitpid(pid, NULL, 0);
}

Test(exit_watch, tells_that_there_is_none_from_the_loop)
{
    pid_t pid = start_process();
    struct exit_watch *watch;

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    watch = exit_watch_new(&loop, pid, on_end, &watch);
    cr_assert_not_null(watch);
    cr_assert_eq(ended, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(ended, 1);
}

Test(exit_watch, may_be_given_up)
{
    pid_t pid = start_process();
    struct exit_watch *watch = exit_watch_new(&loop, pid, on_end, &watch);

    exit_watch_free(watch);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(ended, 0);
}
