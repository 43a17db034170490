// SPDX-License-Identifier: Apache-2.0
#include "agent/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/strv.h"

#define FILE_MAX (4 * 1024 * 1024)
#define DEPTH_MAX 16

static int list_file(int dir, const char *name, const char *path, struct buf *out,
                     struct error *err)
{
    _cleanup_buf_ struct buf content = BUF_INIT(FILE_MAX);
    char hex[DIGEST_HEX_SIZE];

    int r = fs_read(dir, name, &content, err);
    if (r < 0)
        return r;
    const struct digest_part part = {buf_string(&content), content.len};
    if (buf_addf(out, "%s %s\n", digest_hex(DIGEST_SHA256, &part, 1, hex), path) < 0)
        return error_set(err, -EFBIG, "%s: too many files", path);
    return 0;
}

static int read_names(int dir, const char *path, struct strv *names, struct error *err)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;

    if (!stream) {
        int code = -errno;
        if (copy >= 0)
            close(copy);
        return error_set_errno(err, code, "cannot list %s", path);
    }
    while ((errno = 0, entry = readdir(stream)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            strv_add(names, entry->d_name);
    int code = -errno;
    closedir(stream);
    if (code < 0)
        return error_set_errno(err, code, "cannot list %s", path);
    strv_sort(names);
    return 0;
}

static int list_entry(int dir, const char *name, const char *path, unsigned depth, struct buf *out,
                      struct error *err);

static int list_folder(int dir, const char *name, const char *path, unsigned depth, struct buf *out,
                       struct error *err)
{
    _cleanup_close_ int folder = -1;
    _cleanup_strv_ struct strv names = {0};

    if (depth == DEPTH_MAX)
        return error_set(err, -ELOOP, "%s: folders are nested too deeply", path);
    int r = fs_open_dir(dir, name, &folder, err);
    if (r == 0)
        r = read_names(folder, path, &names, err);
    for (size_t i = 0; r == 0 && i < names.len; i++) {
        _cleanup_free_ char *below = xasprintf("%s/%s", path, names.items[i]);
        r = list_entry(folder, names.items[i], below, depth + 1, out, err);
    }
    return r;
}

static int list_entry(int dir, const char *name, const char *path, unsigned depth, struct buf *out,
                      struct error *err)
{
    struct stat st, link;

    if (fstatat(dir, name, &st, 0) < 0) {
        /* Also a link that leads nowhere. */
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
            return 0;
        return error_set_errno(err, -errno, "cannot stat %s", path);
    }
    if (S_ISREG(st.st_mode))
        return list_file(dir, name, path, out, err);
    if (!S_ISDIR(st.st_mode))
        return 0;
    if (depth > 0 && fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(link.st_mode))
        return 0;
    return list_folder(dir, name, path, depth, out, err);
}

int tree_list(const char *path, struct buf *out, struct error *err)
{
    return list_entry(AT_FDCWD, path, path, 0, out, err);
}
