// SPDX-License-Identifier: Apache-2.0

/*
 * A parser that crashes, hangs, floods or multiplies, as one that a policy has taken over might.
 * It is this program itself under another name, and the text tells it what to do.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/loop.h"
#include "lib/compile/compile.h"
#include "tests/unit/scratch.h"

#define FEATURES "/usr/share/apparmor-features/features"
#define NAME "apparmor_parser"

/* --- the parser --- */

static _Noreturn void flood(int fd)
{
    static const char chunk[65536] = "x";

    while (write(fd, chunk, sizeof(chunk)) > 0 || errno == EINTR)
        ;
    _exit(0);
}

static _Noreturn void multiply(void)
{
    for (;;)
        if (fork() < 0)
            _exit(errno == EAGAIN ? 0 : 1);
}

static _Noreturn void misbehave(const char *text)
{
    if (strstr(text, "crash"))
        raise(SIGSEGV);
    if (strstr(text, "abort"))
        abort();
    while (strstr(text, "hang"))
        pause();
    while (strstr(text, "spin"))
        ;
    if (strstr(text, "flood-out"))
        flood(1);
    if (strstr(text, "flood-err"))
        flood(2);
    if (strstr(text, "multiply"))
        multiply();
    /* What follows is what the probe of a new parser takes for policy. */
    if (write(1, "\x04\x08\x00version\x00\x02", 12) < 0)
        _exit(1);
    if (strstr(text, "fault-late"))
        raise(SIGSEGV);
    _exit(strstr(text, "fail") ? 1 : 0);
}

__attribute__((constructor)) static void be_the_parser(int argc, char **argv)
{
    char text[4096] = "";

    if (strcmp(program_invocation_short_name, NAME) != 0)
        return;
    if (strcmp(argv[argc - 1], "--version") == 0) {
        printf("AppArmor parser version 4.1.0\n");
        fflush(stdout);
        _exit(0);
    }
    int fd = open(argv[argc - 1], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        _exit(1);
    misbehave(text);
}

/* --- the tests --- */

static uv_loop_t loop;
static struct compiler *compiler;

static void open_compiler(void)
{
    scratch_make();
    uv_loop_init(&loop);
#ifdef __SANITIZE_ADDRESS__
    cr_skip_test("AddressSanitizer needs more than the sandbox gives");
#endif
    _cleanup_free_ char *parser = scratch_path(NAME);
    _cleanup_buf_ struct buf program = BUF_INIT(64 * 1024 * 1024);
    _cleanup_error_ struct error err = {0};
    const struct compiler_options options = {.features = FEATURES,
                                             .parser = parser,
                                             .deadline_ms = 1000};

    cr_assert_eq(fs_read(AT_FDCWD, "/proc/self/exe", &program, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, parser, program.data, program.len, 0755, NULL), 0);
    /* What escapes is found again. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    cr_assert_eq(compiler_new(&loop, &options, &compiler, &err), 0, "%s", error_message(&err));
}

static void close_compiler(void)
{
    compiler_free(compiler);
    scratch_remove();
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(misbehaviour, .init = open_compiler, .fini = close_compiler, .timeout = 60);

static void record(void *userdata, struct compiled *compiled, const struct error *err)
{
    cr_assert_null(compiled);
    error_copy(userdata, err);
}

/* Text that the parser compiles at once, and text that it has to flatten first. */
#define COMPILED "profile %s {\n}\n"
#define FLATTENED "profile %s {\n  if defined $x {\n  }\n}\n"

static void assert_form_ends(const char *form, const char *what, const char *reason,
                             const char *message)
{
    _cleanup_free_ char *text = xasprintf(form, what);
    _cleanup_error_ struct error err = {0};
    struct policy_profile profile = {.name = (char *) "a", .text = text, .text_len = strlen(text)};

    compiler_run(compiler, &profile, false, record, &err);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(error_reason(&err, ""), reason, "%s: %s: %s", what, error_reason(&err, ""),
                     error_message(&err));
    cr_assert_not_null(strstr(error_message(&err), message), "%s: %s", what, error_message(&err));
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "%s: it has left a process", what);
    cr_assert_eq(errno, ECHILD);
}

static void assert_ends(const char *what, const char *reason, const char *message)
{
    assert_form_ends(COMPILED, what, reason, message);
    assert_form_ends(FLATTENED, what, reason, message);
}

Test(misbehaviour, a_crash_is_told)
{
    assert_ends("crash", "CompileResources", "crashes on this policy (Segmentation fault)");
    assert_ends("abort", "CompileResources", "crashes on this policy (Aborted)");
}

Test(misbehaviour, output_before_a_crash_is_not_policy)
{
    assert_ends("fault-late", "CompileResources", "Segmentation fault");
    assert_ends("fail", "CompileError", "");
}

Test(misbehaviour, half_of_a_policy_is_none)
{
    assert_form_ends(COMPILED, "half", "InvalidPolicy", "");
    assert_form_ends(FLATTENED, "half", "ForbiddenInclude", "NUL");
}

Test(misbehaviour, one_that_hangs_or_spins_meets_the_deadline)
{
    assert_ends("hang", "CompileTimeout", "within 1 s");
    assert_ends("spin", "CompileTimeout", "within 1 s");
}

Test(misbehaviour, a_flood_is_cut_off)
{
    assert_ends("flood-out", "CompileResources", "larger than");
    assert_ends("flood-err", "CompileResources", "");
}

Test(misbehaviour, it_cannot_multiply)
{
    assert_ends("multiply", "InvalidPolicy", "");
}
