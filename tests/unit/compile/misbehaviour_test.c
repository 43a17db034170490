// SPDX-License-Identifier: Apache-2.0

/*
 * What comes of a parser that a policy has taken over (programs/misbehaving_parser.c), started for
 * the text alone and forked from one that is held ready.
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
#include "lib/compile/fork_server.h"
#include "tests/unit/scratch.h"

#define FEATURES "/usr/share/apparmor-features/features"
#define NAME "apparmor_parser"

static uv_loop_t loop;
static struct compiler *compiler;

static void open_compiler(void)
{
    scratch_make();
    uv_loop_init(&loop);
    _cleanup_free_ char *parser = scratch_path(NAME);
    _cleanup_buf_ struct buf program = BUF_INIT(64 * 1024 * 1024);
    _cleanup_error_ struct error err = {0};
    const struct compiler_options options = {.features = FEATURES,
                                             .parser = parser,
                                             .deadline_ms = 1000};

    cr_assert_eq(fs_read(AT_FDCWD, PROGRAM, &program, &err), 0, "%s", error_message(&err));
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

struct ending {
    bool is;
    struct error err;
};

static void record(void *userdata, struct compiled *compiled, const struct error *err)
{
    struct ending *ending = userdata;

    cr_assert_null(compiled);
    ending->is = true;
    error_copy(&ending->err, err);
}

/* Text that the parser compiles at once, and text that it has to flatten first. */
#define COMPILED "profile %s {\n}\n"
#define FLATTENED "profile %s {\n  if defined $x {\n  }\n}\n"

static struct ending run(const char *form, const char *what, bool more)
{
    _cleanup_free_ char *text = xasprintf(form, what);
    struct policy_profile profile = {.name = (char *) "a", .text = text, .text_len = strlen(text)};
    const struct compile_options options = {.more = more};
    struct ending ending = {0};

    compiler_run_with(compiler, &profile, &options, record, &ending);
    while (!ending.is)
        uv_run(&loop, UV_RUN_ONCE);
    return ending;
}

static void assert_ending(struct ending *ending, const char *what, const char *reason,
                          const char *message)
{
    const char *text = error_message(&ending->err);

    cr_assert_str_eq(error_reason(&ending->err, ""), reason, "%s: %s", what, text);
    cr_assert_not_null(strstr(text, message), "%s: %s", what, text);
    error_done(&ending->err);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "%s: it has left a process", what);
    cr_assert_eq(errno, ECHILD);
}

static void assert_form_ends(const char *form, const char *what, const char *reason,
                             const char *message)
{
    struct ending ending = run(form, what, false);

    assert_ending(&ending, what, reason, message);
}

static const struct fork_server *hold(void)
{
    struct ending ending = run(COMPILED, "nothing", true);

    error_done(&ending.err);
    const struct fork_server *server = compiler_server(compiler, false);
    cr_assert_not_null(server);
    while (fork_server_state(server) == FORK_SERVER_STARTS)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(fork_server_state(server), FORK_SERVER_READY);
    return server;
}

static void assert_held_ends(const char *what, const char *reason, const char *message)
{
    hold();
    struct ending ending = run(COMPILED, what, true);

    /* Whatever has crashed may have meant to. */
    if (strcmp(reason, "CompileResources") == 0)
        cr_assert_null(compiler_server(compiler, false), "%s: it is forked again", what);
    compiler_server_end(compiler);
    assert_ending(&ending, what, reason, message);
}

static void assert_ends(const char *what, const char *reason, const char *message)
{
    assert_form_ends(COMPILED, what, reason, message);
    assert_form_ends(FLATTENED, what, reason, message);
    assert_held_ends(what, reason, message);
}

/* Which is nobody's fault but that of what is held. */
Test(misbehaviour, what_is_forked_and_does_not_get_to_the_parser_is_started_again)
{
    assert_held_ends("not-begun", "InvalidPolicy", "");
}

Test(misbehaviour, the_tests_of_one_that_is_held_are_of_one)
{
    assert_form_ends(COMPILED, "held", "InvalidPolicy", "");
    assert_held_ends("held", "CompileError", "");
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
