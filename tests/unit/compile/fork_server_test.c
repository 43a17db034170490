// SPDX-License-Identifier: Apache-2.0

/*
 * The program that is held is a shell, and what is its text is a script: it tells where it finds
 * itself.
 */
#include "lib/compile/fork_server.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/compile/parser.h"
#include "lib/compile/sandbox.h"

#define KEEP 50

static uv_loop_t loop;
static struct fork_server *server;
static int keep; /* the writing end of a pipe */
static int kept; /* its reading end */
static uid_t uid = 12345;
static const char *const shell[] = {"/bin/bash", PARSER_TEXT_NAME, NULL};

static const struct sandbox_path paths[] = {
    {"/bin", true},   {"/usr/bin", true}, {"/sbin", true},  {"/usr/sbin", true},  {"/lib", true},
    {"/lib64", true}, {"/usr/lib", true}, {"/proc", false}, {"/dev/null", false}, {"/", false},
};

static struct fork_server *start_with(const char *const *argv)
{
    static const char *const env[] = {"COLOUR=red", NULL};
    const struct sandbox_options sandbox_options = {
        .paths = paths,
        .path_count = ARRAY_SIZE(paths),
        .uid = uid,
        .gid = 23456,
        .serves = true,
    };
    _cleanup_(sandbox_freep) struct sandbox *sandbox = NULL;
    _cleanup_error_ struct error err = {0};
    struct fork_server *started = NULL;

    cr_assert_eq(sandbox_new(&sandbox_options, &sandbox, &err), 0, "%s", error_message(&err));
    const struct child_options program = {
        .argv = argv,
        .env = env,
        .fds = &keep,
        .fd_count = 1,
        .prepare = sandbox_enter,
        .prepare_userdata = sandbox,
    };
    cr_assert_eq(fork_server_new(&loop, &program, &started, &err), 0, "%s", error_message(&err));
    return started;
}

static void await_start(const struct fork_server *started)
{
    while (fork_server_state(started) == FORK_SERVER_STARTS)
        uv_run(&loop, UV_RUN_ONCE);
}

static void setup(void)
{
    int ends[2];

    alloc_init();
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    kept = ends[0];
    keep = fcntl(ends[1], F_DUPFD_CLOEXEC, KEEP);
    close(ends[1]);
    cr_assert_eq(keep, KEEP);
    uv_loop_init(&loop);
    server = start_with(shell);
    await_start(server);
    cr_assert_eq(fork_server_state(server), FORK_SERVER_READY);
}

static void teardown(void)
{
    fork_server_free(server);
    close(kept);
    close(keep);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}

TestSuite(fork_server, .init = setup, .fini = teardown, .timeout = 60);

/* --- runs --- */

struct run {
    bool ended;
    struct child *child;
    struct child_result result;
};

static void run_done(struct run *run)
{
    buf_done(&run->result.out);
    buf_done(&run->result.err);
}
#define _cleanup_run_ _cleanup_(run_done)

static void record(void *userdata, struct child_result *result)
{
    struct run *run = userdata;

    run->ended = true;
    run->result = *result;
    result->out = result->err = BUF_INIT(0);
}

static const struct confine_limits plenty = {.memory_max = (uint64_t) 1 << 30,
                                             .cpu_seconds = 20,
                                             .may_fork = true};

static int begin_limited(struct run *run, const char *script, const struct confine_limits *limits)
{
    _cleanup_close_ int text = -1;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(parser_text_file(script, strlen(script), &text, NULL), 0);
    struct fork_server_run asked = {server, *limits, text};
    const struct child_options options = {
        .argv = (const char *const[]){"the shell", NULL},
        .stdout_max = 10000,
        .stderr_max = 10000,
        .deadline_ms = 20000,
        .launch = fork_server_launch,
        .launch_userdata = &asked,
    };
    *run = (struct run){0};
    return child_start(&loop, &options, record, run, &run->child, &err);
}

static void begin(struct run *run, const char *script)
{
    cr_assert_eq(begin_limited(run, script, &plenty), 0);
}

static void finish(struct run *run)
{
    while (!run->ended)
        uv_run(&loop, UV_RUN_ONCE);
}

static void assert_limited_prints(const char *script, const struct confine_limits *limits,
                                  const char *expected)
{
    _cleanup_run_ struct run run;

    cr_assert_eq(begin_limited(&run, script, limits), 0);
    finish(&run);
    cr_assert_str_eq(buf_string(&run.result.out), expected, "%s: %s%s", script,
                     buf_string(&run.result.out), buf_string(&run.result.err));
}

static void assert_prints(const char *script, const char *expected)
{
    assert_limited_prints(script, &plenty, expected);
}

/* --- what a run is --- */

Test(fork_server, each_run_is_a_child_of_ours_that_leads_its_group)
{
    _cleanup_run_ struct run a, b;
    _cleanup_free_ char *expected = NULL;

    begin(&a, "read -r pid comm state parent group rest </proc/self/stat\n"
              "echo $PPID $$ $group; exit 3");
    expected = xasprintf("%d %d %d\n", getpid(), child_pid(a.child), child_pid(a.child));
    begin(&b, "kill -l >/dev/null; echo other");
    cr_assert_neq(child_pid(a.child), child_pid(b.child));
    finish(&a);
    finish(&b);
    cr_assert_str_eq(buf_string(&a.result.out), expected);
    cr_assert_eq(a.result.exit_status, 3);
    cr_assert_str_eq(buf_string(&b.result.out), "other\n");
    cr_assert_eq(b.result.exit_status, 0);
}

Test(fork_server, a_run_leaves_nothing_to_the_next)
{
    assert_prints("echo $COLOUR; COLOUR=blue; umask 0777; cd /proc; echo $COLOUR; pwd; umask",
                  "red\nblue\n/proc\n0777\n");
    assert_prints("echo $COLOUR; pwd | grep -x /proc; umask | grep -x 0777", "red\n");
}

Test(fork_server, a_run_has_nothing_of_what_it_is_forked_by)
{
    assert_prints("env | grep -v -e PWD -e SHLVL -e ^_=", "COLOUR=red\n");
    /* The shell reads the script by 63. */
    assert_prints("fd=0; while [ $fd -lt 63 ]; do\n"
                  "  [ ! -e /proc/self/fd/$fd ] || echo $fd; fd=$((fd + 1))\ndone",
                  "0\n1\n2\n50\n");
}

Test(fork_server, a_run_is_confined_like_one_that_is_started)
{
    const struct confine_limits limits = {.memory_max = (uint64_t) 100 << 20,
                                          .cpu_seconds = 7,
                                          .may_fork = false};

    assert_limited_prints("ulimit -v; ulimit -t; ulimit -f; ulimit -c; ulimit -n", &limits,
                          "102400\n7\n0\n0\n64\n");
    assert_prints("ulimit -v; ulimit -t", "1048576\n20\n");
    if (geteuid() != 0)
        cr_skip_test("the limit of processes does not bind this user");
    assert_limited_prints("exec sh -c 'echo started; (echo forked); exit 0'", &limits, "started\n");
    assert_prints("grep -E '^(Uid|Groups|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status",
                  "Uid:\t12345\t12345\t12345\t12345\nGroups:\t \nCapPrm:\t0000000000000000\n"
                  "CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
}

static pid_t server_pid(void)
{
    _cleanup_free_ char *path = xasprintf("/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "re");
    int pid = 0;

    cr_assert_not_null(file);
    cr_assert_eq(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

/* As the same user, and with sight of /proc, which the compiler has not. */
Test(fork_server, a_run_reaches_neither_it_nor_another_run)
{
    static const char *const tries[] = {
        "kill -9 %d && echo killed",
        "kill -STOP %d && echo stopped",
        "(exec 9</proc/%d/mem) && echo read",
        "(exec 9>/proc/%d/mem) && echo written",
        "ls /proc/%d/fd && echo listed",
        "perl -e 'pipe(R, W); print \"owned\" if fcntl(R, 8, %d + 0)'", /* F_SETOWN */
    };
    _cleanup_run_ struct run other;

    if (geteuid() != 0)
        cr_skip_test("the runs are this user's, as is all else");
    begin(&other, "read line; echo $line");
    const pid_t targets[] = {server_pid(), child_pid(other.child), getpid()};
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        for (size_t k = 0; k < ARRAY_SIZE(tries); k++) {
            _cleanup_free_ char *script = xasprintf(tries[k], targets[i]);
            assert_prints(script, "");
        }
    finish(&other);
    cr_assert_eq(other.result.signal, 0);
    cr_assert_eq(fork_server_state(server), FORK_SERVER_READY);
}

Test(fork_server, a_run_that_is_killed_is_one)
{
    _cleanup_run_ struct run hanging, other;

    begin(&hanging, "while :; do :; done");
    begin(&other, "echo there");
    finish(&other);
    child_kill(hanging.child);
    finish(&hanging);
    cr_assert_eq(hanging.result.signal, SIGKILL);
    cr_assert_str_eq(buf_string(&other.result.out), "there\n");
    assert_prints("echo still", "still\n");
}

/* --- ends --- */

Test(fork_server, it_ends_when_nothing_is_asked_of_it)
{
    assert_prints("echo once", "once\n");
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(fork_server_state(server), FORK_SERVER_OVER);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
}

Test(fork_server, runs_outlive_it)
{
    _cleanup_run_ struct run run;

    begin(&run, "read -r pid comm state parent rest </proc/self/stat; echo $parent");
    fork_server_free(TAKE_PTR(server));
    finish(&run);
    _cleanup_free_ char *expected = xasprintf("%d\n", getpid());
    cr_assert_str_eq(buf_string(&run.result.out), expected);
}

Test(fork_server, one_that_has_been_killed_makes_no_process)
{
    struct run run;

    cr_assert_eq(kill(server_pid(), SIGKILL), 0);
    cr_assert_lt(begin_limited(&run, "echo never", &plenty), 0);
    cr_assert_eq(fork_server_state(server), FORK_SERVER_OVER);
}

Test(fork_server, one_that_is_stopped_is_not_waited_for)
{
    struct run run;

    cr_assert_eq(kill(server_pid(), SIGSTOP), 0);
    cr_assert_lt(begin_limited(&run, "echo never", &plenty), 0);
    cr_assert_eq(fork_server_state(server), FORK_SERVER_OVER);
}

Test(fork_server, a_limit_of_processes_is_no_end)
{
    struct run run;

    if (geteuid() != 0)
        cr_skip_test("the limit of processes does not bind this user");
    fork_server_free(server);
    /* Nobody else's, as all processes of a user count: it is the first, and may not make another.
     */
    uid = 12346;
    cr_assert_eq(setrlimit(RLIMIT_NPROC, &(struct rlimit){1, 1}), 0);
    server = start_with(shell);
    await_start(server);
    cr_assert_eq(begin_limited(&run, "echo never", &plenty), -EAGAIN);
    cr_assert_eq(fork_server_state(server), FORK_SERVER_READY);
}

Test(fork_server, a_program_that_cannot_be_held_is_told)
{
    static const char *const linked_statically[] = {"/sbin/ldconfig", "--version", NULL};
    struct fork_server *other = start_with(linked_statically);

    while (fork_server_state(other) == FORK_SERVER_STARTS)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(fork_server_state(other), FORK_SERVER_FAILED);
    fork_server_free(other);
}

static _Noreturn void be_ours(void)
{
    struct run run;

    uv_loop_fork(&loop);
    server = start_with(shell);
    await_start(server);
    begin(&run, "echo runs >&50; exec sleep 1000");
    finish(&run);
    _exit(1);
}

/* All of them hold the pipe's other end. */
Test(fork_server, nothing_outlives_us)
{
    char text[8] = "";

    /* It takes another process of ours for this one to see that. */
    fork_server_free(TAKE_PTR(server));
    uv_run(&loop, UV_RUN_DEFAULT);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        be_ours();
    close(TAKE_FD(keep));
    cr_assert_eq(read(kept, text, sizeof(text)), 5);
    cr_assert_str_eq(text, "runs\n");
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(read(kept, text, sizeof(text)), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}
