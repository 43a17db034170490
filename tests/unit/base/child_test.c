// SPDX-License-Identifier: Apache-2.0
#include "lib/base/child.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"

static uv_loop_t loop;

static void open_loop(void)
{
    uv_loop_init(&loop);
    /* What escapes its process group is found again, and reaped, by the test. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static void close_loop(void)
{
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(child, .init = open_loop, .fini = close_loop, .timeout = 60);

struct outcome {
    int calls;
    struct child_result result;
};

static void record(void *userdata, struct child_result *result)
{
    struct outcome *outcome = userdata;

    outcome->calls++;
    outcome->result = *result;
    result->out = result->err = BUF_INIT(0);
}

static void outcome_done(struct outcome *outcome)
{
    buf_done(&outcome->result.out);
    buf_done(&outcome->result.err);
}
#define _cleanup_outcome_ _cleanup_(outcome_done)

static struct child_options shell_options(const char *const argv[static 4])
{
    return (struct child_options){.argv = argv,
                                  .stdout_max = 100000,
                                  .stderr_max = 100000,
                                  .deadline_ms = 30000};
}

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

static struct outcome run(const struct child_options *options)
{
    struct outcome outcome = {0};
    _cleanup_error_ struct error err = {0};
    struct child *child;

    cr_assert_eq(child_start(&loop, options, record, &outcome, &child, &err), 0, "%s",
                 error_message(&err));
    cr_assert_eq(outcome.calls, 0, "never from inside child_start()");
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.calls, 1);
    return outcome;
}

Test(child, gives_output_and_exit_status)
{
    struct child_options options = shell_options(SHELL("echo out; echo err >&2; cat; exit 7"));
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert_eq(outcome.result.exit_status, 7);
    cr_assert_eq(outcome.result.signal, 0);
    cr_assert_not(outcome.result.timed_out);
    cr_assert_str_eq(buf_string(&outcome.result.out), "out\n");
    cr_assert_str_eq(buf_string(&outcome.result.err), "err\n");
}

Test(child, output_larger_than_a_pipe_arrives_whole)
{
    struct child_options options =
        shell_options(SHELL("i=0; while [ $i -lt 20000 ]; do printf '%05d' $i; i=$((i+1)); done"));
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert_eq(outcome.result.exit_status, 0);
    cr_assert_eq(outcome.result.out.len, 100000);
    for (int i = 0; i < 20000; i++) {
        char number[8];
        snprintf(number, sizeof(number), "%05d", i);
        cr_assert_eq(memcmp(outcome.result.out.data + i * 5, number, 5), 0);
    }
}

Test(child, a_signal_is_told_from_an_exit)
{
    struct child_options options = shell_options(SHELL("kill -SEGV $$"));
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert_eq(outcome.result.exit_status, -1);
    cr_assert_eq(outcome.result.signal, SIGSEGV);
}

Test(child, is_killed_at_its_deadline_with_all_its_group)
{
    struct child_options options =
        shell_options(SHELL("trap '' TERM; (sleep 1000 & sleep 1000) & echo started; wait"));
    options.deadline_ms = 200;
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert(outcome.result.timed_out);
    cr_assert_eq(outcome.result.signal, SIGKILL);
    cr_assert_str_eq(buf_string(&outcome.result.out), "started\n");
    cr_assert_geq(outcome.result.elapsed_ms, 190);
    cr_assert_lt(outcome.result.elapsed_ms, 20000);
    /* The orphans are ours to reap: were they alive, this would wait for 1000 s. */
    while (waitpid(-1, NULL, 0) > 0)
        ;
    cr_assert_eq(errno, ECHILD);
}

Test(child, a_flood_of_output_kills_it)
{
    struct child_options options = shell_options(SHELL("while :; do echo aaaaaaaaaaaaaaaaa; done"));
    options.stdout_max = 5000;
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert(outcome.result.output_exceeded);
    cr_assert_not(outcome.result.timed_out);
    cr_assert_eq(outcome.result.signal, SIGKILL);
    cr_assert_eq(outcome.result.out.len, 5000);
}

Test(child, output_exactly_at_the_ceiling_is_fine)
{
    struct child_options options = shell_options(SHELL("printf 12345; printf 123 >&2"));
    options.stdout_max = 5;
    options.stderr_max = 2;
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert_str_eq(buf_string(&outcome.result.out), "12345");
    cr_assert_str_eq(buf_string(&outcome.result.err), "12");
    cr_assert(outcome.result.output_exceeded);
}

Test(child, what_the_leader_leaves_behind_is_killed)
{
    struct child_options options = shell_options(SHELL("sleep 1000 & echo done"));
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert_eq(outcome.result.exit_status, 0);
    cr_assert_not(outcome.result.timed_out);
    cr_assert_lt(outcome.result.elapsed_ms, 20000);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

Test(child, a_descendant_that_leaves_the_group_delays_only_to_the_deadline)
{
    struct child_options options = shell_options(SHELL("setsid sleep 1000 & echo done; sleep 0.2"));
    options.deadline_ms = 700;
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert_eq(outcome.result.exit_status, 0);
    cr_assert(outcome.result.timed_out);
    cr_assert_str_eq(buf_string(&outcome.result.out), "done\n");
    _cleanup_free_ char *path = xasprintf("/proc/self/task/%d/children", getpid());
    FILE *children = fopen(path, "re");
    int pid;
    while (children && fscanf(children, "%d", &pid) == 1)
        kill(pid, SIGKILL);
    if (children)
        fclose(children);
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void assert_not_started(const struct child_options *options, int code, const char *message)
{
    _cleanup_error_ struct error err = {0};
    struct outcome outcome = {0};
    struct child *child = NULL;

    cr_assert_eq(child_start(&loop, options, record, &outcome, &child, &err), code);
    cr_assert_str_eq(error_message(&err), message);
    cr_assert_null(child);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.calls, 0);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}

static int refuse(void *userdata _unused_)
{
    return -EACCES;
}

Test(child, a_failure_before_the_program_runs_is_the_callers)
{
    const char *const argv[] = {"/no/such/program", NULL, NULL, NULL};
    struct child_options missing = shell_options(argv);
    struct child_options refused = shell_options(SHELL("exit 0"));
    const int bad_fd[] = {999};
    struct child_options closed = shell_options(SHELL("exit 0"));

    assert_not_started(&missing, -ENOENT,
                       "cannot execute /no/such/program: No such file or directory");
    refused.prepare = refuse;
    assert_not_started(&refused, -EACCES,
                       "cannot restrict the process of /bin/sh: Permission denied");
    closed.fds = bad_fd;
    closed.fd_count = 1;
    assert_not_started(&closed, -EBADF,
                       "cannot set up the process of /bin/sh: Bad file descriptor");
}

static int mark(void *userdata)
{
    return eventfd_write(*(int *) userdata, 42);
}

Test(child, inherits_only_the_descriptors_it_was_given)
{
    int event = eventfd(0, EFD_CLOEXEC), leak = dup(event), passed[2];
    eventfd_t value = 0;

    /* One of them without O_CLOEXEC, and passed ones in no order. */
    cr_assert_eq(fcntl(leak, F_GETFD), 0);
    passed[0] = fcntl(event, F_DUPFD_CLOEXEC, 40);
    passed[1] = fcntl(event, F_DUPFD_CLOEXEC, 20);
    struct child_options options = shell_options(SHELL("cd /proc/self/fd && ls -x /proc/$$/fd"));
    options.fds = passed;
    options.fd_count = 2;
    options.prepare = mark;
    options.prepare_userdata = &event;
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert_str_eq(buf_string(&outcome.result.out), "0  1  2  20  40\n", "%s %s",
                     buf_string(&outcome.result.out), buf_string(&outcome.result.err));
    cr_assert_eq(eventfd_read(event, &value), 0);
    cr_assert_eq(value, 42, "prepare runs before descriptors are closed");
    close(event);
    close(leak);
    close(passed[0]);
    close(passed[1]);
}

Test(child, starts_with_default_signals_and_the_given_environment)
{
    const char *const env[] = {"A=b", NULL};
    struct child_options options = shell_options(
        SHELL("cat /proc/self/status | grep -E '^Sig(Blk|Ign|Cgt)'; echo $A; echo ${HOME-none}"));
    sigset_t block;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigprocmask(SIG_BLOCK, &block, NULL);
    setenv("HOME", "/", 1);
    options.env = env;
    _cleanup_outcome_ struct outcome outcome = run(&options);
    cr_assert_str_eq(buf_string(&outcome.result.out), "SigBlk:\t0000000000000000\n"
                                                      "SigIgn:\t0000000000000000\n"
                                                      "SigCgt:\t0000000000000000\n"
                                                      "b\nnone\n");
}

Test(child, works_with_standard_streams_closed)
{
    int saved[3];

    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
        close(i);
    }
    struct child_options options = shell_options(SHELL("echo out; echo err >&2"));
    _cleanup_outcome_ struct outcome outcome = run(&options);
    for (int i = 0; i < 3; i++)
        dup2(saved[i], i);
    cr_assert_str_eq(buf_string(&outcome.result.out), "out\n");
    cr_assert_str_eq(buf_string(&outcome.result.err), "err\n");
}

Test(child, measures_time_and_memory)
{
    struct child_options options =
        shell_options(SHELL("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 0.05"));
    _cleanup_outcome_ struct outcome outcome = run(&options);

    cr_assert_gt(outcome.result.cpu_ms, 10);
    cr_assert_geq(outcome.result.elapsed_ms, 50);
    cr_assert_gt(outcome.result.max_rss_bytes, 100000);
}

Test(child, can_be_killed)
{
    struct child_options options = shell_options(SHELL("sleep 1000"));
    struct outcome outcome = {0};
    struct child *child;

    cr_assert_eq(child_start(&loop, &options, record, &outcome, &child, NULL), 0);
    cr_assert_eq(getpgid(child_pid(child)), child_pid(child));
    child_kill(child);
    cr_assert_eq(outcome.calls, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.calls, 1);
    cr_assert_eq(outcome.result.signal, SIGKILL);
    cr_assert_not(outcome.result.timed_out);
    outcome_done(&outcome);
}

static size_t count_descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

Test(child, abandoned_ones_leave_nothing_behind)
{
    struct child_options options = shell_options(SHELL("echo x; sleep 1000"));
    size_t before = count_descriptors();
    struct outcome outcome = {0};

    for (int i = 0; i < 20; i++) {
        struct child *child;
        cr_assert_eq(child_start(&loop, &options, record, &outcome, &child, NULL), 0);
        child_abandon(child);
    }
    child_abandon(NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.calls, 0);
    /* The shells have been reaped; what they had started is dead and ours to reap. */
    while (waitpid(-1, NULL, 0) > 0)
        ;
    cr_assert_eq(count_descriptors(), before);
}

/* --- our memory is the child's until it runs its program --- */

static int check_and_change_uid(void *userdata)
{
    const bool *change = userdata;

    if (!*change)
        return 0;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return -EXDEV;
    if (syscall(SYS_setresuid, 65534, 65534, 65534) < 0)
        return -EPERM;
    /* fs.suid_dumpable, which may be 2. */
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1 ? 0 : -EXDEV;
}

Test(child, nobody_traces_it_before_it_runs_its_program)
{
    bool change = geteuid() == 0;
    struct child_options options = shell_options(SHELL("exit 0"));

    options.prepare = check_and_change_uid;
    options.prepare_userdata = &change;
    cr_assert_eq(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
    {
        _cleanup_outcome_ struct outcome outcome = run(&options);
        cr_assert_eq(outcome.result.exit_status, 0);
    }
    cr_assert_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1, "who starts it is as before");

    cr_assert_eq(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 0);
    _cleanup_outcome_ struct outcome outcome = run(&options);
    cr_assert_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
}

/* As a process does that makes others for us (child_options.launch), of which we have not heard. */
Test(child, what_one_has_made_for_us_ends_with_it)
{
    _cleanup_free_ char *script =
        xasprintf("exec perl -e 'syscall(%d, 0x8000 | 17, 0, 0, 0, 0); print \"x\"; $| = 1; "
                  "print \"x\"; sleep 1000'",
                  SYS_clone);
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct child_options options = shell_options(argv);
    _cleanup_outcome_ struct outcome outcome = {0};
    struct child *child;

    /* Two of them write what is too much, and it is the end of both. */
    options.stdout_max = 3;
    cr_assert_eq(child_start(&loop, &options, record, &outcome, &child, NULL), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.result.signal, SIGKILL);
    cr_assert(outcome.result.output_exceeded);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}
