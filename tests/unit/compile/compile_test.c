// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compile.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/alloc.h"
#include "lib/base/child.h"
#include "lib/base/fs.h"
#include "lib/base/loop.h"
#include "lib/compile/features.h"
#include "lib/compile/sandbox.h"

#define FEATURES "/usr/share/apparmor-features/features"

static uv_loop_t loop;
static struct compiler *compiler;

static void open_compiler(void)
{
    const struct compiler_options options = {.features = FEATURES};
    _cleanup_error_ struct error err = {0};

    alloc_init();
    uv_loop_init(&loop);
    cr_assert_eq(compiler_new(&loop, &options, &compiler, &err), 0, "%s", error_message(&err));
}

static void close_compiler(void)
{
    compiler_free(compiler);
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(compile, .init = open_compiler, .fini = close_compiler, .timeout = 120);

struct outcome {
    int calls;
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

    outcome->calls++;
    outcome->compiled = compiled;
    error_copy(&outcome->err, err);
}

static struct policy_profile profile_of(const char *text)
{
    return (struct policy_profile){
        .name = (char *) (uintptr_t) "p",
        .text = (char *) (uintptr_t) text,
        .text_len = strlen(text),
    };
}

static struct outcome compile_profile(struct compiler *with, const struct policy_profile *profile)
{
    struct outcome outcome = {0};

    compiler_run(with, profile, false, record, &outcome);
    cr_assert_eq(outcome.calls, 0, "never from inside compiler_run()");
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.calls, 1);
    cr_assert_eq(outcome.compiled == NULL, outcome.err.code != 0);
    return outcome;
}

static struct outcome compile(const char *text)
{
    struct policy_profile profile = profile_of(text);

    return compile_profile(compiler, &profile);
}

static void assert_fails(const char *text, const char *reason, const char *message)
{
    _cleanup_outcome_ struct outcome outcome = compile(text);

    cr_assert_str_eq(error_reason(&outcome.err, ""), reason, "%s: %s", text,
                     error_message(&outcome.err));
    cr_assert_not_null(strstr(error_message(&outcome.err), message), "%s: %s", text,
                       error_message(&outcome.err));
}

static void assert_compiles(const char *text)
{
    _cleanup_outcome_ struct outcome outcome = compile(text);

    cr_assert_eq(outcome.err.code, 0, "%s: %s", text, error_message(&outcome.err));
}

Test(compile, gives_policy_for_the_kernel_and_text_that_stands_alone)
{
    _cleanup_outcome_ struct outcome outcome = compile("abi <abi/3.0>,\n"
                                                       "include <tunables/global>\n"
                                                       "# a comment\n"
                                                       "profile web {\n"
                                                       "  include <abstractions/base>\n"
                                                       "  include if exists <local/not-there>\n"
                                                       "  @{HOME}/x r,\n"
                                                       "  profile kid { /kid r, }\n"
                                                       "}\n");

    cr_assert_eq(outcome.err.code, 0, "%s", error_message(&outcome.err));
    const struct compiled *compiled = outcome.compiled;
    cr_assert_eq(compiled->blob->count, 2);
    cr_assert_str_eq(compiled->blob->profiles[0].name, "web");
    cr_assert_str_eq(compiled->blob->profiles[1].name, "web//kid");
    cr_assert_eq(strlen(compiled->text), compiled->text_len);
    cr_assert_null(strchr(compiled->text, '#'), "%s", compiled->text);
    cr_assert_not_null(strstr(compiled->text, "abi <abi/3.0>,"));
    cr_assert_null(strstr(strstr(compiled->text, "abi <abi/3.0>,") + 1, "abi <abi/3.0>,"));

    /* The flattened text means the same: it compiles to the same bytes. */
    _cleanup_outcome_ struct outcome again = compile(compiled->text);
    cr_assert_eq(again.err.code, 0, "%s", error_message(&again.err));
    cr_assert_eq(again.compiled->len, compiled->len);
    cr_assert_eq(memcmp(again.compiled->data, compiled->data, compiled->len), 0);
    cr_assert_str_eq(again.compiled->text, compiled->text);
}

Test(compile, errors_have_the_lines_of_the_policy)
{
    assert_fails("profile a {\n  /etc r\n}\n", "CompileError",
                 "line 3: syntax error, unexpected TOK_CLOSE, expecting TOK_END_OF_RULE");
    /* Found only once the includes, which come first, are written out. */
    assert_fails("include <tunables/global>\nprofile a {\n  include <abstractions/base>\n"
                 "  capability foo,\n}\n",
                 "CompileError", "line 4: Invalid capability foo.");
    assert_fails("include <tunables/global>\nprofile a {\n  include <abstractions/base>\n"
                 "  @{FOO}/x r,\n}\n",
                 "CompileError", "line 4: Found reference to variable FOO, but is never declared");
    assert_fails("profile a {\n  include <abstractions/nope>\n}\n", "CompileError",
                 "line 2: Could not open 'abstractions/nope'");
    assert_fails("abi <abi/nope>,\nprofile a {\n}\n", "CompileError",
                 "line 1: Could not open 'abi/nope'");
    assert_fails("profile a {\n  /x px,\n  /x ux,\n}\n", "CompileError",
                 "profile a: has merged rule /x with conflicting x modifiers");
    assert_fails("profile a {\n  /x/[ r,\n}\n", "CompileError",
                 "Regex grouping error: Unclosed grouping or character class");
    assert_fails("profile a {\n}\nprofile a {\n}\n", "CompileError", "Multiple definitions");
    assert_fails("@{A}=x\n@{A}=y\nprofile a {\n}\n", "CompileError",
                 "variable @{A} was previously declared");
}

Test(compile, policy_without_a_profile_is_refused)
{
    assert_fails("", "InvalidPolicy", "declares no profile");
    assert_fails("# nothing\n", "InvalidPolicy", "declares no profile");
    assert_fails("@{A}=x\n", "InvalidPolicy", "declares no profile");
}

Test(compile, what_would_break_a_kernel_is_refused)
{
    assert_fails("profile a {\n  profile b {\n  }\n}\nprofile a//b {\n}\n", "InvalidPolicy",
                 "a//b");
    assert_fails("profile :ns:a {\n}\n", "InvalidPolicy", "namespace");
}

Test(compile, attaching_to_the_host_needs_consent)
{
    struct policy_profile profile = profile_of("profile a /usr/bin/a {\n}\n");

    assert_fails(profile.text, "HostAttachment", "profile \"a\" attaches to ");
    assert_fails(profile.text, "HostAttachment", "spec.allowHostAttachment");
    assert_fails("/usr/bin/a {\n}\n", "HostAttachment", "profile \"/usr/bin/a\"");
    assert_fails("profile a {\n}\nprofile \"b c\" /{usr/,}bin/* {\n}\n", "HostAttachment",
                 "profile \"b c\" attaches to ");
    profile.allow_host_attachment = true;
    _cleanup_outcome_ struct outcome allowed = compile_profile(compiler, &profile);
    cr_assert_eq(allowed.err.code, 0, "%s", error_message(&allowed.err));
}

Test(compile, what_attaches_is_told_from_compiled_policy_alone)
{
    _cleanup_outcome_ struct outcome outcome =
        compile("# profile a /comment\nprofile \"a b\" /other {\n}\nprofile a /own {\n"
                "  /x r, # profile a /rule\n}\n");

    cr_assert_str_eq(error_reason(&outcome.err, ""), "HostAttachment");
    cr_assert_null(strstr(error_message(&outcome.err), "/comment"));
    cr_assert_null(strstr(error_message(&outcome.err), "/rule"));
}

Test(compile, the_mode_applies_to_children_and_hats)
{
    struct policy_profile profile =
        profile_of("profile a flags=(complain) {\n  profile b {\n  }\n  ^c {\n  }\n}\n");
    _cleanup_outcome_ struct outcome as_written = compile_profile(compiler, &profile);
    cr_assert_eq(blob_mode(as_written.compiled->blob), POLICY_MIXED);

    for (enum policy_mode mode = POLICY_ENFORCE; mode <= POLICY_UNCONFINED; mode++) {
        profile.mode = mode;
        _cleanup_outcome_ struct outcome outcome = compile_profile(compiler, &profile);
        cr_assert_eq(blob_mode(outcome.compiled->blob), mode);
        _cleanup_(blob_freep) struct blob *again = NULL;
        cr_assert_eq(blob_decode(outcome.compiled->data, outcome.compiled->len, &again, NULL), 0);
        cr_assert_eq(again->count, 3);
        cr_assert_eq(blob_mode(again), mode);
    }
}

static struct outcome compile_in_mode(const char *text, enum policy_mode mode)
{
    struct policy_profile profile = profile_of(text);

    profile.mode = mode;
    struct outcome outcome = compile_profile(compiler, &profile);
    cr_assert_eq(outcome.err.code, 0, "%s in %s: %s", text, policy_mode_name(mode),
                 error_message(&outcome.err));
    return outcome;
}

static void assert_same_blob(const struct outcome *a, const struct outcome *b)
{
    cr_assert_eq(a->compiled->len, b->compiled->len, "%s", a->compiled->text);
    cr_assert_eq(memcmp(a->compiled->data, b->compiled->data, a->compiled->len), 0, "%s",
                 a->compiled->text);
}

/* The host compiles the text at boot: it must come to what we load. But for Unconfined, which newer
 * compilers give no rules, that is the policy with nothing but its modes changed. */
Test(compile, the_text_has_the_mode_as_well)
{
    static const char *const texts[] = {
        "profile a {\n  /x r,\n}\n",
        "profile a flags=(attach_disconnected, complain) {\n  profile b {\n  }\n  ^c {\n  }\n}\n",
        "@{A}=x {y,z}\nprofile \"a b\" flags=(audit) {\n  owner {\n    /@{A}/** rw,\n  }\n}\n",
        "profile a {\n  /x{,y} r, # profile c {\n  hat b (kill){\n  }\n}\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        for (enum policy_mode mode = POLICY_ENFORCE; mode <= POLICY_UNCONFINED; mode++) {
            _cleanup_outcome_ struct outcome outcome = compile_in_mode(texts[i], mode);
            _cleanup_outcome_ struct outcome boot = compile(outcome.compiled->text);
            assert_same_blob(&outcome, &boot);

            _cleanup_outcome_ struct outcome plain = compile(texts[i]);
            blob_set_mode(plain.compiled->data, plain.compiled->blob, mode);
            if (mode != POLICY_UNCONFINED)
                assert_same_blob(&outcome, &plain);
        }
}

/* A profile that its text calls unconfined may be compiled without its rules. */
Test(compile, a_mode_is_as_good_as_the_flag)
{
    static const char plain[] = "profile a {\n  /x r,\n  profile b {\n    /y r,\n  }\n}\n";
    static const char unconfined[] = "profile a flags=(unconfined) {\n  /x r,\n"
                                     "  profile b flags=(unconfined) {\n    /y r,\n  }\n}\n";

    _cleanup_outcome_ struct outcome written = compile(plain);
    _cleanup_outcome_ struct outcome set = compile_in_mode(unconfined, POLICY_ENFORCE);
    assert_same_blob(&set, &written);
    _cleanup_outcome_ struct outcome open = compile(unconfined);
    _cleanup_outcome_ struct outcome opened = compile_in_mode(plain, POLICY_UNCONFINED);
    assert_same_blob(&opened, &open);
}

Test(compile, a_mode_that_cannot_be_written_is_an_error)
{
    _cleanup_buf_ struct buf text = BUF_INIT(10000);

    /* Deeper than policy_flags_rewrite() goes. */
    buf_add_string(&text, "profile a {\n");
    for (int i = 0; i < 70; i++)
        buf_add_string(&text, "audit {\n");
    buf_add_string(&text, "/x r,\n");
    for (int i = 0; i < 70; i++)
        buf_add_string(&text, "}\n");
    buf_add_string(&text, "}\n");
    assert_compiles(buf_string(&text));
    struct policy_profile profile = profile_of(buf_string(&text));
    profile.mode = POLICY_COMPLAIN;
    _cleanup_outcome_ struct outcome outcome = compile_profile(compiler, &profile);
    cr_assert_str_eq(error_reason(&outcome.err, ""), "InvalidPolicy", "%s",
                     error_message(&outcome.err));
    cr_assert_not_null(strstr(error_message(&outcome.err), "spec.mode Complain cannot be written"));
    cr_assert_not_null(strstr(error_message(&outcome.err), "line 65"), "%s",
                       error_message(&outcome.err));
}

/* Flags that are newer than the compiler of this node. */
Test(compile, an_unknown_flag_is_named_with_its_line)
{
    assert_fails("# a\nprofile a flags=(no_such_flag) {\n}\n", "CompileError",
                 "line 2: Invalid profile flag: no_such_flag.");
}

/* --- policy that means harm --- */

static char secret_path[] = "/tmp/compile-secret-XXXXXX";
static const char secret[] = "xyzzy-s3cr3t-token";

static void make_secret(void)
{
    int fd = mkstemp(secret_path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fs_write_all(fd, secret, strlen(secret)), 0);
    cr_assert_eq(fchmod(fd, 0644), 0);
    close(fd);
}

static void remove_secret(void)
{
    unlink(secret_path);
}

Test(compile, includes_of_anything_else_are_forbidden, .init = make_secret, .fini = remove_secret)
{
    static const char *const texts[] = {
        "include \"%s\"\nprofile a {\n}\n",
        "include %s\nprofile a {\n}\n",
        "#include %s\nprofile a {\n}\n",
        "profile a {\n  include if exists \"%s\"\n}\n",
        "profile a {\n  capability\n  include \"%s\"\n}\n",
        "include <../..%s>\nprofile a {\n}\n",
        "include <abstractions/../../..%s>\nprofile a {\n}\n",
        "include <%s>\nprofile a {\n}\n",
        "abi \"%s\",\nprofile a {\n}\n",
        "abi <../..%s>,\nprofile a {\n}\n",
        "profile a {\n  /a px -> # include \"%s\"\n}\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_free_ char *text = xasprintf(texts[i], secret_path);
        _cleanup_outcome_ struct outcome outcome = compile(text);
        cr_assert_str_eq(error_reason(&outcome.err, ""), "ForbiddenInclude", "%s: %s", text,
                         error_message(&outcome.err));
        cr_assert_null(strstr(error_message(&outcome.err), secret));
    }
    _cleanup_free_ char *comment =
        xasprintf("# include \"%s\"\nprofile a {\n  # see %s\n}\n", secret_path, secret_path);
    assert_compiles(comment);
}

/* Behind the check of the text: a shipped folder in which a link leads outside, as an administrator
 * or another package may have put there. */
Test(compile, the_parser_sees_nothing_else_whatever_the_text, .init = make_secret,
     .fini = remove_secret)
{
    char folder[] = "/tmp/compile-includes-XXXXXX";
    _cleanup_error_ struct error err = {0};
    _cleanup_(compiler_freep) struct compiler *other = NULL;

    if (sandbox_landlock_abi() == 0)
        cr_skip_test("this kernel has no Landlock");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chmod(folder, 0755), 0);
    _cleanup_free_ char *abstractions = xasprintf("%s/abstractions", folder);
    _cleanup_free_ char *link = xasprintf("%s/leak", abstractions);
    _cleanup_free_ char *plain = xasprintf("%s/plain", abstractions);
    cr_assert_eq(mkdir(abstractions, 0755), 0);
    cr_assert_eq(symlink(secret_path, link), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, plain, "  capability\n", 13, 0644, NULL), 0);

    const struct compiler_options options = {.features = FEATURES, .includes = folder};
    cr_assert_eq(compiler_new(&loop, &options, &other, &err), 0, "%s", error_message(&err));
    struct policy_profile leak =
        profile_of("profile a {\n  capability\n  include <abstractions/leak>\n}\n");
    _cleanup_outcome_ struct outcome outcome = compile_profile(other, &leak);
    cr_assert_str_eq(error_reason(&outcome.err, ""), "CompileError");
    cr_assert_not_null(strstr(error_message(&outcome.err), "line 3: Could not open"), "%s",
                       error_message(&outcome.err));
    struct policy_profile broken = profile_of("profile a {\n  include <abstractions/plain>\n}\n");
    _cleanup_outcome_ struct outcome pointed = compile_profile(other, &broken);
    cr_assert_not_null(strstr(error_message(&pointed.err), "syntax error"), "%s",
                       error_message(&pointed.err));

    unlink(link);
    unlink(plain);
    rmdir(abstractions);
    rmdir(folder);
}

Test(compile, includes_that_include_themselves_or_never_end_end)
{
    char folder[] = "/tmp/compile-includes-XXXXXX";
    _cleanup_(compiler_freep) struct compiler *other = NULL;
    _cleanup_error_ struct error err = {0};

    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chmod(folder, 0755), 0);
    _cleanup_free_ char *abstractions = xasprintf("%s/abstractions", folder);
    _cleanup_free_ char *loop_file = xasprintf("%s/loop", abstractions);
    _cleanup_free_ char *pipe_file = xasprintf("%s/pipe", abstractions);
    const char *loop_text = "  capability chown,\n  include <abstractions/loop>\n";
    cr_assert_eq(mkdir(abstractions, 0755), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, loop_file, loop_text, strlen(loop_text), 0644, NULL), 0);
    cr_assert_eq(mkfifo(pipe_file, 0644), 0);

    const struct compiler_options options = {.features = FEATURES,
                                             .includes = folder,
                                             .deadline_ms = 3000};
    cr_assert_eq(compiler_new(&loop, &options, &other, &err), 0, "%s", error_message(&err));
    struct policy_profile looping = profile_of("profile a {\n  include <abstractions/loop>\n}\n");
    _cleanup_outcome_ struct outcome looped = compile_profile(other, &looping);
    /* Releases of the parser differ: some read a file once, some refuse it. */
    if (!looped.compiled)
        cr_assert_str_eq(error_reason(&looped.err, ""), "CompileError");
    struct policy_profile piped = profile_of("profile a {\n  include <abstractions/pipe>\n}\n");
    _cleanup_outcome_ struct outcome waited = compile_profile(other, &piped);
    cr_assert_str_eq(error_reason(&waited.err, ""), "CompileTimeout");

    unlink(loop_file);
    unlink(pipe_file);
    rmdir(abstractions);
    rmdir(folder);
}

/* Alternations of alternations with stars between them, as many as a policy may have: a state
 * machine without end. */
static char *endless_policy(void)
{
    struct buf text = BUF_INIT(POLICY_TEXT_MAX);

    buf_add_string(&text, "profile a {\n");
    for (int i = 0; text.len < POLICY_TEXT_MAX - 200; i++)
        buf_addf(&text, "  /**{a%d,b}**{c,d%d}**{e,f}**x?????????y%d?????? r,\n", i, i, i);
    buf_add_string(&text, "}\n");
    return buf_take(&text);
}

static struct compiler *limited_compiler(uint64_t deadline_ms, size_t memory_max)
{
    const struct compiler_options options = {.features = FEATURES,
                                             .deadline_ms = deadline_ms,
                                             .memory_max = memory_max};
    struct compiler *limited;

    cr_assert_eq(compiler_new(&loop, &options, &limited, NULL), 0);
    return limited;
}

Test(compile, a_policy_without_end_meets_the_deadline)
{
    _cleanup_free_ char *text = endless_policy();
    _cleanup_(compiler_freep) struct compiler *hasty =
        limited_compiler(500, (size_t) 4096 * 1024 * 1024);
    struct policy_profile profile = profile_of(text);
    _cleanup_outcome_ struct outcome outcome = compile_profile(hasty, &profile);

    cr_assert_str_eq(error_reason(&outcome.err, ""), "CompileTimeout", "%s",
                     error_message(&outcome.err));
    cr_assert_not_null(strstr(error_message(&outcome.err), "within 1 s"));
}

Test(compile, a_policy_that_eats_memory_meets_its_limit)
{
    _cleanup_free_ char *text = endless_policy();
    _cleanup_(compiler_freep) struct compiler *small =
        limited_compiler(100000, (size_t) 48 * 1024 * 1024);
    struct policy_profile profile = profile_of(text);
    _cleanup_outcome_ struct outcome outcome = compile_profile(small, &profile);

    cr_assert_str_eq(error_reason(&outcome.err, ""), "CompileResources", "%s",
                     error_message(&outcome.err));
    cr_assert_not_null(strstr(error_message(&outcome.err), "48 MiB"));
}

Test(compile, includes_cannot_be_piled_up)
{
    _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);

    for (int i = 0; i < 3000; i++)
        buf_addf(&text, "profile a%d {\ninclude <abstractions/base>\n}\n", i);
    assert_fails(buf_string(&text), "CompileResources", "with its includes is larger than 4 MiB");
}

Test(compile, deep_nesting_is_an_error_like_any_other)
{
    static const struct {
        const char *open, *close;
    } kinds[] = {{"profile a {", "}"}, {"{", "}"}, {"(", ")"}};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
        buf_add_string(&text, "profile p {\n  /");
        for (int k = 0; k < 10000; k++)
            buf_add_string(&text, kinds[i].open);
        for (int k = 0; k < 10000; k++)
            buf_add_string(&text, kinds[i].close);
        buf_add_string(&text, " r,\n}\n");
        _cleanup_outcome_ struct outcome outcome = compile(buf_string(&text));
        cr_assert_neq(outcome.err.code, 0);
        cr_assert_lt(strlen(error_message(&outcome.err)), 1100);
    }
}

/* --- what is left behind --- */

static size_t count_descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

/* With the one that tells of changed includes, which comes with the first compilation. */
static size_t count_lasting_descriptors(void)
{
    cr_assert_eq(compiler_refresh(compiler, 0, NULL), 0);
    return count_descriptors();
}

Test(compile, hundreds_of_compilations_leave_nothing_behind)
{
    size_t descriptors = count_lasting_descriptors(), allocated = 0;

    for (int i = 0; i < 400; i++) {
        _cleanup_free_ char *text = xasprintf("profile p%d {\n  /x%d r,\n}\n", i, i);
        if (i % 10 == 5)
            assert_fails("profile a {\n  /x\n}\n", "CompileError", "line 3");
        else
            assert_compiles(text);
        /* By then the allocator's caches have filled. */
        if (i == 100)
            allocated = mallinfo2().uordblks;
    }
    cr_assert_eq(count_descriptors(), descriptors);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
    /* Less than what 300 leaks of some 200 bytes would add; what libraries keep may vary. */
    cr_assert_lt(mallinfo2().uordblks, allocated + 65536);
}

Test(compile, can_be_cancelled_at_any_time)
{
    _cleanup_free_ char *text = endless_policy();
    const char *texts[] = {text, "profile a {\n}\n", "include \"/etc/passwd\"\n"};
    size_t descriptors = count_lasting_descriptors();
    struct outcome outcome = {0};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        for (int turns = 0; turns < 3; turns++) {
            struct policy_profile profile = profile_of(texts[i]);
            struct compilation *compilation =
                compiler_run(compiler, &profile, false, record, &outcome);
            for (int k = 0; k < turns && outcome.calls == 0; k++)
                uv_run(&loop, UV_RUN_ONCE);
            if (outcome.calls == 0)
                compilation_cancel(compilation);
            uv_run(&loop, UV_RUN_DEFAULT);
            outcome_done(&outcome);
            outcome = (struct outcome){0};
        }
    }
    cr_assert_eq(count_descriptors(), descriptors);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
}

Test(compile, several_at_once_do_not_mix)
{
    struct outcome outcomes[8] = {0};
    struct policy_profile profiles[8];
    char texts[8][64];

    for (int i = 0; i < 8; i++) {
        snprintf(texts[i], sizeof(texts[i]), "profile p%d {\n}\n", i);
        profiles[i] = profile_of(texts[i]);
        compiler_run(compiler, &profiles[i], false, record, &outcomes[i]);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 8; i++) {
        char name[8];
        snprintf(name, sizeof(name), "p%d", i);
        cr_assert_eq(outcomes[i].calls, 1);
        cr_assert_str_eq(outcomes[i].compiled->blob->profiles[0].name, name);
        outcome_done(&outcomes[i]);
    }
}

/* --- the cache --- */

static struct outcome compile_flat(struct compiler *with, const char *text)
{
    struct policy_profile profile = profile_of(text);
    struct outcome outcome = {0};

    compiler_run(with, &profile, true, record, &outcome);
    cr_assert_eq(outcome.calls, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.calls, 1);
    return outcome;
}

static struct compiler *compiler_with_cache(const char *folder)
{
    const struct compiler_options options = {.features = FEATURES, .cache = folder};
    _cleanup_error_ struct error err = {0};
    struct compiler *with;

    cr_assert_eq(compiler_new(&loop, &options, &with, &err), 0, "%s", error_message(&err));
    return with;
}

Test(compile, the_same_text_is_compiled_once)
{
    char root[] = "/tmp/compile_test.XXXXXX";
    cr_assert(mkdtemp(root));
    _cleanup_free_ char *folder = xasprintf("%s/cache", root);
    _cleanup_free_ char *command = xasprintf("rm -rf %s", root);
    _cleanup_(compiler_freep) struct compiler *with = compiler_with_cache(folder);
    const char *text = "include <tunables/global>\nprofile a { @{HOME}/x r, }\n";
    struct policy_profile profile = profile_of(text);

    _cleanup_outcome_ struct outcome first = compile_profile(with, &profile);
    cr_assert_eq(first.err.code, 0, "%s", error_message(&first.err));
    cr_assert_not(first.compiled->cached);
    compiled_keep(with, first.compiled);
    _cleanup_outcome_ struct outcome second = compile_profile(with, &profile);
    cr_assert(second.compiled->cached);
    _cleanup_outcome_ struct outcome flat = compile_flat(with, first.compiled->text);
    cr_assert(flat.compiled->cached);
    cr_assert_str_eq(flat.compiled->text, first.compiled->text);
    cr_assert_eq(flat.compiled->len, first.compiled->len);
    cr_assert_eq(memcmp(flat.compiled->data, first.compiled->data, first.compiled->len), 0);

    /* A change of what it says, a line break no less, is another text. */
    _cleanup_outcome_ struct outcome other = compile_flat(with, "profile a { /y r, }\n");
    cr_assert_not(other.compiled->cached);
    cr_assert_eq(system(command), 0);
    _cleanup_outcome_ struct outcome lost = compile_flat(with, first.compiled->text);
    cr_assert_not(lost.compiled->cached);
    cr_assert_eq(system(command), 0);
}

Test(compile, what_the_cache_has_is_checked_for_the_object_that_wants_it)
{
    char root[] = "/tmp/compile_test.XXXXXX";
    cr_assert(mkdtemp(root));
    _cleanup_free_ char *command = xasprintf("rm -rf %s", root);
    _cleanup_(compiler_freep) struct compiler *with = compiler_with_cache(root);
    struct policy_profile profile = profile_of("profile a /usr/bin/a { /y r, }\n");

    profile.allow_host_attachment = true;
    _cleanup_outcome_ struct outcome allowed = compile_profile(with, &profile);
    cr_assert_eq(allowed.err.code, 0, "%s", error_message(&allowed.err));
    compiled_keep(with, allowed.compiled);
    profile.allow_host_attachment = false;
    _cleanup_outcome_ struct outcome refused = compile_profile(with, &profile);
    cr_assert_str_eq(error_reason(&refused.err, ""), "HostAttachment");
    cr_assert_eq(system(command), 0);
}

Test(compile, a_text_that_calls_itself_flat_and_is_not_is_flattened)
{
    _cleanup_outcome_ struct outcome outcome =
        compile_flat(compiler, "include <tunables/global>\nprofile a { @{HOME}/x r, }\n");

    cr_assert_eq(outcome.err.code, 0, "%s", error_message(&outcome.err));
    cr_assert_null(strstr(outcome.compiled->text, "include"));
}

/* --- what distributions ship --- */

static void keep_output(void *userdata, struct child_result *result)
{
    struct buf *out = userdata;

    cr_assert_eq(result->exit_status, 0, "%s", buf_string(&result->err));
    *out = result->out;
    result->out = BUF_INIT(0);
}

/* What the parser makes of the text as it is, with its includes. */
static struct buf compile_directly(const char *path)
{
    bool old = compiler_parser_version(compiler)[0] == '3';
    const char *const args[] = {"/sbin/apparmor_parser",
                                "--config-file",
                                "/dev/null",
                                "--base",
                                "/etc/apparmor.d",
                                "-M",
                                FEATURES,
                                "-QKS",
                                path,
                                old ? "-O" : NULL,
                                "no-expr-simplify",
                                NULL};
    const struct child_options options = {.argv = args,
                                          .stdout_max = BLOB_SIZE_MAX,
                                          .stderr_max = 100000,
                                          .deadline_ms = 60000};
    struct buf out = {0};
    struct child *child;

    cr_assert_eq(child_start(&loop, &options, keep_output, &out, &child, NULL), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    return out;
}

static bool same_bytes(const struct buf *a, const char *data, size_t len)
{
    return a->len == len && memcmp(a->data, data, len) == 0;
}

/* The same profiles, and whether they are the same to the last byte. */
static bool compiles_the_same(const char *path)
{
    _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
    _cleanup_(blob_freep) struct blob *blob = NULL;

    cr_assert_eq(fs_read(AT_FDCWD, path, &text, NULL), 0);
    struct policy_profile profile = profile_of(buf_string(&text));
    profile.allow_host_attachment = true;
    _cleanup_outcome_ struct outcome outcome = compile_profile(compiler, &profile);
    cr_assert_eq(outcome.err.code, 0, "%s: %s", path, error_message(&outcome.err));
    const struct blob *flat = outcome.compiled->blob;
    _cleanup_buf_ struct buf direct = compile_directly(path);
    cr_assert_eq(blob_decode(direct.data, direct.len, &blob, NULL), 0, "%s", path);
    cr_assert_eq(blob->count, flat->count, "%s", path);
    for (size_t i = 0; i < blob->count; i++) {
        cr_expect_str_eq(blob->profiles[i].name, flat->profiles[i].name);
        cr_expect_eq(blob->profiles[i].mode, flat->profiles[i].mode, "%s", path);
    }
    return same_bytes(&direct, outcome.compiled->data, outcome.compiled->len);
}

Test(compile, flattening_changes_nothing_in_the_distributions_profiles)
{
    DIR *stream = opendir("/etc/apparmor.d");
    const struct dirent *entry;
    size_t count = 0, different = 0;

    if (!stream)
        cr_skip_test("there are no profiles in /etc/apparmor.d");
    while ((entry = readdir(stream)))
        if (entry->d_type == DT_REG) {
            _cleanup_free_ char *path = xasprintf("/etc/apparmor.d/%s", entry->d_name);
            if (!compiles_the_same(path)) {
                fprintf(stderr, "%s differs\n", path);
                different++;
            }
            count++;
        }
    closedir(stream);
    if (count == 0)
        cr_skip_test("there are no profiles in /etc/apparmor.d");
    /* Parser 4.1 makes other bytes of some large texts each time that it is run. */
    if (compiler_parser_version(compiler)[0] == '3')
        cr_assert_eq(different, 0);
    else
        cr_assert_leq(different, count / 20);
}

/* --- for other kernels --- */

static struct features *other_features(const char *text)
{
    struct features *features = NULL;

    cr_assert_eq(features_new(text, strlen(text), &features, NULL), 0);
    return features;
}

static struct outcome compile_for(struct features *features, const char *text, bool flat)
{
    const struct compile_options options = {.flat = flat, .features = features};
    struct policy_profile profile = profile_of(text);
    struct outcome outcome = {0};

    compiler_run_with(compiler, &profile, &options, record, &outcome);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(outcome.calls, 1);
    return outcome;
}

static bool same_policy(const struct outcome *a, const struct outcome *b)
{
    cr_assert_eq(a->err.code, 0, "%s", error_message(&a->err));
    cr_assert_eq(b->err.code, 0, "%s", error_message(&b->err));
    return a->compiled->len == b->compiled->len &&
           memcmp(a->compiled->data, b->compiled->data, a->compiled->len) == 0;
}

Test(compile, for_the_features_of_another_kernel)
{
    static const char text[] = "profile p { signal send peer=q, network inet stream, /a r, }";
    _cleanup_(features_unrefp) struct features *bare =
        other_features("file {mask {read write\n}\n}\ncaps {mask {chown\n}\n}\n");
    _cleanup_outcome_ struct outcome own = compile(text), other = compile_for(bare, text, false),
                                     same = compile_for(NULL, text, false),
                                     flat = compile_for(bare, text, true);

    cr_assert_not(same_policy(&own, &other), "the other kernel knows no signal rules");
    cr_assert(same_policy(&own, &same));
    cr_assert(same_policy(&other, &flat));
}

Test(compile, a_deadline_of_its_own)
{
    const struct compile_options options = {.deadline_ms = 1};
    struct policy_profile profile =
        profile_of("include <tunables/global>\nprofile p { include <abstractions/base> }");
    _cleanup_outcome_ struct outcome outcome = {0};

    compiler_run_with(compiler, &profile, &options, record, &outcome);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_str_eq(error_reason(&outcome.err, ""), "CompileTimeout");
}

/* --- as a pod's process --- */

/* As securityContext wants: runAsNonRoot, drop ALL, allowPrivilegeEscalation false. */
static int compile_as_nobody(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    for (unsigned long cap = 0; cap < 64; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (setgroups(0, NULL) < 0 || setresgid(65532, 65532, 65532) < 0 ||
        setresuid(65532, 65532, 65532) < 0 || syscall(SYS_capset, &header, none) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

Test(compile, without_any_right)
{
    _cleanup_error_ struct error err = {0};
    const struct compiler_options options = {.features = FEATURES};
    _cleanup_(compiler_freep) struct compiler *nobodys = NULL;
    struct policy_profile profile =
        profile_of("include <tunables/global>\nprofile p { include <abstractions/base> }");

    if (geteuid() != 0)
        cr_skip_test("only root can become somebody else");
    cr_assert_eq(compile_as_nobody(), 0);
    cr_assert_eq(compiler_new(&loop, &options, &nobodys, &err), 0, "%s", error_message(&err));
    _cleanup_outcome_ struct outcome good = compile_profile(nobodys, &profile);
    cr_assert_eq(good.err.code, 0, "%s", error_message(&good.err));
    profile = profile_of("profile p {\n  /a rubbish\n}");
    _cleanup_outcome_ struct outcome bad = compile_profile(nobodys, &profile);
    cr_assert_str_eq(error_reason(&bad.err, ""), "CompileError");
    cr_assert_not_null(strstr(error_message(&bad.err), "line 2: "), "%s", error_message(&bad.err));
}
