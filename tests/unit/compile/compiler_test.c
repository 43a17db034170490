// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compiler.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/compile/compile.h"
#include "lib/compile/features.h"
#include "lib/compile/parser.h"
#include "lib/compile/sandbox.h"

#define FEATURES "/usr/share/apparmor-features/features"
#define PARSER "/sbin/apparmor_parser"

static uv_loop_t loop;
static char root[] = "/tmp/compiler-test-XXXXXX";

static void open_loop(void)
{
    alloc_init();
    uv_loop_init(&loop);
    cr_assert_not_null(mkdtemp(root));
    cr_assert_eq(chmod(root, 0755), 0);
}

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void close_loop(void)
{
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(compiler, .init = open_loop, .fini = close_loop, .timeout = 60);

static struct compiler *open_compiler(const struct compiler_options *options)
{
    struct compiler *compiler = NULL;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(compiler_new(&loop, options, &compiler, &err), 0, "%s", error_message(&err));
    return compiler;
}

static void put(const char *path, const void *data, size_t len, mode_t mode)
{
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, data, len, mode, NULL), 0);
}

/* A folder of includes with one tunable. */
static char *make_includes(const char *tunable)
{
    char *path = xasprintf("%s/tunables/x", root);

    put(path, tunable, strlen(tunable), 0644);
    return path;
}

Test(compiler, knows_its_parser)
{
    _cleanup_(compiler_freep) struct compiler *compiler =
        open_compiler(&(struct compiler_options){.features = FEATURES});

    cr_assert_eq(compiler_parser_version(compiler)[1], '.', "%s",
                 compiler_parser_version(compiler));
    cr_assert_eq(strlen(features_id(compiler_features(compiler))), 32);
    cr_assert_eq(strlen(compiler_id(compiler)), 64);
    cr_assert_eq(compiler_landlock(compiler), sandbox_landlock_abi());
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

Test(compiler, keeps_next_to_nothing_in_memory)
{
    compiler_free(open_compiler(&(struct compiler_options){.features = FEATURES}));
    size_t before = allocated();
    _cleanup_(compiler_freep) struct compiler *compiler _unused_ =
        open_compiler(&(struct compiler_options){.features = FEATURES});
    cr_assert_lt(allocated(), before + 8192);
}

/* --- without a compiler --- */

static void assert_unavailable(const struct compiler_options *options, const char *message)
{
    _cleanup_error_ struct error err = {0};
    struct compiler *none = NULL;

    cr_assert_lt(compiler_new(&loop, options, &none, &err), 0);
    cr_assert_null(none);
    cr_assert_str_eq(error_reason(&err, ""), "CompilerUnavailable");
    cr_assert_not_null(strstr(error_message(&err), message), "%s", error_message(&err));
}

Test(compiler, what_is_missing_is_named)
{
    assert_unavailable(&(struct compiler_options){.features = FEATURES, .parser = "/no/parser"},
                       "/no/parser");
    assert_unavailable(&(struct compiler_options){.features = FEATURES, .parser = "/bin/false"},
                       "/bin/false --version");
    assert_unavailable(&(struct compiler_options){.features = FEATURES, .includes = "/no/folder"},
                       "/no/folder");
    assert_unavailable(&(struct compiler_options){.features = "/no/features"}, "/no/features");
}

Test(compiler, root_without_the_right_to_change_its_user_is_told_so)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    if (geteuid() != 0)
        cr_skip_test("only root changes its user");
    cr_assert_eq(syscall(SYS_capset, &header, none), 0);
    assert_unavailable(&(struct compiler_options){.features = FEATURES}, "CAP_SETUID");
}

/* --- what is upgraded in place --- */

Test(compiler, its_identity_follows_the_includes)
{
    _cleanup_free_ char *file = make_includes("@{A}=a\n");
    const struct compiler_options options = {.features = FEATURES, .includes = root};
    _cleanup_(compiler_freep) struct compiler *before = open_compiler(&options);
    _cleanup_(compiler_freep) struct compiler *same = open_compiler(&options);

    put(file, "@{A}=b\n", 7, 0644);
    _cleanup_(compiler_freep) struct compiler *after = open_compiler(&options);
    cr_assert_str_eq(compiler_id(before), compiler_id(same));
    cr_assert_str_neq(compiler_id(before), compiler_id(after));
    cr_assert_str_eq(features_id(compiler_features(before)), features_id(compiler_features(after)));

    cr_assert_eq(compiler_refresh(before, 0, NULL), 0);
    cr_assert_str_eq(compiler_id(before), compiler_id(after));
    /* The same content in a new file is the same compiler. */
    put(file, "@{A}=b\n", 7, 0644);
    cr_assert_eq(compiler_refresh(before, 0, NULL), 0);
    cr_assert_str_eq(compiler_id(before), compiler_id(after));
}

struct outcome {
    int calls;
    struct compiled *compiled;
    struct error err;
};

static void record(void *userdata, struct compiled *compiled, const struct error *err)
{
    struct outcome *outcome = userdata;

    outcome->calls++;
    outcome->compiled = compiled;
    error_copy(&outcome->err, err);
}

static struct outcome compile(struct compiler *compiler, const char *text)
{
    struct outcome outcome = {0};
    const struct policy_profile profile = {
        .name = (char *) (uintptr_t) "p",
        .text = (char *) (uintptr_t) text,
        .text_len = strlen(text),
    };

    compiler_run(compiler, &profile, false, record, &outcome);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.calls, 1);
    return outcome;
}

static void outcome_done(struct outcome *outcome)
{
    compiled_free(outcome->compiled);
    error_done(&outcome->err);
}
#define _cleanup_outcome_ _cleanup_(outcome_done)

/* The host's libraries are upgraded: the parser that is there finds them no more. */
Test(compiler, a_parser_that_no_longer_starts_is_no_mistake_of_the_policy)
{
    _cleanup_free_ char *parser = xasprintf("%s/bin/apparmor_parser", root);
    _cleanup_buf_ struct buf program = BUF_INIT(64 * 1024 * 1024);
    const struct compiler_options options = {.features = FEATURES, .parser = parser};
    char *library;

    cr_assert_eq(fs_read(AT_FDCWD, PARSER, &program, NULL), 0);
    put(parser, program.data, program.len, 0755);
    _cleanup_(compiler_freep) struct compiler *compiler = open_compiler(&options);
    library = memmem(program.data, program.len, "libc.so.6", strlen("libc.so.6"));
    cr_assert_not_null(library);
    library[3] = 'X';
    put(parser, program.data, program.len, 0755);

    _cleanup_outcome_ struct outcome outcome = compile(compiler, "profile p { }\n");
    cr_assert_null(outcome.compiled);
    cr_assert_str_eq(error_reason(&outcome.err, ""), "CompilerUnavailable");
    cr_assert_not_null(strstr(error_message(&outcome.err), "does not start"), "%s",
                       error_message(&outcome.err));
    cr_assert_not_null(strstr(error_message(&outcome.err), "libX.so.6"));
}

Test(compiler, a_compilation_sees_that_includes_have_changed)
{
    static const char text[] = "include <tunables/x>\nprofile p {\n  @{A} r,\n}\n";
    _cleanup_free_ char *file = make_includes("@{A}=/one\n");
    _cleanup_(compiler_freep) struct compiler *compiler =
        open_compiler(&(struct compiler_options){.features = FEATURES, .includes = root});
    _cleanup_free_ char *id = xstrdup(compiler_id(compiler));

    _cleanup_outcome_ struct outcome first = compile(compiler, text);
    cr_assert_not_null(strstr(first.compiled->text, "/one"));
    cr_assert_str_eq(compiler_id(compiler), id);
    put(file, "@{A}=/two\n", 10, 0644);
    _cleanup_outcome_ struct outcome second = compile(compiler, text);
    cr_assert_not_null(strstr(second.compiled->text, "/two"));
    cr_assert_str_neq(compiler_id(compiler), id);
}

/* The parser, saying that its version ends in `digit`; returns that version. */
static char *put_parser(const char *path, char digit)
{
    _cleanup_(compiler_freep) struct compiler *present =
        open_compiler(&(struct compiler_options){.features = FEATURES});
    _cleanup_free_ char *says = xasprintf("version %s\n", compiler_parser_version(present));
    _cleanup_buf_ struct buf program = BUF_INIT(32 * 1024 * 1024);

    cr_assert_eq(fs_read(AT_FDCWD, PARSER, &program, NULL), 0);
    char *at = memmem(program.data, program.len, says, strlen(says));
    cr_assert_not_null(at);
    at[strlen(says) - 2] = digit;
    put(path, program.data, program.len, 0755);
    return xstrndup(at + strlen("version "), strlen(compiler_parser_version(present)));
}

Test(compiler, a_new_parser_is_met_anew)
{
    _cleanup_free_ char *tunable _unused_ = make_includes("");
    _cleanup_free_ char *path = xasprintf("%s/parser", root);
    const struct compiler_options options = {.features = FEATURES,
                                             .includes = root,
                                             .parser = path};
    _cleanup_free_ char *old = put_parser(path, '1');
    _cleanup_(compiler_freep) struct compiler *compiler = open_compiler(&options);
    _cleanup_free_ char *id = xstrdup(compiler_id(compiler));

    cr_assert_str_eq(compiler_parser_version(compiler), old);
    _cleanup_free_ char *new = put_parser(path, '2');
    cr_assert_eq(compiler_refresh(compiler, 0, NULL), 0);
    cr_assert_str_eq(compiler_parser_version(compiler), new);
    cr_assert_str_neq(compiler_parser_version(compiler), old);
    cr_assert_str_neq(compiler_id(compiler), id);
}

Test(compiler, what_a_start_has_found_out_the_next_one_knows)
{
    _cleanup_free_ char *tunable = make_includes("");
    _cleanup_free_ char *path = xasprintf("%s/parser", root), *cache = xasprintf("%s/cache", root);
    const struct compiler_options options = {
        .features = FEATURES,
        .includes = root,
        .parser = path,
        .cache = cache,
    };
    _cleanup_free_ char *version = put_parser(path, '1');

    _cleanup_(compiler_freep) struct compiler *first = open_compiler(&options);
    /* It cannot run any more, and need not. */
    cr_assert_eq(chmod(path, 0444), 0);
    _cleanup_(compiler_freep) struct compiler *second = open_compiler(&options);
    cr_assert_str_eq(compiler_id(second), compiler_id(first));
    cr_assert_str_eq(compiler_parser_version(second), version);
    cr_assert_eq(compiler_parser(second)->may_fork, compiler_parser(first)->may_fork);

    /* Other includes are another compiler with the same parser. */
    put(tunable, "@{A}=b\n", 7, 0644);
    _cleanup_(compiler_freep) struct compiler *third = open_compiler(&options);
    cr_assert_str_neq(compiler_id(third), compiler_id(first));
    _cleanup_free_ char *other _unused_ = put_parser(path, '2');
    cr_assert_eq(chmod(path, 0444), 0);
    assert_unavailable(&options, "cannot execute");
}

Test(compiler, what_is_gone_is_named_and_may_come_back)
{
    _cleanup_free_ char *tunable _unused_ = make_includes("");
    _cleanup_free_ char *path = xasprintf("%s/parser", root), *away = xasprintf("%s/away", root);
    const struct compiler_options options = {.features = FEATURES,
                                             .includes = root,
                                             .parser = path};

    _cleanup_free_ char *version _unused_ = put_parser(path, '1');
    _cleanup_(compiler_freep) struct compiler *compiler = open_compiler(&options);
    cr_assert_eq(rename(path, away), 0);
    for (int i = 0; i < 2; i++) {
        _cleanup_outcome_ struct outcome outcome = compile(compiler, "profile a {\n}\n");
        cr_assert_str_eq(error_reason(&outcome.err, ""), "CompilerUnavailable");
        cr_assert_not_null(strstr(error_message(&outcome.err), path), "%s",
                           error_message(&outcome.err));
    }
    cr_assert_eq(rename(away, path), 0);
    _cleanup_outcome_ struct outcome outcome = compile(compiler, "profile a {\n}\n");
    cr_assert_eq(outcome.err.code, 0, "%s", error_message(&outcome.err));
}
