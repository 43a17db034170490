// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compiler.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/compile/cache.h"
#include "lib/compile/parser.h"
#include "lib/compile/sandbox.h"
#include "lib/compile/tree.h"

#define DEFAULT_INCLUDES "/etc/apparmor.d"
#define DEFAULT_ID 65534
#define DEFAULT_DEADLINE_MS 60000
#define DEFAULT_MEMORY ((size_t) 512 * 1024 * 1024)
#define DEFAULT_CACHE ((size_t) 64 * 1024 * 1024)
#define PROBE_DEADLINE_MS 20000
#define MANIFEST_MAX (4 * 1024 * 1024)

/* Digests of what the compiler is made of. */
struct identity {
    char program[DIGEST_HEX_SIZE];
    char all[DIGEST_HEX_SIZE];
};

struct compiler {
    uv_loop_t *loop;
    struct parser parser;
    struct cache *cache;
    int landlock;

    char stamp[DIGEST_HEX_SIZE]; /* of the files when they were last read; "" before that */
    struct identity identity;
    char *version;
};

static int find_parser(struct parser *parser, const char *path, struct error *err)
{
    static const char *const places[] = {"/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"};

    if (path)
        parser->path = xstrdup(path);
    for (size_t i = 0; !parser->path && i < ARRAY_SIZE(places); i++)
        if (access(places[i], X_OK) == 0)
            parser->path = xstrdup(places[i]);
    if (!parser->path)
        return error_set(err, -ENOENT,
                         "there is no apparmor_parser in /sbin or /usr/sbin: install the package "
                         "apparmor");
    return 0;
}

/* --- asking the parser --- */

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
#define _cleanup_result_ _cleanup_(result_done)

/* Runs it on a loop of its own, until it has ended: at the start and when the parser is new. */
static int ask(const struct parser *parser, enum parser_task task, int text_fd,
               struct child_result *ret, struct error *err)
{
    struct parser hasty = *parser;
    struct child *child;
    uv_loop_t loop;

    hasty.deadline_ms = PROBE_DEADLINE_MS;
    uv_loop_init(&loop);
    int r = parser_start(&hasty, &loop, task, text_fd, keep_result, ret, &child, err);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return r;
}

static int ask_version(const struct parser *parser, char **ret, struct error *err)
{
    _cleanup_result_ struct child_result result = {0};

    int r = ask(parser, PARSER_VERSION, -1, &result, err);
    if (r < 0)
        return r;

    const char *text = strstr(buf_string(&result.out), "version ");
    size_t len = text ? strspn(text + 8, "0123456789.") : 0;
    if (result.exit_status != 0 || len == 0)
        return error_set(err, -ENOEXEC, "%s --version does not tell its version", parser->path);
    *ret = xstrndup(text + 8, len);
    return 0;
}

static int try_probe(const struct parser *parser, struct error *err)
{
    static const char text[] = "profile probe {\n}\n";
    _cleanup_close_ int fd = -1;
    _cleanup_result_ struct child_result result = {0};

    int r = parser_text_file(text, strlen(text), &fd, err);
    if (r == 0)
        r = ask(parser, PARSER_COMPILE, fd, &result, err);
    if (r < 0)
        return r;
    if (result.exit_status == 0 && result.out.len > 0)
        return 0;
    return error_set(err, -ENOEXEC, "%s does not compile an empty profile (exit status %d): %.200s",
                     parser->path, result.exit_status, buf_string(&result.err));
}

/* The sandbox must let the parser work, which is better found out now than from each profile. */
static int probe(struct parser *parser, struct error *err)
{
    _cleanup_error_ struct error without_fork = {0};

    parser->may_fork = false;
    if (try_probe(parser, &without_fork) == 0)
        return 0;
    parser->may_fork = true;
    return try_probe(parser, err);
}

static int meet_parser(struct compiler *compiler, struct error *err)
{
    _cleanup_free_ char *version = NULL;

    int r = ask_version(&compiler->parser, &version, err);
    if (r < 0)
        return r;
    compiler->parser.major = strtoul(version, NULL, 10);
    r = probe(&compiler->parser, err);
    if (r < 0)
        return r;
    free(compiler->version);
    compiler->version = TAKE_PTR(version);
    return 0;
}

/* --- identity --- */

typedef int (*tree_fn)(const char *path, struct buf *out, struct error *err);

static int list_includes(const struct parser *parser, tree_fn list, struct buf *out,
                         struct error *err)
{
    int r = 0;

    for (const char *const *folder = parser_include_folders; r == 0 && *folder; folder++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", parser->includes, *folder);
        r = list(path, out, err);
    }
    return r;
}

static void digest(const struct buf *text, char ret[static DIGEST_HEX_SIZE])
{
    const struct digest_part part = {buf_string(text), text->len};

    digest_hex(DIGEST_SHA256, &part, 1, ret);
}

static int take_stamp(const struct parser *parser, char ret[static DIGEST_HEX_SIZE],
                      struct error *err)
{
    _cleanup_buf_ struct buf all = BUF_INIT(MANIFEST_MAX);

    int r = tree_stamp(parser->path, &all, err);
    if (r == 0)
        r = list_includes(parser, tree_stamp, &all, err);
    if (r == 0)
        digest(&all, ret);
    return r;
}

static int check_includes(const struct parser *parser, struct error *err)
{
    struct stat st;

    if (stat(parser->includes, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, -ENOTDIR,
                         "the folder %s with abstractions and tunables is not there: install the "
                         "package apparmor, or name the folder",
                         parser->includes);
    return 0;
}

static int identify(const struct parser *parser, struct identity *ret, struct error *err)
{
    _cleanup_buf_ struct buf program = BUF_INIT(MANIFEST_MAX), includes = BUF_INIT(MANIFEST_MAX);
    const char *features = features_id(parser->features);

    int r = tree_list(parser->path, &program, err);
    if (r == 0 && program.len == 0)
        r = error_set(err, -ENOENT, "there is no program %s", parser->path);
    if (r == 0)
        r = check_includes(parser, err);
    if (r == 0)
        r = list_includes(parser, tree_list, &includes, err);
    if (r < 0)
        return r;

    const struct digest_part all[] = {
        {buf_string(&program), program.len},
        {features, strlen(features)},
        {buf_string(&includes), includes.len},
    };
    digest(&program, ret->program);
    digest_hex(DIGEST_SHA256, all, ARRAY_SIZE(all), ret->all);
    return 0;
}

static int look_again(struct compiler *compiler, struct error *err)
{
    struct identity identity;

    int r = identify(&compiler->parser, &identity, err);
    if (r == 0 && strcmp(identity.program, compiler->identity.program) != 0)
        r = meet_parser(compiler, err);
    if (r < 0)
        return r;
    if (*compiler->stamp && strcmp(identity.all, compiler->identity.all) != 0)
        log_info("the compiler or what policy includes has changed: policy is compiled again as "
                 "it comes up");
    compiler->identity = identity;
    return 0;
}

int compiler_refresh(struct compiler *compiler, struct error *err)
{
    _cleanup_error_ struct error failure = {0};
    char stamp[DIGEST_HEX_SIZE];

    /* Before the files are read: what changes meanwhile is noticed the next time. */
    int r = take_stamp(&compiler->parser, stamp, &failure);
    if (r == 0 && strcmp(stamp, compiler->stamp) == 0)
        return 0;
    if (r == 0)
        r = look_again(compiler, &failure);
    if (r < 0)
        return error_set_reason(err, r, "CompilerUnavailable", "%s", error_message(&failure));
    memcpy(compiler->stamp, stamp, sizeof(stamp));
    return 0;
}

/* --- life --- */

int compiler_new(uv_loop_t *loop, const struct compiler_options *options, struct compiler **ret,
                 struct error *err)
{
    _cleanup_(compiler_freep) struct compiler *compiler = xcalloc(1, sizeof(*compiler));
    _cleanup_error_ struct error failure = {0};
    struct parser *parser = &compiler->parser;

    compiler->loop = loop;
    compiler->landlock = sandbox_landlock_abi();
    if (options->cache)
        compiler->cache =
            cache_new(options->cache, options->cache_max ? options->cache_max : DEFAULT_CACHE);
    parser->includes = xstrdup(options->includes ? options->includes : DEFAULT_INCLUDES);
    parser->uid = options->uid ? options->uid : DEFAULT_ID;
    parser->gid = options->gid ? options->gid : DEFAULT_ID;
    parser->deadline_ms = options->deadline_ms ? options->deadline_ms : DEFAULT_DEADLINE_MS;
    parser->memory_max = options->memory_max ? options->memory_max : DEFAULT_MEMORY;

    int r = find_parser(parser, options->parser, &failure);
    if (r == 0)
        r = features_read(options->features, &parser->features, &failure);
    if (r < 0)
        return error_set_reason(err, r, "CompilerUnavailable", "%s", error_message(&failure));
    r = compiler_refresh(compiler, err);
    if (r < 0)
        return r;
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
    parser_done(&compiler->parser);
    cache_free(compiler->cache);
    free(compiler->version);
    free(compiler);
}

const char *compiler_parser_version(const struct compiler *compiler)
{
    return compiler->version;
}

struct features *compiler_features(const struct compiler *compiler)
{
    return compiler->parser.features;
}

const char *compiler_id(const struct compiler *compiler)
{
    return compiler->identity.all;
}

int compiler_landlock(const struct compiler *compiler)
{
    return compiler->landlock;
}

uv_loop_t *compiler_loop(const struct compiler *compiler)
{
    return compiler->loop;
}

const struct cache *compiler_cache(const struct compiler *compiler)
{
    return compiler->cache;
}

const struct parser *compiler_parser(const struct compiler *compiler)
{
    return &compiler->parser;
}
