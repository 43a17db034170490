// SPDX-License-Identifier: Apache-2.0
#include "agent/drain.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/profile_state.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

/*
 * The order of a removal, on folders that look like securityfs and /proc: a removal is what arrives
 * in the file .remove. Real kernels have their turn in tests/e2e.
 */
static char root[] = "/tmp/drain_test.XXXXXX";
static uv_loop_t loop;
static struct kernel *kernel;
static struct drain *drain;
static bool wanted, label_gone;
static char *changed, *waiting_reason;

/* Stands still: on a busy machine a test must not be late by itself. */
static uint64_t now_ms = 1000;

static uint64_t test_now(_unused_ void *userdata)
{
    return now_ms;
}

static uint64_t test_random(_unused_ void *userdata)
{
    return (uint64_t) random();
}

static const struct clock_source test_clock = {.monotonic_ms = test_now, .random = test_random};

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static void put(const char *folder, const char *file, const char *text)
{
    _cleanup_free_ char *dir = path_of(folder);
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, file);

    cr_assert_eq(fs_mkdirs(dir, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

static char *removal(void)
{
    _cleanup_free_ char *path = path_of("fs/.remove");
    _cleanup_buf_ struct buf text = BUF_INIT(4096);

    cr_assert_eq(fs_read(AT_FDCWD, path, &text, NULL), 0);
    return xstrdup(buf_string(&text));
}

static bool on_wanted(_unused_ void *userdata, _unused_ const char *object,
                      _unused_ const struct strv *names)
{
    return wanted;
}

static bool on_label_gone(_unused_ void *userdata, _unused_ const char *object)
{
    return label_gone;
}

static void on_changed(_unused_ void *userdata, const char *object)
{
    free(changed);
    changed = xstrdup(object);
    uv_stop(&loop);
}

static void on_waiting(_unused_ void *userdata, _unused_ const char *object, const char *reason,
                       _unused_ const char *message)
{
    free(waiting_reason);
    waiting_reason = xstrdup(reason);
    uv_stop(&loop);
}

static void start_kernel(void)
{
    _cleanup_free_ char *fs = path_of("fs");
    _cleanup_free_ char *module = path_of("enabled");
    struct kernel_options options = {.apparmorfs = fs, .module = module};
    struct error err = {0};

    put("", "enabled", "Y\n");
    put("fs", ".replace", "");
    put("fs", ".remove", "");
    put("fs", ".load", "");
    /* Without it libapparmor takes the kernel for one that wants each profile by itself. */
    put("fs/features/policy", "set_load", "yes");
    put("fs/policy/profiles", "unused", "");
    cr_assert_eq(kernel_new(&loop, &options, &kernel, &err), 0, "%s", error_message(&err));
}

static void add_task(const char *label)
{
    put("proc/42/task/42/attr/apparmor", "current", label);
    put("proc/42/task/42/attr/apparmor", "exec", "");
    put("proc/42/task/42", "comm", "sleep\n");
    put("proc/42/task/42", "stat", "42 (sleep) S 1\n");
}

static char *proc;

static void setup(void)
{
    struct drain_options options = {.wanted = on_wanted,
                                    .label_gone = on_label_gone,
                                    .changed = on_changed,
                                    .waiting = on_waiting};

    alloc_init();
    clock_set_source(&test_clock);
    signal(SIGPIPE, SIG_IGN); /* as the program does; a FIFO may lose its reader */
    cr_assert(mkdtemp(root));
    uv_loop_init(&loop);
    start_kernel();
    put("proc/2", "comm", "kthreadd\n");
    add_task("unconfined\n");
    proc = path_of("proc");
    options.kernel = kernel;
    options.proc = proc;
    drain = drain_new(&loop, &options);
    wanted = label_gone = true;
}

static void teardown(void)
{
    const char *argv[] = {"/bin/rm", "-rf", root, NULL};
    pid_t pid = fork();

    if (pid == 0) {
        execv(argv[0], (char *const *) argv);
        _exit(127);
    }
    (void) waitpid(pid, NULL, 0);
    kernel_free(kernel);
    drain_free(drain);
    loop_drain(&loop);
    uv_loop_close(&loop);
    free(changed);
    free(waiting_reason);
    free(proc);
}

TestSuite(drain, .init = setup, .fini = teardown, .timeout = 20);

static void ask(const char *name, bool labelled)
{
    _cleanup_strv_ struct strv names = {0};

    strv_add(&names, name);
    drain_set(drain, "object", &names, labelled);
}

Test(drain, what_nobody_uses_is_removed)
{
    _cleanup_free_ char *name = NULL;

    ask("web", true);
    cr_assert_not(drain_settled(drain));
    uv_run(&loop, UV_RUN_DEFAULT);
    name = removal();
    cr_assert_str_eq(name, "web");
    cr_assert_str_eq(changed, "object");
    cr_assert(drain_settled(drain));
}

Test(drain, a_task_keeps_its_profile_until_it_ends)
{
    _cleanup_free_ char *before = NULL;
    _cleanup_free_ char *after = NULL;

    add_task("web//child (enforce)\n");
    ask("web", true);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(waiting_reason, REASON_IN_USE);
    before = removal();
    cr_assert_str_eq(before, "");
    cr_assert(drain_settled(drain));

    add_task("unconfined\n");
    while (!changed)
        uv_run(&loop, UV_RUN_DEFAULT);
    after = removal();
    cr_assert_str_eq(after, "web");
}

Test(drain, the_label_goes_first)
{
    _cleanup_free_ char *before = NULL;

    label_gone = false;
    ask("web", true);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(waiting_reason, REASON_LABEL_PRESENT);
    before = removal();
    cr_assert_str_eq(before, "");

    label_gone = true;
    drain_wake(drain);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(changed, "object");
}

Test(drain, a_leftover_needs_no_label_to_go)
{
    label_gone = false;
    ask("old-name", false);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(changed, "object");
}

static void stop(_unused_ void *userdata)
{
    uv_stop(&loop);
}

/* Lets several attempts pass. */
static void expect_nothing_removed(void)
{
    struct loop_timer *timer = loop_timer_new(&loop, stop, NULL);
    _cleanup_free_ char *name = NULL;

    loop_timer_start(timer, 350);
    uv_run(&loop, UV_RUN_DEFAULT);
    loop_timer_free(timer);
    name = removal();
    cr_assert_str_eq(name, "");
}

Test(drain, what_is_wanted_again_stays_and_its_object_is_looked_at)
{
    wanted = false;
    ask("web", true);
    expect_nothing_removed();
    cr_assert_str_eq(changed, "object");
    cr_assert(drain_settled(drain));
}

Test(drain, what_is_called_off_stays)
{
    ask("web", true);
    drain_clear(drain, "object");
    expect_nothing_removed();
    cr_assert_null(changed);
}

/* Every profile would look unused. */
Test(drain, without_sight_of_the_whole_node_nothing_goes)
{
    put("proc/2", "comm", "sh\n");
    ask("web", true);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(waiting_reason, REASON_TASKS_UNKNOWN);
    expect_nothing_removed();
}

Test(drain, several_are_removed_in_one_pass)
{
    _cleanup_strv_ struct strv names = {0};

    strv_add(&names, "a");
    strv_add(&names, "b");
    drain_set(drain, "one", &names, true);
    drain_set(drain, "two", &names, true);
    while (!drain_settled(drain))
        uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(changed, "two");
    cr_assert_null(waiting_reason);
}

/* --- writes that wait for others --- */

static void on_load(_unused_ void *userdata, _unused_ const struct error *err)
{
}

static void stop_when_removing(void *userdata)
{
    struct loop_timer **timer = userdata;

    if (drain_is_removing(drain, "object"))
        uv_stop(&loop);
    else
        loop_timer_start(*timer, 1);
}

/* Until a removal waits for a load that does not end; opening a FIFO for writing waits. */
static void run_until_removal_waits(void)
{
    _cleanup_free_ char *replace = path_of("fs/.replace");
    struct loop_timer *timer = loop_timer_new(&loop, stop_when_removing, &timer);

    unlink(replace);
    cr_assert_eq(mkfifo(replace, 0600), 0);
    kernel_load(kernel, "x", 1, on_load, NULL);
    ask("web", true);
    loop_timer_start(timer, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    loop_timer_free(timer);
}

static int let_load_end(void)
{
    _cleanup_free_ char *replace = path_of("fs/.replace");
    int reader = open(replace, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    cr_assert_geq(reader, 0);
    return reader;
}

/* What was found out before is too old once the kernel has its turn. */
Test(drain, a_removal_that_waited_for_other_writes_looks_again)
{
    _cleanup_free_ char *before = NULL;
    _cleanup_free_ char *after = NULL;
    _cleanup_close_ int reader = -1;

    run_until_removal_waits();
    now_ms += 101;
    add_task("web (enforce)\n");
    reader = let_load_end();
    while (!waiting_reason)
        uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(waiting_reason, REASON_IN_USE);
    before = removal();
    cr_assert_str_eq(before, "");

    add_task("unconfined\n");
    drain_wake(drain);
    while (!drain_settled(drain) || strcmp(after ? after : "", "web") != 0) {
        uv_run(&loop, UV_RUN_DEFAULT);
        free(after);
        after = removal();
    }
}

Test(drain, a_removal_under_way_is_told_apart_and_its_end_is_told)
{
    _cleanup_close_ int reader = -1;

    run_until_removal_waits();
    cr_assert(drain_is_removing(drain, "object"));
    cr_assert_not(drain_is_removing(drain, "other"));
    drain_clear(drain, "object");
    cr_assert(drain_is_removing(drain, "object"), "the kernel has been asked already");
    cr_assert_null(changed);
    reader = let_load_end();
    while (!changed)
        uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(changed, "object");
    cr_assert_not(drain_is_removing(drain, "object"));
}
