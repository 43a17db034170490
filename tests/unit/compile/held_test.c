// SPDX-License-Identifier: Apache-2.0

/* Compilations that are forked from a parser that is held ready, beside such as start one. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/loop.h"
#include "lib/compile/compile.h"
#include "lib/compile/features.h"
#include "lib/compile/fork_server.h"
#include "lib/policy/blob.h"
#include "tests/unit/scratch.h"

#define FEATURES "/usr/share/apparmor-features/features"
#define PARSER "/sbin/apparmor_parser"

static uv_loop_t loop;
static struct compiler *compiler;

static void install_parser(const char *name)
{
    _cleanup_buf_ struct buf program = BUF_INIT(64 * 1024 * 1024);
    _cleanup_free_ char *path = scratch_path(name);
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(fs_read(AT_FDCWD, PARSER, &program, &err), 0, "%s", error_message(&err));
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, program.data, program.len, 0755, &err), 0, "%s",
                 error_message(&err));
}

static void setup(void)
{
    scratch_make();
    uv_loop_init(&loop);
    install_parser("apparmor_parser");
    _cleanup_free_ char *parser = scratch_path("apparmor_parser");
    const struct compiler_options options = {.features = FEATURES, .parser = parser};
    _cleanup_error_ struct error err = {0};
    cr_assert_eq(compiler_new(&loop, &options, &compiler, &err), 0, "%s", error_message(&err));
}

static void teardown(void)
{
    compiler_free(compiler);
    scratch_remove();
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(held, .init = setup, .fini = teardown, .timeout = 120);

struct outcome {
    bool ended;
    struct compiled *compiled;
    struct error err;
};

static void outcome_done(struct outcome *outcome)
{
    compiled_free(outcome->compiled);
    error_done(&outcome->err);
}
#define _cleanup_outcome_ _cleanup_(outcome_done)

static void record(void *userdata, struct compiled *compiled, const struct error *err)
{
    struct outcome *outcome = userdata;

    outcome->ended = true;
    outcome->compiled = compiled;
    error_copy(&outcome->err, err);
}

static struct outcome compile_with(const char *text, const struct compile_options *options)
{
    struct outcome outcome = {0};
    struct policy_profile profile = {
        .name = (char *) (uintptr_t) "p",
        .text = (char *) (uintptr_t) text,
        .text_len = strlen(text),
    };

    compiler_run_with(compiler, &profile, options, record, &outcome);
    while (!outcome.ended)
        uv_run(&loop, UV_RUN_ONCE);
    return outcome;
}

static struct outcome compile(const char *text, bool more)
{
    const struct compile_options options = {.more = more};

    return compile_with(text, &options);
}

static unsigned served(void)
{
    const struct fork_server *server = compiler_server(compiler, false);

    return server ? fork_server_served(server) : 0;
}

static void hold(void)
{
    _cleanup_outcome_ struct outcome outcome = compile("profile first {\n}\n", true);
    const struct fork_server *server = compiler_server(compiler, false);

    cr_assert_not_null(outcome.compiled);
    cr_assert_not_null(server);
    while (fork_server_state(server) == FORK_SERVER_STARTS)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert_eq(fork_server_state(server), FORK_SERVER_READY);
}

/* --- what comes out --- */

static const char *const texts[] = {
    "profile plain {\n}\n",
    "abi <abi/3.0>,\n#include <tunables/global>\nprofile web flags=(attach_disconnected) {\n"
    "  #include <abstractions/base>\n  #include <abstractions/nameservice>\n"
    "  /srv/*/{a,b,c}** rwk,\n  ^hat {\n    /tmp/** rw,\n  }\n"
    "  profile child {\n    network inet,\n    capability chown,\n  }\n}\n",
    "profile two {\n  /a r,\n}\nprofile three flags=(complain) {\n  /b r,\n}\n",
    /* What fails tells the same line. */
    "profile bad {\n  /a r,\n  /b rq,\n}\n",
    "profile unknown {\n  /a r,\n  include <abstractions/no-such>\n}\n",
};

static void assert_same(const char *text, const struct outcome *a, const struct outcome *b)
{
    cr_assert_str_eq(error_reason(&a->err, ""), error_reason(&b->err, ""), "%s", text);
    cr_assert_str_eq(error_message(&a->err), error_message(&b->err), "%s", text);
    cr_assert_eq(a->compiled == NULL, b->compiled == NULL, "%s", text);
    if (a->compiled) {
        cr_assert_eq(a->compiled->len, b->compiled->len, "%s", text);
        cr_assert_eq(memcmp(a->compiled->data, b->compiled->data, a->compiled->len), 0, "%s", text);
        cr_assert_eq(a->compiled->blob->count, b->compiled->blob->count);
    }
}

Test(held, the_same_comes_out)
{
    struct outcome plain[ARRAY_SIZE(texts)];

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        plain[i] = compile(texts[i], false);
    cr_assert_eq(served(), 0, "one was held for a single compilation");
    hold();
    /* More than once, and in turns: none changes the next. */
    for (size_t i = 0; i < 4 * ARRAY_SIZE(texts); i++) {
        _cleanup_outcome_ struct outcome outcome = compile(texts[i % ARRAY_SIZE(texts)], true);
        assert_same(texts[i % ARRAY_SIZE(texts)], &plain[i % ARRAY_SIZE(texts)], &outcome);
    }
    cr_assert_geq(served(), 4 * (ARRAY_SIZE(texts) - 1));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        outcome_done(&plain[i]);
}

/* The limit is of each run. */
Test(held, one_with_little_memory_does_not_get_more)
{
    const struct compile_options little = {.more = true, .memory_max = (size_t) 4 << 20};

    hold();
    _cleanup_outcome_ struct outcome refused = compile_with(texts[1], &little);
    cr_assert_str_eq(error_reason(&refused.err, ""), "CompileResources");
    /* It may have taken that for a crash. */
    hold();
    unsigned before = served();
    _cleanup_outcome_ struct outcome outcome = compile(texts[1], true);
    cr_assert_not_null(outcome.compiled);
    cr_assert_eq(served(), before + 1);
}

/* --- when it is not used --- */

Test(held, a_single_compilation_uses_one_that_is_there)
{
    hold();
    _cleanup_outcome_ struct outcome outcome = compile(texts[0], false);

    cr_assert_not_null(outcome.compiled);
    cr_assert_eq(served(), 1);
}

Test(held, other_features_are_compiled_for_by_another)
{
    _cleanup_(features_unrefp) struct features *features = NULL;

    cr_assert_eq(features_read(FEATURES, &features, NULL), 0);
    const struct compile_options options = {.more = true, .features = features};
    hold();
    _cleanup_outcome_ struct outcome outcome = compile_with(texts[0], &options);
    cr_assert_not_null(outcome.compiled);
    cr_assert_eq(served(), 0);
}

Test(held, a_parser_that_has_been_replaced_is_not_forked)
{
    hold();
    /* Another inode, and so another program as far as anybody can tell. */
    install_parser("new");
    _cleanup_free_ char *from = scratch_path("new"), *to = scratch_path("apparmor_parser");
    cr_assert_eq(truncate(from, (off_t) 1 << 24), 0);
    cr_assert_eq(rename(from, to), 0);
    _cleanup_outcome_ struct outcome outcome = compile(texts[0], false);
    cr_assert_not_null(outcome.compiled);
    cr_assert_null(compiler_server(compiler, false));
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

Test(held, without_it_each_run_is_a_start)
{
    static const int signals[] = {SIGKILL, SIGSTOP};

    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        hold();
        cr_assert_eq(kill(server_pid(), signals[i]), 0);
        _cleanup_outcome_ struct outcome outcome = compile(texts[1], false);
        cr_assert_not_null(outcome.compiled, "%s", error_message(&outcome.err));
        cr_assert_null(compiler_server(compiler, false));
    }
}

static void begin(struct outcome *outcome, struct policy_profile *profile, struct compilation **ret)
{
    const struct compile_options options = {.more = true};

    *profile = (struct policy_profile){
        .name = (char *) (uintptr_t) "p",
        .text = (char *) (uintptr_t) texts[1],
        .text_len = strlen(texts[1]),
    };
    *ret = compiler_run_with(compiler, profile, &options, record, outcome);
}

static void assert_no_process(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}

Test(held, what_is_cancelled_leaves_no_process)
{
    struct outcome outcome = {0};
    struct policy_profile profile;
    struct compilation *compilation;

    hold();
    begin(&outcome, &profile, &compilation);
    cr_assert_eq(served(), 1);
    compilation_cancel(compilation);
    compiler_server_end(compiler);
    assert_no_process();
    cr_assert(!outcome.ended);
}

Test(held, one_that_has_not_started_yet_ends_with_the_compiler)
{
    struct outcome outcome = {0};
    struct policy_profile profile;
    struct compilation *compilation;

    begin(&outcome, &profile, &compilation);
    cr_assert_eq(fork_server_state(compiler_server(compiler, false)), FORK_SERVER_STARTS);
    compilation_cancel(compilation);
    compiler_free(TAKE_PTR(compiler));
    assert_no_process();
}
