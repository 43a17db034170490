// SPDX-License-Identifier: Apache-2.0
#include "agent/drain.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/profile_state.h"
#include "lib/base/alloc.h"
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
static char *removed, *waiting_reason;

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

static void on_removed(_unused_ void *userdata, const char *object)
{
    free(removed);
    removed = xstrdup(object);
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
                                    .removed = on_removed,
                                    .waiting = on_waiting};

    alloc_init();
    cr_assert(mkdtemp(root));
    uv_loop_init(&loop);
    start_kernel();
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
    free(removed);
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
    cr_assert_str_eq(removed, "object");
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
    while (!removed)
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
    cr_assert_str_eq(removed, "object");
}

Test(drain, a_leftover_needs_no_label_to_go)
{
    label_gone = false;
    ask("old-name", false);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(removed, "object");
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
    cr_assert_null(removed);
}

Test(drain, what_is_wanted_again_stays)
{
    wanted = false;
    ask("web", true);
    expect_nothing_removed();
}

Test(drain, what_is_called_off_stays)
{
    ask("web", true);
    drain_clear(drain, "object");
    expect_nothing_removed();
}
