// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/child.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"

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

TestSuite(sandbox, .init = open_loop, .fini = close_loop, .timeout = 30);

static const struct sandbox_path paths[] = {
    {"/bin", true},       {"/usr/bin", true},       {"/lib", true},
    {"/lib64", true},     {"/usr/lib", true},       {"/proc", false},
    {"/dev/null", false}, {"/no/such/path", false}, {"/etc/ld.so.cache", false},
};

static struct sandbox_options default_options(void)
{
    return (struct sandbox_options){
        .paths = paths,
        .path_count = ARRAY_SIZE(paths),
        .uid = 12345,
        .gid = 23456,
        .limits = {.memory_max = (size_t) 256 * 1024 * 1024, .cpu_seconds = 5, .may_fork = true},
    };
}

struct outcome {
    int status;
    struct buf out, err;
};

static void outcome_done(struct outcome *outcome)
{
    buf_done(&outcome->out);
    buf_done(&outcome->err);
}
#define _cleanup_outcome_ _cleanup_(outcome_done)

static void record(void *userdata, struct child_result *result)
{
    struct outcome *outcome = userdata;

    *outcome = (struct outcome){result->exit_status, result->out, result->err};
    result->out = result->err = BUF_INIT(0);
}

static struct outcome run(const struct sandbox_options *options, const char *script)
{
    _cleanup_(sandbox_freep) struct sandbox *sandbox = NULL;
    _cleanup_error_ struct error err = {0};
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct outcome outcome = {0};
    struct child *child;

    cr_assert_eq(sandbox_new(options, &sandbox, &err), 0, "%s", error_message(&err));
    const struct child_options child_options = {
        .argv = argv,
        .stdout_max = 10000,
        .stderr_max = 10000,
        .deadline_ms = 20000,
        .prepare = sandbox_enter,
        .prepare_userdata = sandbox,
    };
    cr_assert_eq(child_start(&loop, &child_options, record, &outcome, &child, &err), 0, "%s",
                 error_message(&err));
    uv_run(&loop, UV_RUN_DEFAULT);
    return outcome;
}

static void assert_prints(const char *script, const char *expected)
{
    struct sandbox_options options = default_options();
    _cleanup_outcome_ struct outcome outcome = run(&options, script);

    cr_assert_str_eq(buf_string(&outcome.out), expected, "%s: %s%s", script,
                     buf_string(&outcome.out), buf_string(&outcome.err));
}

Test(sandbox, gives_up_identity_and_privileges)
{
    if (geteuid() != 0)
        cr_skip_test("only root can change its user");
    assert_prints("grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status",
                  "Uid:\t12345\t12345\t12345\t12345\n"
                  "Gid:\t23456\t23456\t23456\t23456\n"
                  "Groups:\t \n"
                  "CapInh:\t0000000000000000\n"
                  "CapPrm:\t0000000000000000\n"
                  "CapEff:\t0000000000000000\n"
                  "CapBnd:\t0000000000000000\n"
                  "CapAmb:\t0000000000000000\n"
                  "NoNewPrivs:\t1\n");
}

Test(sandbox, limits_resources)
{
    assert_prints("ulimit -v; ulimit -t; ulimit -f; ulimit -c; ulimit -n", "262144\n5\n0\n0\n64\n");
    assert_prints("cat /proc/self/oom_score_adj", "1000\n");
}

Test(sandbox, a_lower_limit_from_outside_holds)
{
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){40, 40}), 0);
    assert_prints("ulimit -n", "40\n");
}

Test(sandbox, may_be_kept_from_forking)
{
    struct sandbox_options options = default_options();

    options.limits.may_fork = false;
    if (geteuid() != 0)
        cr_skip_test("the limit of processes does not bind this user");
    _cleanup_outcome_ struct outcome outcome = run(&options, "echo started; (echo forked); exit 0");
    cr_assert_str_eq(buf_string(&outcome.out), "started\n");
    cr_assert_not_null(strstr(buf_string(&outcome.err), "fork"), "%s", buf_string(&outcome.err));
}

Test(sandbox, sees_only_what_is_named)
{
    char folder[] = "/tmp/sandbox-test-XXXXXX";

    if (sandbox_landlock_abi() == 0)
        cr_skip_test("this kernel has no Landlock");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chmod(folder, 0777), 0);
    _cleanup_free_ char *file = xasprintf("%s/secret", folder);
    _cleanup_free_ char *read = xasprintf("cat %s; ls %s; cat /etc/passwd; cat /lib/../etc/group; "
                                          "ls /; cat /proc/self/comm",
                                          file, folder);
    _cleanup_free_ char *write = xasprintf("echo x > %s/new; mkdir %s/d; rm %s; ln -s a %s/l; "
                                           "mv %s %s/moved; truncate -s 0 %s",
                                           folder, folder, file, folder, file, folder, file);
    _cleanup_free_ char *execute = xasprintf("cp /bin/true %s/x; %s/x && echo ran", folder, folder);

    cr_assert_eq(fs_write_atomic(AT_FDCWD, file, "secret\n", 7, 0666, NULL), 0);
    assert_prints(read, "cat\n");
    assert_prints(write, "");
    assert_prints(execute, "");
    _cleanup_buf_ struct buf content = BUF_INIT(100);
    cr_assert_eq(fs_read(AT_FDCWD, file, &content, NULL), 0);
    cr_assert_str_eq(buf_string(&content), "secret\n");
    unlink(file);
    cr_assert_eq(rmdir(folder), 0, "nothing was created");
}

Test(sandbox, passed_descriptors_stay_readable_by_name)
{
    int fd = memfd_create("x", MFD_CLOEXEC);
    _cleanup_free_ char *script = xasprintf("cat /proc/self/fd/%d", fd);
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct sandbox_options options = default_options();
    _cleanup_(sandbox_freep) struct sandbox *sandbox = NULL;
    _cleanup_outcome_ struct outcome outcome = {0};
    struct child *child;

    cr_assert_eq(fs_write_all(fd, "content", 7), 0);
    cr_assert_eq(sandbox_new(&options, &sandbox, NULL), 0);
    const struct child_options child_options = {
        .argv = argv,
        .fds = &fd,
        .fd_count = 1,
        .stdout_max = 100,
        .stderr_max = 1000,
        .deadline_ms = 20000,
        .prepare = sandbox_enter,
        .prepare_userdata = sandbox,
    };
    cr_assert_eq(child_start(&loop, &child_options, record, &outcome, &child, NULL), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(buf_string(&outcome.out), "content", "%s", buf_string(&outcome.err));
    close(fd);
}
