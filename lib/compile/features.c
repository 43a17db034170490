// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/features.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/strv.h"
#include "lib/compile/parser.h"
#include "lib/compile/tree.h"

#define DEPTH_MAX 16

struct features {
    unsigned refs;
    int fd;
    size_t len;
    char id[FEATURES_ID_SIZE];
};

void features_id_of(const char *text, size_t len, char ret[static FEATURES_ID_SIZE])
{
    char hex[DIGEST_HEX_SIZE];

    digest_sha256(text, len, hex);
    memcpy(ret, hex, FEATURES_ID_SIZE - 1);
    ret[FEATURES_ID_SIZE - 1] = '\0';
}

int features_new(const char *text, size_t len, struct features **ret, struct error *err)
{
    struct features *features;
    int fd;

    if (len == 0 || len > FEATURES_MAX)
        return error_set(err, -EINVAL, "kernel features of %zu bytes: 1 to %zu are possible", len,
                         FEATURES_MAX);
    int r = parser_text_file(text, len, &fd, err);
    if (r < 0)
        return r;
    features = xcalloc(1, sizeof(*features));
    features->refs = 1;
    features->fd = fd;
    features->len = len;
    features_id_of(text, len, features->id);
    *ret = features;
    return 0;
}

struct features *features_ref(struct features *features)
{
    features->refs++;
    return features;
}

void features_unref(struct features *features)
{
    if (!features || --features->refs > 0)
        return;
    close(features->fd);
    free(features);
}

const char *features_id(const struct features *features)
{
    return features->id;
}

int features_fd(const struct features *features)
{
    return features->fd;
}

int features_text(const struct features *features, struct buf *out, struct error *err)
{
    _cleanup_free_ char *text = xmalloc(features->len);

    /* The position is the child's, too. */
    if (pread(features->fd, text, features->len, 0) != (ssize_t) features->len)
        return error_set(err, -EIO, "kernel features cannot be read back");
    if (buf_add(out, text, features->len) < 0)
        return error_set(err, -EFBIG, "kernel features are too long");
    return 0;
}

/* --- a kernel's folder --- */

static int add_entry(int dir, const char *name, const char *path, unsigned depth, struct buf *out,
                     struct error *err);

static int add_folder(int dir, const char *path, unsigned depth, struct buf *out, struct error *err)
{
    _cleanup_strv_ struct strv names = {0};

    if (depth == DEPTH_MAX)
        return error_set(err, -ELOOP, "%s: folders are nested too deeply", path);
    int r = tree_names(dir, path, &names, err);
    for (size_t i = 0; r == 0 && i < names.len; i++) {
        _cleanup_free_ char *below = xasprintf("%s/%s", path, names.items[i]);

        buf_addf(out, "%s {", names.items[i]);
        r = add_entry(dir, names.items[i], below, depth + 1, out, err);
        if (r == 0 && buf_add_string(out, "}\n") < 0)
            r = error_set(err, -EFBIG, "%s: more features than a compiler takes", path);
    }
    return r;
}

static int add_entry(int dir, const char *name, const char *path, unsigned depth, struct buf *out,
                     struct error *err)
{
    _cleanup_close_ int folder = -1;
    struct stat st;

    if (fstatat(dir, name, &st, 0) < 0)
        return error_set_errno(err, -errno, "cannot stat %s", path);
    if (!S_ISDIR(st.st_mode)) {
        int r = fs_read(dir, name, out, err);
        return r < 0 ? error_wrap(err, "%s", path) : 0;
    }
    int r = fs_open_dir(dir, name, &folder, err);
    return r < 0 ? r : add_folder(folder, path, depth, out, err);
}

int features_read(const char *path, struct features **ret, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(FEATURES_MAX);
    _cleanup_error_ struct error why = {0};

    int r = add_entry(AT_FDCWD, path, path, 0, &text, &why);
    if (r == -ENOENT || (r == 0 && text.len == 0))
        return error_set(err, -ENOENT, "there are no kernel features in %s", path);
    if (r < 0)
        return error_move(err, &why);
    return features_new(text.data, text.len, ret, err);
}
