// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/strv.h"

#define FILE_MAX (32 * 1024 * 1024)
#define DEPTH_MAX 16

struct entry {
    int dir;
    const char *name, *path;
    unsigned depth;
};

/* Adds the line of a regular file. */
typedef int (*file_fn)(const struct entry *entry, const struct stat *st, struct buf *out,
                       struct error *err);

static int too_many(const struct entry *entry, struct error *err)
{
    return error_set(err, -EFBIG, "%s: too many files", entry->path);
}

static int add_content(const struct entry *entry, const struct stat *st _unused_, struct buf *out,
                       struct error *err)
{
    _cleanup_buf_ struct buf content = BUF_INIT(FILE_MAX);
    char hex[DIGEST_HEX_SIZE];

    int r = fs_read(entry->dir, entry->name, &content, err);
    if (r < 0)
        return r;
    digest_sha256(buf_string(&content), content.len, hex);
    if (buf_addf(out, "%s %s\n", hex, entry->path) < 0)
        return too_many(entry, err);
    return 0;
}

/* The time of change is the kernel's own: programs that set the other times change it. The device
 * is another each time that a container's file system is mounted. */
static int add_stamp(const struct entry *entry, const struct stat *st, struct buf *out,
                     struct error *err)
{
    if (buf_addf(out, "%ju %jd %jd.%09ld %s\n", (uintmax_t) st->st_ino, (intmax_t) st->st_size,
                 (intmax_t) st->st_ctim.tv_sec, st->st_ctim.tv_nsec, entry->path) < 0)
        return too_many(entry, err);
    return 0;
}

int tree_names(int dir, const char *path, struct strv *names, struct error *err)
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

static int list_entry(const struct entry *entry, file_fn add, struct buf *out, struct error *err);

static int list_folder(const struct entry *entry, file_fn add, struct buf *out, struct error *err)
{
    _cleanup_close_ int folder = -1;
    _cleanup_strv_ struct strv names = {0};

    if (entry->depth == DEPTH_MAX)
        return error_set(err, -ELOOP, "%s: folders are nested too deeply", entry->path);
    int r = fs_open_dir(entry->dir, entry->name, &folder, err);
    if (r == 0)
        r = tree_names(folder, entry->path, &names, err);
    for (size_t i = 0; r == 0 && i < names.len; i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", entry->path, names.items[i]);
        const struct entry below = {folder, names.items[i], path, entry->depth + 1};
        r = list_entry(&below, add, out, err);
    }
    return r;
}

static int list_entry(const struct entry *entry, file_fn add, struct buf *out, struct error *err)
{
    struct stat st, link;

    if (fstatat(entry->dir, entry->name, &st, 0) < 0) {
        /* Also a link that leads nowhere. */
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
            return 0;
        return error_set_errno(err, -errno, "cannot stat %s", entry->path);
    }
    if (S_ISREG(st.st_mode))
        return add(entry, &st, out, err);
    if (!S_ISDIR(st.st_mode))
        return 0;
    if (entry->depth > 0 && fstatat(entry->dir, entry->name, &link, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(link.st_mode))
        return 0;
    return list_folder(entry, add, out, err);
}

int tree_list(const char *path, struct buf *out, struct error *err)
{
    return list_entry(&(struct entry){AT_FDCWD, path, path, 0}, add_content, out, err);
}

int tree_stamp(const char *path, struct buf *out, struct error *err)
{
    return list_entry(&(struct entry){AT_FDCWD, path, path, 0}, add_stamp, out, err);
}
