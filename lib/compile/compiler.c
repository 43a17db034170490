// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/compiler.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/compile/cache.h"
#include "lib/compile/fork_server.h"
#include "lib/compile/identity.h"
#include "lib/compile/parser.h"
#include "lib/compile/probe.h"
#include "lib/compile/sandbox.h"
#include "lib/compile/shipped.h"
#include "lib/compile/tree_watch.h"

#define DEFAULT_INCLUDES "/etc/apparmor.d"
#define DEFAULT_ID 65534
#define DEFAULT_DEADLINE_MS 60000
#define DEFAULT_MEMORY ((size_t) 512 * 1024 * 1024)
#define SERVE_RETRY_MS 10000
#define DEFAULT_CACHE ((size_t) 64 * 1024 * 1024)

struct compiler {
    uv_loop_t *loop;
    struct parser parser;
    struct cache *cache;
    int landlock;

    struct shipped *shipped;
    struct tree_watch *watch;    /* since the files were last found to be as they are known */
    bool unwatched;              /* it could not tell of these files */
    uint64_t looked_ms;          /* when that was */
    char stamp[DIGEST_HEX_SIZE]; /* of the files when they were last read; "" before that */
    struct identity identity;
    char *version;

    struct fork_server *server;
    bool cannot_serve;       /* this program */
    uint64_t serve_again_ms; /* not before, after a failure that may pass */
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

static int meet_parser(struct compiler *compiler, const char *program, struct error *err)
{
    struct probe probe;

    int r = probe_parser(&compiler->parser, compiler->cache, program, &probe, err);
    if (r < 0)
        return r;
    compiler->parser.may_fork = probe.may_fork;
    compiler->parser.major = strtoul(probe.version, NULL, 10);
    compiler->cannot_serve = false;
    free(compiler->version);
    compiler->version = xstrdup(probe.version);
    return 0;
}

static int look_again(struct compiler *compiler, const char *stamp, struct error *err)
{
    struct identity identity;

    int r = identity_take(&compiler->parser, compiler->cache, stamp, &identity, err);
    if (r == 0 && strcmp(identity.program, compiler->identity.program) != 0)
        r = meet_parser(compiler, identity.program, err);
    if (r < 0)
        return r;
    if (*compiler->stamp && strcmp(identity.all, compiler->identity.all) != 0)
        log_info("the compiler or what policy includes has changed: policy is compiled again as "
                 "it comes up");
    compiler->identity = identity;
    compiler_server_end(compiler);
    return 0;
}

/* Looks at each file. */
static int look(struct compiler *compiler, struct error *err)
{
    const struct parser *parser = &compiler->parser;
    char stamp[DIGEST_HEX_SIZE];

    /* Before the files are read: what changes meanwhile is noticed the next time. The first look is
     * the start's, which may have nothing to compile. */
    if (*compiler->stamp && !compiler->unwatched)
        tree_watch_begin(compiler->watch, parser->path, parser->includes, parser_include_folders);
    shipped_forget(compiler->shipped);
    int r = identity_stamp(parser, stamp, err);
    if (r < 0)
        return r;
    bool same = strcmp(stamp, compiler->stamp) == 0;
    compiler->unwatched = same && !tree_watch_is_quiet(compiler->watch);
    if (same)
        return 0;
    r = look_again(compiler, stamp, err);
    if (r == 0)
        memcpy(compiler->stamp, stamp, sizeof(stamp));
    return r;
}

int compiler_refresh(struct compiler *compiler, uint64_t age_ms, struct error *err)
{
    uint64_t now_ms = clock_monotonic_ms();
    _cleanup_error_ struct error failure = {0};

    if (compiler->looked_ms &&
        (now_ms - compiler->looked_ms < age_ms || tree_watch_is_quiet(compiler->watch)))
        return 0;
    compiler->looked_ms = 0;
    if (look(compiler, &failure) < 0)
        return error_set_reason(err, failure.code, "CompilerUnavailable", "%s",
                                error_message(&failure));
    compiler->looked_ms = now_ms;
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
    compiler->watch = tree_watch_new();
    compiler->landlock = sandbox_landlock_abi();
    if (options->cache)
        compiler->cache =
            cache_new(options->cache, options->cache_max ? options->cache_max : DEFAULT_CACHE);
    parser->includes = xstrdup(options->includes ? options->includes : DEFAULT_INCLUDES);
    compiler->shipped = shipped_new(parser->includes);
    parser->uid = options->uid ? options->uid : DEFAULT_ID;
    parser->gid = options->gid ? options->gid : DEFAULT_ID;
    parser->deadline_ms = options->deadline_ms ? options->deadline_ms : DEFAULT_DEADLINE_MS;
    parser->memory_max = options->memory_max ? options->memory_max : DEFAULT_MEMORY;

    int r = find_parser(parser, options->parser, &failure);
    if (r == 0)
        r = features_read(options->features, &parser->features, &failure);
    if (r < 0)
        return error_set_reason(err, r, "CompilerUnavailable", "%s", error_message(&failure));
    r = compiler_refresh(compiler, 0, err);
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
    fork_server_free(compiler->server);
    parser_done(&compiler->parser);
    shipped_free(compiler->shipped);
    tree_watch_free(compiler->watch);
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

struct shipped *compiler_shipped(const struct compiler *compiler)
{
    return compiler->shipped;
}

struct cache *compiler_cache(const struct compiler *compiler)
{
    return compiler->cache;
}

/*
 * While it starts, before it is kept from being traced, only Landlock keeps it from a policy that
 * has taken over a process of the same user.
 */
static bool may_serve(const struct compiler *compiler)
{
    return compiler->landlock && !compiler->cannot_serve &&
           clock_monotonic_ms() >= compiler->serve_again_ms;
}

static void serve(struct compiler *compiler)
{
    _cleanup_error_ struct error err = {0};

    if (parser_serve(&compiler->parser, compiler->loop, &compiler->server, &err) == 0)
        return;
    log_debug("the compiler is not held ready", "err", error_message(&err));
    compiler->serve_again_ms = clock_monotonic_ms() + SERVE_RETRY_MS;
}

struct fork_server *compiler_server(struct compiler *compiler, bool more)
{
    if (compiler->server) {
        switch (fork_server_state(compiler->server)) {
        case FORK_SERVER_FAILED:
            compiler->cannot_serve = true;
            compiler_server_end(compiler);
            break;
        case FORK_SERVER_OVER:
            compiler_server_end(compiler);
            break;
        case FORK_SERVER_STARTS:
        case FORK_SERVER_READY:
            break;
        }
    }
    if (!compiler->server && more && may_serve(compiler))
        serve(compiler);
    return compiler->server;
}

void compiler_server_end(struct compiler *compiler)
{
    fork_server_free(TAKE_PTR(compiler->server));
}

const struct parser *compiler_parser(const struct compiler *compiler)
{
    return &compiler->parser;
}
