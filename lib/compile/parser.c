// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/parser.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/compile/sandbox.h"
#include "lib/policy/blob.h"

#define VERSION_MAX 4096
#define STDERR_MAX (64 * 1024)
#define PATHS_MAX 32

/* ld.so(8), which has not found what the program is linked with. */
#define EXIT_NOT_STARTED 127

static const char UNAVAILABLE[] = "CompilerUnavailable";

const char *const parser_include_folders[] = {"abstractions", "tunables",  "abi",   "local",
                                              "apache2.d",    "php-fpm.d", "samba", NULL};

/* The dynamic loader and what it loads; all world-readable and shipped by packages. */
static const char *const LIBRARY_PATHS[] = {"/lib", "/lib64", "/usr/lib", "/usr/lib64",
                                            "/etc/ld.so.cache"};

/* It allocates and frees small things by the million: with glibc's lists of free ones unbounded it
 * takes a tenth less time, and at most 3 MiB more memory over all that Debian ships. */
static const char *const ENVIRONMENT[] = {
    "GLIBC_TUNABLES=glibc.malloc.tcache_count=60000:glibc.malloc.top_pad=2097152", NULL};

void parser_done(struct parser *parser)
{
    free(parser->path);
    free(parser->includes);
    features_unref(parser->features);
    *parser = (struct parser){0};
}

/* The last part of a path, which is cut off with its slash; empty when there is none. */
static const char *cut_last(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash)
        return "";
    *slash = '\0';
    return slash + 1;
}

char *parser_libraries(const char *path)
{
    _cleanup_free_ char *prefix = realpath(path, NULL);

    if (!prefix)
        return NULL;
    cut_last(prefix);
    const char *folder = cut_last(prefix);
    if (strcmp(folder, "bin") != 0 && strcmp(folder, "sbin") != 0)
        return NULL;
    return xasprintf("%s/lib", prefix);
}

/* --- the text --- */

int parser_text_file(const char *text, size_t len, int *ret_fd, struct error *err)
{
    _cleanup_close_ int fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = fd < 0 ? -errno : fs_write_all(fd, text, len);

    if (r == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        r = -errno;
    if (r < 0)
        return error_set_reason(err, r, UNAVAILABLE, "cannot hand the policy to the compiler: %s",
                                strerror(-r));
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* --- a run --- */

static struct confine_limits limits_of(const struct parser *parser)
{
    return (struct confine_limits){
        .memory_max = parser->memory_max,
        .cpu_seconds = parser->deadline_ms / 1000 + 2,
        .may_fork = parser->may_fork,
    };
}

static int make_sandbox(const struct parser *parser, bool serves, struct sandbox **ret,
                        struct error *err)
{
    struct sandbox_path paths[PATHS_MAX];
    _cleanup_strv_ struct strv folders = {0};
    _cleanup_free_ char *libraries = parser_libraries(parser->path);
    size_t count = 0;

    paths[count++] = (struct sandbox_path){parser->path, true};
    if (libraries)
        paths[count++] = (struct sandbox_path){libraries, true};
    for (size_t i = 0; i < ARRAY_SIZE(LIBRARY_PATHS); i++)
        paths[count++] = (struct sandbox_path){LIBRARY_PATHS[i], true};
    paths[count++] = (struct sandbox_path){"/dev/null", false};
    for (const char *const *folder = parser_include_folders; *folder; folder++) {
        strv_take(&folders, xasprintf("%s/%s", parser->includes, *folder));
        paths[count++] = (struct sandbox_path){folders.items[folders.len - 1], false};
    }
    const struct sandbox_options options = {
        .paths = paths,
        .path_count = count,
        .uid = parser->uid,
        .gid = parser->gid,
        .limits = limits_of(parser),
        .serves = serves,
    };
    return sandbox_new(&options, ret, err);
}

static void add_compile_args(const struct parser *parser, struct strv *args)
{
    strv_add(args, "--skip-kernel-load");
    strv_add(args, "--skip-cache");
    strv_add(args, "--stdout");
    /* Halves the time of 3.x and makes later versions slower. */
    if (parser->major <= 3) {
        strv_add(args, "-O");
        strv_add(args, "no-expr-simplify");
    }
    /* Compresses by itself where the kernel could take it; our decoder cannot. */
    if (parser->major >= 5)
        strv_add(args, "-c0");
}

static void make_args(const struct parser *parser, enum parser_task task, struct strv *args)
{
    _cleanup_free_ char *features = xasprintf("/proc/self/fd/%d", features_fd(parser->features));
    const char *const base[] = {"--base", parser->includes, "--features-file",
                                features, "--quiet",        "--jobs=0"};

    strv_add(args, parser->path);
    strv_add(args, "--config-file");
    strv_add(args, "/dev/null");
    if (task == PARSER_VERSION) {
        strv_add(args, "--version");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(base); i++)
        strv_add(args, base[i]);
    if (task == PARSER_FLATTEN)
        strv_add(args, "--preprocess");
    else
        add_compile_args(parser, args);
    /* Not "-": what it says of standard input could not be told from what it says of includes. */
    strv_add(args, PARSER_TEXT_NAME);
}

static const size_t output_max[] = {
    [PARSER_VERSION] = VERSION_MAX,
    [PARSER_FLATTEN] = PARSER_FLAT_MAX,
    [PARSER_COMPILE] = BLOB_SIZE_MAX,
};

/* The program as it is started; `args` and `sandbox` are the caller's to release. */
struct program {
    struct strv args;
    struct sandbox *sandbox;
    int keep;
    struct child_options options;
};

static void program_done(struct program *program)
{
    strv_done(&program->args);
    sandbox_free(program->sandbox);
}
#define _cleanup_program_ _cleanup_(program_done)

static int program_init(struct program *program, const struct parser *parser, enum parser_task task,
                        bool serves, struct error *err)
{
    int r = make_sandbox(parser, serves, &program->sandbox, err);

    if (r < 0)
        return r;
    make_args(parser, task, &program->args);
    strv_take(&program->args, NULL);
    program->keep = features_fd(parser->features);
    program->options = (struct child_options){
        .argv = (const char *const *) program->args.items,
        .env = ENVIRONMENT,
        .fds = &program->keep,
        .fd_count = 1,
        .stdout_max = output_max[task],
        .stderr_max = STDERR_MAX,
        .deadline_ms = parser->deadline_ms,
        .prepare = sandbox_enter,
        .prepare_userdata = program->sandbox,
    };
    return 0;
}

int parser_serve(const struct parser *parser, uv_loop_t *loop, struct fork_server **ret,
                 struct error *err)
{
    _cleanup_program_ struct program program = {0};
    int r = program_init(&program, parser, PARSER_COMPILE, true, err);

    return r < 0 ? r : fork_server_new(loop, &program.options, ret, err);
}

static int start_child(const struct parser *parser, uv_loop_t *loop, enum parser_task task,
                       int text_fd, child_fn done, void *userdata, struct child **ret,
                       struct error *err)
{
    _cleanup_program_ struct program program = {0};
    int r = program_init(&program, parser, task, false, err);

    if (r < 0)
        return r;
    program.options.stdin_fd = text_fd >= 0 ? text_fd : 0;
    return child_start(loop, &program.options, done, userdata, ret, err);
}

static int fork_child(const struct parser *parser, uv_loop_t *loop, int text_fd, child_fn done,
                      void *userdata, struct child **ret, struct error *err)
{
    struct fork_server_run run = {parser->server, limits_of(parser), text_fd};
    const struct child_options options = {
        .argv = (const char *const[]){parser->path, NULL},
        .stdout_max = output_max[PARSER_COMPILE],
        .stderr_max = STDERR_MAX,
        .deadline_ms = parser->deadline_ms,
        .launch = fork_server_launch,
        .launch_userdata = &run,
    };
    return child_start(loop, &options, done, userdata, ret, err);
}

/* Of the one that is held ready, if there is one. */
static bool is_forked(const struct parser *parser, uv_loop_t *loop, enum parser_task task,
                      int text_fd, child_fn done, void *userdata, struct child **ret)
{
    _cleanup_error_ struct error err = {0};

    if (task != PARSER_COMPILE || !parser->server ||
        fork_server_state(parser->server) != FORK_SERVER_READY)
        return false;
    if (fork_child(parser, loop, text_fd, done, userdata, ret, &err) == 0)
        return true;
    log_debug("the compiler is started once more", "err", error_message(&err));
    return false;
}

int parser_start(const struct parser *parser, uv_loop_t *loop, enum parser_task task, int text_fd,
                 child_fn done, void *userdata, struct child **ret, struct error *err)
{
    _cleanup_error_ struct error failure = {0};

    if (is_forked(parser, loop, task, text_fd, done, userdata, ret))
        return 0;
    int r = start_child(parser, loop, task, text_fd, done, userdata, ret, &failure);
    if (r == -EPERM)
        return error_set_reason(err, r, UNAVAILABLE,
                                "the compiler cannot be started: %s (running as root, this needs "
                                "CAP_SETUID and CAP_SETGID)",
                                error_message(&failure));
    if (r < 0)
        return error_set_reason(err, r, UNAVAILABLE, "the compiler cannot be started: %s",
                                error_message(&failure));
    return 0;
}

int parser_has_started(const struct parser *parser, const struct child_result *result,
                       struct error *err)
{
    const char *text = result->err.data ? result->err.data : "";
    int line = (int) strcspn(text, "\n");

    if (result->exit_status != EXIT_NOT_STARTED || result->timed_out)
        return 0;
    return error_set_reason(err, -ENOEXEC, UNAVAILABLE,
                            "%s does not start, and with it no compiler: %.*s", parser->path,
                            line < 200 ? line : 200, text);
}
