// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/identity.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/compile/tree.h"

#define MANIFEST_MAX (4 * 1024 * 1024)

/* What is in files: of the program and of the includes. */
struct files {
    char program[DIGEST_HEX_SIZE], includes[DIGEST_HEX_SIZE];
};

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

int identity_stamp(const struct parser *parser, char ret[static DIGEST_HEX_SIZE], struct error *err)
{
    _cleanup_buf_ struct buf all = BUF_INIT(MANIFEST_MAX);

    int r = tree_stamp(parser->path, &all, err);
    if (r == 0)
        r = list_includes(parser, tree_stamp, &all, err);
    if (r == 0)
        digest_sha256(buf_string(&all), all.len, ret);
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

static int read_files(const struct parser *parser, struct files *ret, struct error *err)
{
    _cleanup_buf_ struct buf program = BUF_INIT(MANIFEST_MAX), includes = BUF_INIT(MANIFEST_MAX);

    int r = tree_list(parser->path, &program, err);
    if (r == 0 && program.len == 0)
        r = error_set(err, -ENOENT, "there is no program %s", parser->path);
    if (r == 0)
        r = check_includes(parser, err);
    if (r == 0)
        r = list_includes(parser, tree_list, &includes, err);
    if (r < 0)
        return r;
    digest_sha256(buf_string(&program), program.len, ret->program);
    digest_sha256(buf_string(&includes), includes.len, ret->includes);
    return 0;
}

/* --- what an earlier start has read --- */

static void key_of(const char *stamp, char ret[static DIGEST_HEX_SIZE])
{
    static const char kind[] = "identity of a compiler, 1";
    const struct digest_part parts[] = {{kind, sizeof(kind)}, {stamp, strlen(stamp)}};

    digest_hex(DIGEST_SHA256, parts, ARRAY_SIZE(parts), ret);
}

static bool recall(struct cache *cache, const char *key, struct files *ret)
{
    _cleanup_buf_ struct buf kept = BUF_INIT(sizeof(*ret));
    _cleanup_error_ struct error err = {0};

    if (cache_get(cache, key, &kept, &err) < 0 || kept.len != sizeof(*ret))
        return false;
    memcpy(ret, buf_string(&kept), sizeof(*ret));
    return ret->program[DIGEST_HEX_SIZE - 1] == '\0' && ret->includes[DIGEST_HEX_SIZE - 1] == '\0';
}

static void remember(struct cache *cache, const char *key, const struct files *files)
{
    _cleanup_error_ struct error err = {0};

    if (cache_put(cache, key, files, sizeof(*files), &err) < 0)
        log_debug("the compiler's identity is not kept", "err", error_message(&err));
}

static int know_files(const struct parser *parser, struct cache *cache, const char *stamp,
                      struct files *ret, struct error *err)
{
    char key[DIGEST_HEX_SIZE];

    key_of(stamp, key);
    if (recall(cache, key, ret))
        return 0;
    int r = read_files(parser, ret, err);
    if (r == 0)
        remember(cache, key, ret);
    return r;
}

int identity_take(const struct parser *parser, struct cache *cache, const char *stamp,
                  struct identity *ret, struct error *err)
{
    const char *features = features_id(parser->features);
    struct files files;

    int r = know_files(parser, cache, stamp, &files, err);
    if (r < 0)
        return r;
    memcpy(ret->program, files.program, sizeof(ret->program));

    const struct digest_part all[] = {
        {files.program, strlen(files.program)},
        {features, strlen(features)},
        {files.includes, strlen(files.includes)},
    };
    digest_hex(DIGEST_SHA256, all, ARRAY_SIZE(all), ret->all);
    return 0;
}
