// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/compile/cache.h"
#include "lib/compile/diagnose.h"
#include "lib/compile/flatten.h"
#include "lib/compile/parser.h"
#include "lib/compile/shipped.h"
#include "lib/policy/flags.h"
#include "lib/policy/includes.h"

/* Of the program, for its vocabulary. */
#define PROGRAM_MAX (32 * 1024 * 1024)

/* A flat text takes nothing from the includes: a node that boots need not look for changes of
 * theirs before each of its profiles. */
#define FLAT_AGE_MS 1000

/* What takes longer than a moment to read is left to the parser. */
#define FLAT_HERE_MAX (1024 * 1024)

enum stage { FLATTEN, COMPILE, EXPLAIN };

struct compilation {
    struct compiler *compiler;
    const struct policy_profile *profile;
    compile_fn fn;
    void *userdata;

    struct parser parser; /* as it shall run; what it points to is the compiler's */
    bool foreign;         /* the features are not the compiler's */
    bool more;            /* compilations are to follow */
    bool alone;           /* what is held ready has not got as far as the parser */
    enum stage stage;
    int text_fd;
    struct child *child;
    struct loop_timer *later; /* an end without a child */
    struct buf kept;          /* what the cache has of it */
    struct compiled *compiled;
    struct error failure; /* of the flattened text, while the original is asked for lines */
};

void compiled_free(struct compiled *compiled)
{
    if (!compiled)
        return;
    free(compiled->text);
    free(compiled->data);
    blob_free(compiled->blob);
    free(compiled);
}

static void compilation_free(struct compilation *compilation)
{
    if (compilation->text_fd >= 0)
        close(compilation->text_fd);
    loop_timer_free(compilation->later);
    buf_done(&compilation->kept);
    compiled_free(compilation->compiled);
    error_done(&compilation->failure);
    free(compilation);
}

static void finish(struct compilation *compilation, const struct error *err)
{
    struct compiled *compiled = err->code ? NULL : TAKE_PTR(compilation->compiled);

    compilation->fn(compilation->userdata, compiled, err);
    compilation_free(compilation);
}

static void on_child(void *userdata, struct child_result *result);

/* Starts the parser on `text`, or fails from the loop. */
static void start_stage(struct compilation *compilation, enum stage stage, const char *text,
                        size_t len)
{
    enum parser_task task = stage == FLATTEN ? PARSER_FLATTEN : PARSER_COMPILE;
    _cleanup_error_ struct error err = {0};

    compilation->stage = stage;
    compilation->parser.server = stage == COMPILE && !compilation->foreign && !compilation->alone
                                     ? compiler_server(compilation->compiler, compilation->more)
                                     : NULL;
    if (compilation->text_fd >= 0)
        close(TAKE_FD(compilation->text_fd));
    int r = parser_text_file(text, len, &compilation->text_fd, &err);
    if (r == 0)
        r = parser_start(&compilation->parser, compiler_loop(compilation->compiler), task,
                         compilation->text_fd, on_child, compilation, &compilation->child, &err);
    if (r < 0) {
        error_move(&compilation->failure, &err);
        loop_timer_start(compilation->later, 0);
    }
}

/* --- failures --- */

static bool ran_out_of_memory(const struct child_result *result)
{
    static const char *const signs[] = {"bad_alloc", "emory alloc", "allocate memory",
                                        "out of memory", "Out of memory"};

    for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
        if (strstr(buf_string(&result->err), signs[i]))
            return true;
    return false;
}

static int fail_resources(const struct compilation *compilation, const struct child_result *result,
                          struct error *err)
{
    const struct parser *parser = &compilation->parser;

    if (result->timed_out || result->signal == SIGXCPU)
        return error_set_reason(err, -ETIMEDOUT, "CompileTimeout",
                                "the policy does not compile within %llu s: simplify its rules, "
                                "above all alternations and ** in the middle of paths",
                                (unsigned long long) (parser->deadline_ms + 999) / 1000);
    if (result->output_exceeded)
        return error_set_reason(err, -EFBIG, "CompileResources",
                                compilation->stage == FLATTEN
                                    ? "the policy with its includes is larger than %d MiB: include "
                                      "less, or less often"
                                    : "the compiled policy is larger than %d MiB: split it into "
                                      "several objects",
                                (compilation->stage == FLATTEN ? PARSER_FLAT_MAX : BLOB_SIZE_MAX) >>
                                    20);
    return error_set_reason(err, -ENOMEM, "CompileResources",
                            "the compiler needs more than %zu MiB of memory or crashes on this "
                            "policy (%s): simplify its rules",
                            parser->memory_max >> 20,
                            result->signal ? strsignal(result->signal) : "out of memory");
}

/* What the parser said. Its program is read for the words that it may use, and only then: it is
 * larger than all else that the agent keeps. */
static int fail_compile(const struct compilation *compilation, const struct child_result *result,
                        struct error *err)
{
    const struct parser *parser = &compilation->parser;
    _cleanup_buf_ struct buf program = BUF_INIT(PROGRAM_MAX);

    /* Without it more words are left out. */
    (void) !fs_read(AT_FDCWD, parser->path, &program, NULL);
    const struct diagnose_options options = {
        .file = PARSER_TEXT_NAME,
        .includes = parser->includes,
        .text = compilation->profile->text,
        .text_len = compilation->profile->text_len,
        .parser = buf_string(&program),
        .parser_len = program.len,
    };
    _cleanup_free_ char *message = diagnose(&options, buf_string(&result->err));

    return error_set_reason(err, -EINVAL, "CompileError", "%s", message);
}

static bool succeeded(const struct child_result *result)
{
    return result->exit_status == 0 && !result->timed_out && !result->output_exceeded;
}

static int explain(const struct compilation *compilation, const struct child_result *result,
                   struct error *err)
{
    int r = parser_has_started(&compilation->parser, result, err);

    if (r < 0)
        return r;
    if (result->timed_out || result->output_exceeded || result->signal || ran_out_of_memory(result))
        return fail_resources(compilation, result, err);
    return fail_compile(compilation, result, err);
}

/* --- what is taken --- */

static int check_attachments(const struct policy_profile *profile, const struct blob *blob,
                             struct error *err)
{
    for (size_t i = 0; i < blob->count && !profile->allow_host_attachment; i++) {
        const struct blob_profile *p = &blob->profiles[i];
        if (!p->attaches)
            continue;
        /* Older compilers give a pattern as a state machine alone. */
        if (p->attachment && strcmp(p->attachment, p->name) != 0)
            return error_set_reason(
                err, -EPERM, "HostAttachment",
                "profile \"%s\" attaches to \"%s\" and would confine the host's programs there: "
                "leave the attachment out, or set spec.allowHostAttachment to true",
                p->name, p->attachment);
        return error_set_reason(
            err, -EPERM, "HostAttachment",
            "profile \"%s\" attaches to paths and would confine the host's programs there: give it "
            "a name that is no path and no attachment, or set spec.allowHostAttachment to true",
            p->name);
    }
    return 0;
}

/* Never false while lib/policy and the parser read the flags alike. */
static int check_mode(const struct policy_profile *profile, const struct blob *blob,
                      struct error *err)
{
    enum policy_mode mode = blob_mode(blob);

    if (profile->mode == POLICY_MODE_UNSET || profile->mode == mode)
        return 0;
    return error_set_reason(
        err, -EINVAL, "InvalidPolicy",
        "spec.mode is %s and the policy compiled with it is %s: leave spec.mode "
        "out and give the profiles their flags in spec.policy",
        policy_mode_name(profile->mode), policy_mode_name(mode));
}

/* Takes the parser's output. */
static int accept_blob(struct compilation *compilation, struct buf *out, struct error *err)
{
    const struct policy_profile *profile = compilation->profile;
    struct compiled *compiled = compilation->compiled;

    compiled->len = out->len;
    compiled->data = buf_take(out);
    if (compiled->len == 0)
        return error_set_reason(err, -EINVAL, "InvalidPolicy",
                                "spec.policy declares no profile: write profile NAME { … }");
    int r = blob_decode(compiled->data, compiled->len, &compiled->blob, err);
    if (r < 0) {
        _cleanup_free_ char *why = xstrdup(error_message(err));
        return error_set_reason(err, r, "InvalidPolicy", "%s", why);
    }
    r = check_attachments(profile, compiled->blob, err);
    return r < 0 ? r : check_mode(profile, compiled->blob, err);
}

/*
 * Puts spec.mode into the text: the host compiles it at boot, and patching what was compiled would
 * not do, as the parser leaves rules out of a profile that the text calls unconfined.
 */
static int write_mode(const struct policy_profile *profile, struct buf *text, struct error *err)
{
    _cleanup_error_ struct error failure = {0};
    struct buf moded = BUF_INIT(PARSER_FLAT_MAX);

    int r = policy_flags_rewrite(buf_string(text), text->len, profile->mode, &moded, &failure);
    if (r < 0) {
        buf_done(&moded);
        return error_set_reason(err, r, "InvalidPolicy",
                                "spec.mode %s cannot be written into the policy: %s",
                                policy_mode_name(profile->mode), error_message(&failure));
    }
    buf_done(text);
    *text = moded;
    return 0;
}

/* Takes the flattened text. */
static int accept_text(struct compilation *compilation, const struct buf *out, struct error *err)
{
    struct compiled *compiled = compilation->compiled;
    _cleanup_buf_ struct buf text = BUF_INIT(PARSER_FLAT_MAX);

    int r = flatten_clean(buf_string(out), out->len, &text, err);
    if (r == 0 && compilation->profile->mode != POLICY_MODE_UNSET)
        r = write_mode(compilation->profile, &text, err);
    if (r < 0)
        return r;
    compiled->text_len = text.len;
    compiled->text = buf_take(&text);
    return 0;
}

/* --- the cache --- */

/* Of all that the compiled policy depends on: a flat text takes nothing from elsewhere but what the
 * compiler's identity covers. */
static void take_key(struct compiled *compiled)
{
    const char *id = compiled->compiler;
    const struct digest_part parts[] = {{id, strlen(id)}, {compiled->text, compiled->text_len}};

    digest_hex(DIGEST_SHA256, parts, ARRAY_SIZE(parts), compiled->key);
}

static const struct cache *cache_of(const struct compilation *compilation)
{
    return compilation->foreign ? NULL : compiler_cache(compilation->compiler);
}

static bool find_kept(struct compilation *compilation)
{
    const struct cache *cache = cache_of(compilation);
    _cleanup_error_ struct error err = {0};
    int r;

    if (!cache)
        return false;
    take_key(compilation->compiled);
    r = cache_get(cache, compilation->compiled->key, &compilation->kept, &err);
    if (r < 0 && r != -ENOENT)
        log_debug("no compiled policy from the cache", "profile", compilation->profile->name, "err",
                  error_message(&err));
    return r == 0;
}

void compiled_keep(const struct compiler *compiler, const struct compiled *compiled)
{
    _cleanup_error_ struct error err = {0};

    if (!*compiled->key || compiled->cached)
        return;
    if (cache_put(compiler_cache(compiler), compiled->key, compiled->data, compiled->len, &err) < 0)
        log_debug("compiled policy is not kept", "err", error_message(&err));
}

/* --- the stages --- */

static void end_later(void *userdata)
{
    struct compilation *compilation = userdata;
    _cleanup_error_ struct error err = {0};

    if (compilation->failure.code) {
        error_move(&err, &compilation->failure);
    } else {
        compilation->compiled->cached = true;
        accept_blob(compilation, &compilation->kept, &err);
    }
    finish(compilation, &err);
}

/* The text is flat: what was compiled from it is known, or the parser makes it. */
static void begin_compile(struct compilation *compilation)
{
    if (find_kept(compilation))
        loop_timer_start(compilation->later, 0);
    else
        start_stage(compilation, COMPILE, compilation->compiled->text,
                    compilation->compiled->text_len);
}

/* Most text takes no run of the parser. What fails here fails there too, and better told. */
static int flatten_here(struct compilation *compilation)
{
    const struct policy_profile *profile = compilation->profile;
    _cleanup_buf_ struct buf flat = BUF_INIT(FLAT_HERE_MAX);

    int r = shipped_expand(compiler_shipped(compilation->compiler), profile->text,
                           profile->text_len, &flat);
    return r < 0 ? r : accept_text(compilation, &flat, NULL);
}

static void on_flattened(struct compilation *compilation, struct child_result *result)
{
    _cleanup_error_ struct error err = {0};
    int r = succeeded(result) ? accept_text(compilation, &result->out, &err)
                              : explain(compilation, result, &err);

    if (r < 0) {
        finish(compilation, &err);
        return;
    }
    begin_compile(compilation);
}

/* Whatever kept a process of what is held ready from its work, the parser is not to blame. */
static bool try_alone(struct compilation *compilation, const struct child_result *result)
{
    const struct compiled *compiled = compilation->compiled;

    if (!compilation->parser.server || parser_has_started(&compilation->parser, result, NULL) == 0)
        return false;
    compiler_server_end(compilation->compiler);
    compilation->alone = true;
    start_stage(compilation, COMPILE, compiled->text, compiled->text_len);
    return true;
}

static void on_compiled(struct compilation *compilation, struct child_result *result)
{
    _cleanup_error_ struct error err = {0};

    if (try_alone(compilation, result))
        return;
    if (succeeded(result)) {
        (void) accept_blob(compilation, &result->out, &err);
        finish(compilation, &err);
        return;
    }
    int r = explain(compilation, result, &err);
    if (r != -EINVAL) {
        finish(compilation, &err);
        return;
    }
    /* Its lines are those of the flattened text; the original tells them in its author's terms. */
    error_move(&compilation->failure, &err);
    start_stage(compilation, EXPLAIN, compilation->profile->text, compilation->profile->text_len);
}

static void on_explained(struct compilation *compilation, struct child_result *result)
{
    _cleanup_error_ struct error err = {0};

    if (succeeded(result))
        error_set_reason(&err, -EINVAL, "CompileError",
                         "the policy compiles, but not with its includes and spec.mode written "
                         "out: %s",
                         error_message(&compilation->failure));
    else
        explain(compilation, result, &err);
    finish(compilation, &err);
}

static void on_child(void *userdata, struct child_result *result)
{
    struct compilation *compilation = userdata;

    compilation->child = NULL;
    if (result->signal)
        compiler_server_end(compilation->compiler);
    switch (compilation->stage) {
    case FLATTEN:
        on_flattened(compilation, result);
        break;
    case COMPILE:
        on_compiled(compilation, result);
        break;
    case EXPLAIN:
        on_explained(compilation, result);
        break;
    }
}

static void take_parser(struct compilation *compilation, const struct compile_options *options)
{
    struct parser *parser = &compilation->parser;

    *parser = *compiler_parser(compilation->compiler);
    compilation->more = options->more;
    compilation->foreign = options->features && options->features != parser->features;
    if (options->features)
        parser->features = options->features;
    if (options->deadline_ms > 0)
        parser->deadline_ms = options->deadline_ms;
    if (options->memory_max > 0)
        parser->memory_max = options->memory_max;
}

static void begin(struct compilation *compilation, const struct compile_options *options)
{
    const struct policy_profile *profile = compilation->profile;
    struct compiled *compiled = compilation->compiled;

    if (policy_includes_check(profile->text, profile->text_len, &compilation->failure) < 0 ||
        compiler_refresh(compilation->compiler, options->flat ? FLAT_AGE_MS : 0,
                         &compilation->failure) < 0) {
        loop_timer_start(compilation->later, 0);
        return;
    }
    memcpy(compiled->compiler, compiler_id(compilation->compiler), sizeof(compiled->compiler));
    take_parser(compilation, options);
    if (options->flat && policy_includes_none(profile->text, profile->text_len, NULL) == 0) {
        compiled->text = xstrndup(profile->text, profile->text_len);
        compiled->text_len = profile->text_len;
        begin_compile(compilation);
    } else if (flatten_here(compilation) == 0) {
        begin_compile(compilation);
    } else {
        start_stage(compilation, FLATTEN, profile->text, profile->text_len);
    }
}

struct compilation *compiler_run(struct compiler *compiler, const struct policy_profile *profile,
                                 bool flat, compile_fn fn, void *userdata)
{
    const struct compile_options options = {.flat = flat};

    return compiler_run_with(compiler, profile, &options, fn, userdata);
}

struct compilation *compiler_run_with(struct compiler *compiler,
                                      const struct policy_profile *profile,
                                      const struct compile_options *options, compile_fn fn,
                                      void *userdata)
{
    struct compilation *compilation = xcalloc(1, sizeof(*compilation));

    *compilation = (struct compilation){
        .compiler = compiler,
        .profile = profile,
        .fn = fn,
        .userdata = userdata,
        .text_fd = -1,
        .later = loop_timer_new(compiler_loop(compiler), end_later, compilation),
        .kept = BUF_INIT(BLOB_SIZE_MAX),
        .compiled = xcalloc(1, sizeof(struct compiled)),
    };
    begin(compilation, options);
    return compilation;
}

void compilation_cancel(struct compilation *compilation)
{
    child_abandon(compilation->child);
    compilation_free(compilation);
}
