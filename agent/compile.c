// SPDX-License-Identifier: Apache-2.0
#include "agent/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "agent/diagnose.h"
#include "agent/flatten.h"
#include "agent/sandbox.h"
#include "agent/textmode.h"
#include "agent/tree.h"
#include "lib/base/alloc.h"
#include "lib/base/child.h"
#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/strv.h"
#include "lib/policy/includes.h"

#define DEFAULT_INCLUDES "/etc/apparmor.d"
#define DEFAULT_ID 65534
#define DEFAULT_DEADLINE_MS 60000
#define DEFAULT_MEMORY ((size_t) 512 * 1024 * 1024)
#define PARSER_MAX (32 * 1024 * 1024)
#define MANIFEST_MAX (4 * 1024 * 1024)
#define STDERR_MAX (64 * 1024)
/* A policy with its includes: 256 KiB of text can name thousands of abstractions. */
#define FLAT_MAX (4 * 1024 * 1024)
#define PROBE_DEADLINE_MS 20000
#define PATHS_MAX 32

static const char UNAVAILABLE[] = "CompilerUnavailable";

/* What is compiled against, below the base folder. */
static const char *const INCLUDE_FOLDERS[] = {"abstractions", "tunables",  "abi",  "local",
                                              "apache2.d",    "php-fpm.d", "samba"};
/* The dynamic loader and what it loads; all world-readable and shipped by packages. */
static const char *const LIBRARY_PATHS[] = {"/lib", "/lib64", "/usr/lib", "/usr/lib64",
                                            "/etc/ld.so.cache"};

struct compiler {
    uv_loop_t *loop;
    char *parser, *includes, *features;
    uid_t uid;
    gid_t gid;
    uint64_t deadline_ms;
    size_t memory_max;

    struct buf program; /* the parser's content: its identity and its vocabulary */
    char *version;
    unsigned long major;
    int landlock;
    bool may_fork; /* this parser compiles nothing without a process of its own */
    char features_id[17];
    char id[DIGEST_HEX_SIZE];
};

/* --- one run of the parser --- */

enum stage { FLATTEN, COMPILE, EXPLAIN };

struct run {
    const struct compiler *compiler;
    bool preprocess;
    uint64_t deadline_ms;
    int text_fd; /* memfd */
};

#define ARGS_MAX 20

static int make_sandbox(const struct compiler *compiler, uint64_t deadline_ms, struct sandbox **ret,
                        struct error *err)
{
    struct sandbox_path paths[PATHS_MAX];
    _cleanup_strv_ struct strv folders = {0};
    size_t count = 0;

    paths[count++] = (struct sandbox_path){compiler->parser, true};
    for (size_t i = 0; i < ARRAY_SIZE(LIBRARY_PATHS); i++)
        paths[count++] = (struct sandbox_path){LIBRARY_PATHS[i], true};
    paths[count++] = (struct sandbox_path){compiler->features, false};
    paths[count++] = (struct sandbox_path){"/dev/null", false};
    for (size_t i = 0; i < ARRAY_SIZE(INCLUDE_FOLDERS); i++) {
        strv_take(&folders, xasprintf("%s/%s", compiler->includes, INCLUDE_FOLDERS[i]));
        paths[count++] = (struct sandbox_path){folders.items[i], false};
    }
    const struct sandbox_options options = {
        .paths = paths,
        .path_count = count,
        .uid = compiler->uid,
        .gid = compiler->gid,
        .memory_max = compiler->memory_max,
        .cpu_seconds = deadline_ms / 1000 + 2,
        .may_fork = compiler->may_fork,
    };
    return sandbox_new(&options, ret, err);
}

/* The text as a file that has a name of its own in messages and that nobody can change. */
static int make_text_file(const char *text, size_t len, int *ret, struct error *err)
{
    _cleanup_close_ int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = fd < 0 ? -errno : fs_write_all(fd, text, len);

    if (r == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        r = -errno;
    if (r < 0)
        return error_set_reason(err, r, UNAVAILABLE, "cannot hand the policy to the compiler: %s",
                                strerror(-r));
    *ret = TAKE_FD(fd);
    return 0;
}

static char *text_file_name(int fd)
{
    return xasprintf("/proc/self/fd/%d", fd);
}

/* `file` goes last. */
static void make_args(const struct run *run, const char *file, const char *args[static ARGS_MAX])
{
    const struct compiler *compiler = run->compiler;
    const char *const common[] = {compiler->parser,   "--config-file",    "/dev/null",
                                  "--base",           compiler->includes, "--features-file",
                                  compiler->features, "--quiet",          "--jobs=0"};
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        args[count++] = common[i];
    if (run->preprocess) {
        args[count++] = "--preprocess";
    } else {
        args[count++] = "--skip-kernel-load";
        args[count++] = "--skip-cache";
        args[count++] = "--stdout";
        /* Halves the time of 3.x and makes later versions slower. */
        if (compiler->major <= 3) {
            args[count++] = "-O";
            args[count++] = "no-expr-simplify";
        }
        /* Compresses by itself where the kernel could take it; our decoder cannot. */
        if (compiler->major >= 5)
            args[count++] = "-c0";
    }
    args[count++] = file;
    args[count] = NULL;
}

static int run_start(uv_loop_t *loop, const struct run *run, child_fn done, void *userdata,
                     struct child **ret, struct error *err)
{
    _cleanup_(sandbox_freep) struct sandbox *sandbox = NULL;
    _cleanup_free_ char *file = text_file_name(run->text_fd);
    const char *args[ARGS_MAX];

    int r = make_sandbox(run->compiler, run->deadline_ms, &sandbox, err);
    if (r == 0) {
        make_args(run, file, args);
        const struct child_options options = {
            .argv = args,
            .fds = &run->text_fd,
            .fd_count = 1,
            .stdout_max = run->preprocess ? FLAT_MAX : BLOB_SIZE_MAX,
            .stderr_max = STDERR_MAX,
            .deadline_ms = run->deadline_ms,
            .prepare = sandbox_enter,
            .prepare_userdata = sandbox,
        };
        r = child_start(loop, &options, done, userdata, ret, err);
    }
    if (r < 0) {
        _cleanup_free_ char *why = xstrdup(error_message(err));
        error_set_reason(err, r, UNAVAILABLE, "the compiler cannot be started: %s%s", why,
                         r == -EPERM ? " (running as root, this needs CAP_SETUID and CAP_SETGID)"
                                     : "");
    }
    return r;
}

/* --- finding the parser out --- */

static int find_parser(const char *path, struct compiler *compiler, struct error *err)
{
    static const char *const places[] = {"/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"};

    if (path)
        compiler->parser = xstrdup(path);
    for (size_t i = 0; !compiler->parser && i < ARRAY_SIZE(places); i++)
        if (access(places[i], X_OK) == 0)
            compiler->parser = xstrdup(places[i]);
    if (!compiler->parser)
        return error_set_reason(err, -ENOENT, UNAVAILABLE,
                                "there is no apparmor_parser in /sbin or /usr/sbin: install the "
                                "package apparmor");
    compiler->program = BUF_INIT(PARSER_MAX);
    int r = fs_read(AT_FDCWD, compiler->parser, &compiler->program, err);
    if (r < 0) {
        _cleanup_free_ char *why = xstrdup(error_message(err));
        return error_set_reason(err, r, UNAVAILABLE, "%s", why);
    }
    return 0;
}

static void keep_result(void *userdata, struct child_result *result)
{
    struct child_result *kept = userdata;

    *kept = *result;
    result->out = result->err = BUF_INIT(0);
}

static void result_done(struct child_result *result)
{
    buf_done(&result->out);
    buf_done(&result->err);
}

/* Runs the loop of this one child until it has ended: only at the start, before there is work. */
static int wait_for(uv_loop_t *loop, int started)
{
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    return started;
}

static int ask_version(struct compiler *compiler, struct error *err)
{
    uv_loop_t loop;
    struct child *child;
    _cleanup_(result_done) struct child_result result = {0};
    _cleanup_(sandbox_freep) struct sandbox *sandbox = NULL;
    const char *const args[] = {compiler->parser, "--config-file", "/dev/null", "--version", NULL};

    int r = make_sandbox(compiler, PROBE_DEADLINE_MS, &sandbox, err);
    if (r < 0)
        return r;
    const struct child_options options = {
        .argv = args,
        .stdout_max = 4096,
        .stderr_max = 4096,
        .deadline_ms = PROBE_DEADLINE_MS,
        .prepare = sandbox_enter,
        .prepare_userdata = sandbox,
    };
    uv_loop_init(&loop);
    r = wait_for(&loop, child_start(&loop, &options, keep_result, &result, &child, err));
    if (r == -EPERM)
        error_wrap(err, "running as root, this needs CAP_SETUID and CAP_SETGID");
    if (r < 0)
        return r;

    const char *text = strstr(buf_string(&result.out), "version ");
    size_t len = text ? strspn(text + 8, "0123456789.") : 0;
    if (result.exit_status != 0 || len == 0)
        return error_set(err, -ENOEXEC, "%s --version does not tell its version", compiler->parser);
    compiler->version = xstrndup(text + 8, len);
    compiler->major = strtoul(compiler->version, NULL, 10);
    return 0;
}

static int try_probe(const struct compiler *compiler, struct error *err)
{
    static const char text[] = "profile probe {\n}\n";
    uv_loop_t loop;
    struct child *child;
    _cleanup_close_ int fd = -1;
    _cleanup_(result_done) struct child_result result = {0};

    int r = make_text_file(text, strlen(text), &fd, err);
    if (r < 0)
        return r;
    const struct run run = {.compiler = compiler, .deadline_ms = PROBE_DEADLINE_MS, .text_fd = fd};
    uv_loop_init(&loop);
    r = wait_for(&loop, run_start(&loop, &run, keep_result, &result, &child, err));
    if (r < 0)
        return r;
    if (result.exit_status == 0 && result.out.len > 0)
        return 0;
    return error_set(err, -ENOEXEC, "%s does not compile an empty profile (exit status %d): %.200s",
                     compiler->parser, result.exit_status, buf_string(&result.err));
}

/* The sandbox must let the parser work, which is better found out now than from each profile. */
static int probe(struct compiler *compiler, struct error *err)
{
    _cleanup_error_ struct error without_fork = {0};

    if (try_probe(compiler, &without_fork) == 0)
        return 0;
    compiler->may_fork = true;
    return try_probe(compiler, err);
}

static int identify(struct compiler *compiler, struct error *err)
{
    _cleanup_buf_ struct buf features = BUF_INIT(MANIFEST_MAX), all = BUF_INIT(MANIFEST_MAX);
    char hex[DIGEST_HEX_SIZE];

    int r = tree_list(compiler->features, &features, err);
    if (r == 0 && features.len == 0)
        r = error_set(err, -ENOENT, "there are no kernel features in %s", compiler->features);
    const struct digest_part part = {buf_string(&features), features.len};
    digest_hex(DIGEST_SHA256, &part, 1, hex);
    memcpy(compiler->features_id, hex, sizeof(compiler->features_id) - 1);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(INCLUDE_FOLDERS); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", compiler->includes, INCLUDE_FOLDERS[i]);
        r = tree_list(path, &all, err);
    }
    if (r < 0)
        return r;
    const struct digest_part parts[] = {
        {compiler->program.data, compiler->program.len},
        part,
        {buf_string(&all), all.len},
    };
    digest_hex(DIGEST_SHA256, parts, ARRAY_SIZE(parts), compiler->id);
    return 0;
}

static int check_includes(const struct compiler *compiler, struct error *err)
{
    struct stat st;

    if (stat(compiler->includes, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, -ENOTDIR,
                         "the folder %s with abstractions and tunables is not there: install the "
                         "package apparmor, or name the folder",
                         compiler->includes);
    return 0;
}

int compiler_new(uv_loop_t *loop, const struct compiler_options *options, struct compiler **ret,
                 struct error *err)
{
    _cleanup_(compiler_freep) struct compiler *compiler = xcalloc(1, sizeof(*compiler));
    _cleanup_error_ struct error failure = {0};

    compiler->loop = loop;
    compiler->includes = xstrdup(options->includes ? options->includes : DEFAULT_INCLUDES);
    compiler->features = xstrdup(options->features);
    compiler->uid = options->uid ? options->uid : DEFAULT_ID;
    compiler->gid = options->gid ? options->gid : DEFAULT_ID;
    compiler->deadline_ms = options->deadline_ms ? options->deadline_ms : DEFAULT_DEADLINE_MS;
    compiler->memory_max = options->memory_max ? options->memory_max : DEFAULT_MEMORY;
    compiler->landlock = sandbox_landlock_abi();

    int r = find_parser(options->parser, compiler, &failure);
    if (r == 0)
        r = check_includes(compiler, &failure);
    if (r == 0)
        r = identify(compiler, &failure);
    if (r == 0)
        r = ask_version(compiler, &failure);
    if (r == 0)
        r = probe(compiler, &failure);
    if (r < 0)
        return error_set_reason(err, r, UNAVAILABLE, "%s", error_message(&failure));
    if (!compiler->landlock)
        log_warn(
            "this kernel has no Landlock: the compiler sees all world-readable files, and only "
            "the check of includes keeps policy from reading them");
    *ret = TAKE_PTR(compiler);
    return 0;
}

void compiler_free(struct compiler *compiler)
{
    if (!compiler)
        return;
    buf_done(&compiler->program);
    free(compiler->parser);
    free(compiler->includes);
    free(compiler->features);
    free(compiler->version);
    free(compiler);
}

const char *compiler_parser_version(const struct compiler *compiler)
{
    return compiler->version;
}

const char *compiler_features_id(const struct compiler *compiler)
{
    return compiler->features_id;
}

const char *compiler_id(const struct compiler *compiler)
{
    return compiler->id;
}

int compiler_landlock(const struct compiler *compiler)
{
    return compiler->landlock;
}

void compiled_free(struct compiled *compiled)
{
    if (!compiled)
        return;
    free(compiled->text);
    free(compiled->data);
    blob_free(compiled->blob);
    free(compiled);
}

/* --- a compilation --- */

struct compilation {
    struct compiler *compiler;
    const struct policy_profile *profile;
    compile_fn fn;
    void *userdata;

    enum stage stage;
    int text_fd;
    struct child *child;
    struct loop_timer *later; /* a failure before any child */
    struct compiled *compiled;
    char *plain; /* the flattened text without spec.mode, should the one with it not compile */
    size_t plain_len;
    struct error failure; /* of the flattened text, while the original is asked for lines */
};

static void compilation_free(struct compilation *compilation)
{
    if (compilation->text_fd >= 0)
        close(compilation->text_fd);
    loop_timer_free(compilation->later);
    compiled_free(compilation->compiled);
    free(compilation->plain);
    error_done(&compilation->failure);
    free(compilation);
}

static void finish(struct compilation *compilation, const struct error *err)
{
    struct compiled *compiled = err->code ? NULL : TAKE_PTR(compilation->compiled);

    compilation->fn(compilation->userdata, compiled, err);
    compilation_free(compilation);
}

static void fail_later(void *userdata)
{
    struct compilation *compilation = userdata;
    _cleanup_error_ struct error err = {0};

    error_move(&err, &compilation->failure);
    finish(compilation, &err);
}

static void on_child(void *userdata, struct child_result *result);

/* Starts the parser on `text`, or fails from the loop. */
static void start_stage(struct compilation *compilation, enum stage stage, const char *text,
                        size_t len)
{
    struct compiler *compiler = compilation->compiler;
    _cleanup_error_ struct error err = {0};

    compilation->stage = stage;
    if (compilation->text_fd >= 0)
        close(TAKE_FD(compilation->text_fd));
    int r = make_text_file(text, len, &compilation->text_fd, &err);
    if (r == 0) {
        const struct run run = {
            .compiler = compiler,
            .preprocess = stage == FLATTEN,
            .deadline_ms = compiler->deadline_ms,
            .text_fd = compilation->text_fd,
        };
        r = run_start(compiler->loop, &run, on_child, compilation, &compilation->child, &err);
    }
    if (r < 0) {
        error_move(&compilation->failure, &err);
        loop_timer_start(compilation->later, 0);
    }
}

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
    const struct compiler *compiler = compilation->compiler;

    if (result->timed_out || result->signal == SIGXCPU)
        return error_set_reason(err, -ETIMEDOUT, "CompileTimeout",
                                "the policy does not compile within %llu s: simplify its rules, "
                                "above all alternations and ** in the middle of paths",
                                (unsigned long long) (compiler->deadline_ms + 999) / 1000);
    if (result->output_exceeded)
        return error_set_reason(err, -EFBIG, "CompileResources",
                                compilation->stage == FLATTEN
                                    ? "the policy with its includes is larger than %d MiB: include "
                                      "less, or less often"
                                    : "the compiled policy is larger than %d MiB: split it into "
                                      "several objects",
                                (compilation->stage == FLATTEN ? FLAT_MAX : BLOB_SIZE_MAX) >> 20);
    return error_set_reason(err, -ENOMEM, "CompileResources",
                            "the compiler needs more than %zu MiB of memory or crashes on this "
                            "policy (%s): simplify its rules",
                            compiler->memory_max >> 20,
                            result->signal ? strsignal(result->signal) : "out of memory");
}

/* What the parser said, in terms of spec.policy when `original`. */
static int fail_compile(const struct compilation *compilation, const struct child_result *result,
                        struct error *err)
{
    const struct compiler *compiler = compilation->compiler;
    _cleanup_free_ char *file = text_file_name(compilation->text_fd);
    const struct diagnose_options options = {
        .file = file,
        .includes = compiler->includes,
        .text = compilation->profile->text,
        .text_len = compilation->profile->text_len,
        .parser = compiler->program.data,
        .parser_len = compiler->program.len,
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
    if (result->timed_out || result->output_exceeded || result->signal || ran_out_of_memory(result))
        return fail_resources(compilation, result, err);
    return fail_compile(compilation, result, err);
}

/*
 * What the text gives as the profile's attachment: `profile NAME /path …`. Blobs of older parsers
 * have its state machine alone. NULL when it is not found there; the caller frees it.
 */
static char *find_attachment(const struct policy_profile *profile, const char *name)
{
    static const char keyword[] = "profile";
    size_t len = strlen(name);

    for (const char *at = profile->text; (at = strstr(at, keyword)); at++) {
        const char *found = at + strlen(keyword);
        size_t blanks = strspn(found, " \t");
        found += blanks;
        found += *found == '"';
        if (blanks == 0 || strncmp(found, name, len) != 0)
            continue;
        found += len;
        found += *found == '"';
        blanks = strspn(found, " \t\n");
        found += blanks;
        if (blanks && (*found == '/' || *found == '@' || *found == '"'))
            return xstrndup(found, strcspn(found, " \t\n"));
    }
    return NULL;
}

static int check_attachments(const struct policy_profile *profile, const struct blob *blob,
                             struct error *err)
{
    for (size_t i = 0; i < blob->count && !profile->allow_host_attachment; i++) {
        const struct blob_profile *p = &blob->profiles[i];
        if (!p->attaches)
            continue;
        _cleanup_free_ char *found = find_attachment(profile, p->name);
        const char *attachment = p->attachment ? p->attachment : found;
        if (attachment && strcmp(attachment, p->name) != 0)
            return error_set_reason(
                err, -EPERM, "HostAttachment",
                "profile \"%s\" attaches to \"%s\" and would confine the host's programs there: "
                "leave the attachment out, or set spec.allowHostAttachment to true",
                p->name, attachment);
        return error_set_reason(
            err, -EPERM, "HostAttachment",
            "profile \"%s\" attaches to paths and would confine the host's programs there: give it "
            "a name that is no path and no attachment, or set spec.allowHostAttachment to true",
            p->name);
    }
    return 0;
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
    if (r == 0 && profile->mode != POLICY_MODE_UNSET)
        blob_set_mode(compiled->data, compiled->blob, profile->mode);
    return r;
}

static int accept_text(struct compilation *compilation, const struct buf *out, struct error *err)
{
    struct compiled *compiled = compilation->compiled;
    struct buf text = BUF_INIT(FLAT_MAX);

    int r = flatten_clean(buf_string(out), out->len, &text, err);
    compiled->text_len = text.len;
    compiled->text = buf_take(&text);
    return r;
}

/* Compiles the text that is kept. */
static void start_compile(struct compilation *compilation)
{
    start_stage(compilation, COMPILE, compilation->compiled->text, compilation->compiled->text_len);
}

/* Writes spec.mode into the text, too: the host compiles it at boot. */
static void write_mode(struct compilation *compilation)
{
    struct compiled *compiled = compilation->compiled;
    _cleanup_buf_ struct buf text = BUF_INIT(FLAT_MAX);

    if (compilation->profile->mode == POLICY_MODE_UNSET ||
        textmode_apply(compiled->text, compiled->text_len, compilation->profile->mode, &text) < 0)
        return;
    compilation->plain = compiled->text;
    compilation->plain_len = compiled->text_len;
    compiled->text_len = text.len;
    compiled->text = buf_take(&text);
}

/* The text as it was before write_mode(); false when that is what failed. */
static bool take_back_mode(struct compilation *compilation)
{
    struct compiled *compiled = compilation->compiled;

    if (!compilation->plain)
        return false;
    free(compiled->text);
    compiled->text = TAKE_PTR(compilation->plain);
    compiled->text_len = compilation->plain_len;
    return true;
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
    write_mode(compilation);
    start_compile(compilation);
}

static void on_compiled(struct compilation *compilation, struct child_result *result)
{
    _cleanup_error_ struct error err = {0};

    if (succeeded(result)) {
        accept_blob(compilation, &result->out, &err);
        finish(compilation, &err);
        return;
    }
    int r = explain(compilation, result, &err);
    if (r != -EINVAL) {
        finish(compilation, &err);
        return;
    }
    if (take_back_mode(compilation)) {
        start_compile(compilation);
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
                         "the policy compiles, but not with its includes written out: %s",
                         error_message(&compilation->failure));
    else
        explain(compilation, result, &err);
    finish(compilation, &err);
}

static void on_child(void *userdata, struct child_result *result)
{
    struct compilation *compilation = userdata;

    compilation->child = NULL;
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

struct compilation *compiler_run(struct compiler *compiler, const struct policy_profile *profile,
                                 compile_fn fn, void *userdata)
{
    struct compilation *compilation = xcalloc(1, sizeof(*compilation));

    *compilation = (struct compilation){
        .compiler = compiler,
        .profile = profile,
        .fn = fn,
        .userdata = userdata,
        .text_fd = -1,
        .later = loop_timer_new(compiler->loop, fail_later, compilation),
        .compiled = xcalloc(1, sizeof(struct compiled)),
    };
    if (policy_includes_check(profile->text, profile->text_len, &compilation->failure) < 0)
        loop_timer_start(compilation->later, 0);
    else
        start_stage(compilation, FLATTEN, profile->text, profile->text_len);
    return compilation;
}

void compilation_cancel(struct compilation *compilation)
{
    child_abandon(compilation->child);
    compilation_free(compilation);
}
