// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

#include "lib/base/alloc.h"
#include "lib/base/child.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/options.h"
#include "lib/compile/sandbox.h"

#define DEADLINE_MS 20000

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

/* Runs it on a loop of its own, until it has ended. */
static int ask(const struct parser *parser, enum parser_task task, int text_fd,
               struct child_result *ret, struct error *err)
{
    struct parser hasty = *parser;
    struct child *child;
    uv_loop_t loop;

    hasty.deadline_ms = DEADLINE_MS;
    uv_loop_init(&loop);
    int r = parser_start(&hasty, &loop, task, text_fd, keep_result, ret, &child, err);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return r;
}

static int ask_version(const struct parser *parser, struct probe *ret, struct error *err)
{
    _cleanup_result_ struct child_result result = {0};

    int r = ask(parser, PARSER_VERSION, -1, &result, err);
    if (r == 0)
        r = parser_has_started(parser, &result, err);
    if (r < 0)
        return r;

    const char *text = strstr(buf_string(&result.out), "version ");
    size_t len = text ? strspn(text + 8, "0123456789.") : 0;
    if (result.exit_status != 0 || len == 0 || len >= sizeof(ret->version))
        return error_set(err, -ENOEXEC, "%s --version does not tell its version", parser->path);
    memcpy(ret->version, text + 8, len);
    ret->version[len] = '\0';
    return 0;
}

static int compiles(const struct parser *parser, struct error *err)
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
static int try_sandbox(const struct parser *parser, bool *ret_may_fork, struct error *err)
{
    _cleanup_error_ struct error without_fork = {0};
    struct parser tried = *parser;

    tried.may_fork = false;
    int r = compiles(&tried, &without_fork);
    if (r < 0) {
        tried.may_fork = true;
        r = compiles(&tried, err);
    }
    if (r == 0)
        *ret_may_fork = tried.may_fork;
    return r;
}

static int run(const struct parser *parser, struct probe *ret, struct error *err)
{
    int r = ask_version(parser, ret, err);

    return r < 0 ? r : try_sandbox(parser, &ret->may_fork, err);
}

/* --- what an earlier start has found out --- */

/* Of all that the sandbox is made of. */
static void key_of(const struct parser *parser, const char *program,
                   char ret[static DIGEST_HEX_SIZE])
{
    struct utsname uname_result;

    uname(&uname_result);
    _cleanup_free_ char *text =
        xasprintf("probe of a parser, 1\n%s\n%s\n%s\n%s\n%s\n%u\n%zu\n%d\n", program, parser->path,
                  options_version(), uname_result.release, uname_result.version,
                  geteuid() == 0 ? parser->uid : geteuid(), parser->memory_max,
                  sandbox_landlock_abi());
    digest_sha256(text, strlen(text), ret);
}

static bool recall(struct cache *cache, const char *key, struct probe *ret)
{
    _cleanup_buf_ struct buf kept = BUF_INIT(sizeof(*ret) + 1);
    _cleanup_error_ struct error err = {0};

    if (cache_get(cache, key, &kept, &err) < 0 || kept.len < 2)
        return false;
    size_t len = strnlen(buf_string(&kept) + 1, sizeof(ret->version));
    if (len + 1 != kept.len || len == sizeof(ret->version))
        return false;
    ret->may_fork = *buf_string(&kept) == 'f';
    memcpy(ret->version, buf_string(&kept) + 1, len + 1);
    return true;
}

static void remember(struct cache *cache, const char *key, const struct probe *probe)
{
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *text = xasprintf("%c%s", probe->may_fork ? 'f' : '-', probe->version);

    if (cache_put(cache, key, text, strlen(text), &err) < 0)
        log_debug("what the parser can is not kept", "err", error_message(&err));
}

int probe_parser(const struct parser *parser, struct cache *cache, const char *program,
                 struct probe *ret, struct error *err)
{
    char key[DIGEST_HEX_SIZE];

    key_of(parser, program, key);
    if (recall(cache, key, ret))
        return 0;
    int r = run(parser, ret, err);
    if (r == 0)
        remember(cache, key, ret);
    return r;
}
