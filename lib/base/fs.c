// SPDX-License-Identifier: Apache-2.0
#include "lib/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"

int fs_read_fd(int fd, const char *name, struct buf *out, struct error *err)
{
    char chunk[16384];

    for (;;) {
        ssize_t count = read(fd, chunk, sizeof(chunk));
        if (count == 0)
            return 0;
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, -errno, "cannot read %s", name);
        if (buf_add(out, chunk, (size_t) count) < 0)
            return error_set(err, -EFBIG, "%s is larger than %zu bytes", name, out->max);
    }
}

int fs_read(int dir, const char *name, struct buf *out, struct error *err)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", name);
    return fs_read_fd(fd, name, out, err);
}

int fs_read_plain(int dir, const char *name, struct buf *out, struct error *err)
{
    struct stat st;
    /* O_NONBLOCK: opening a FIFO must not wait for its other end. */
    _cleanup_close_ int fd =
        openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0 && errno == ELOOP)
        return error_set(err, -ELOOP, "%s is a symbolic link", name);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", name);
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, -errno, "cannot stat %s", name);
    if (!S_ISREG(st.st_mode))
        return error_set(err, -EINVAL, "%s is not a regular file", name);
    if (st.st_nlink > 1)
        return error_set(err, -EMLINK, "%s has more than one hard link", name);
    return fs_read_fd(fd, name, out, err);
}

/* "a/b" → "a" and "b"; "b" → "." and "b"; "/b" → "/" and "b". */
static char *fs_split(const char *path, const char **ret_base)
{
    const char *slash = strrchr(path, '/');

    *ret_base = slash ? slash + 1 : path;
    if (!slash)
        return xstrdup(".");
    return xstrndup(path, slash == path ? 1 : (size_t) (slash - path));
}

/* Opens the folder that holds `name`. */
static int fs_open_parent(int dir, const char *name, const char **ret_base, int *ret_fd,
                          struct error *err)
{
    const char *base;
    _cleanup_free_ char *parent = fs_split(name, &base);

    if (!*base)
        return error_set(err, -EINVAL, "%s does not name a file", name);

    int r = fs_open_dir(dir, parent, ret_fd, err);
    if (r == 0)
        *ret_base = base;
    return r;
}

static int fs_write_temporary(int dir, const char *temporary, const char *name, const void *data,
                              size_t len, mode_t mode, bool sync, struct error *err)
{
    if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove the stale temporary file of %s", name);

    _cleanup_close_ int fd =
        openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot create the temporary file of %s", name);

    /* The umask does not apply. */
    int r = fchmod(fd, mode) < 0 ? -errno : fs_write_all(fd, data, len);
    if (r == 0 && sync && fsync(fd) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot write %s", name) : 0;
}

static int fs_replace(int dir, const char *name, const void *data, size_t len, mode_t mode,
                      bool sync, struct error *err)
{
    const char *base;
    _cleanup_close_ int parent = -1;

    int r = fs_open_parent(dir, name, &base, &parent, err);
    if (r < 0)
        return r;

    _cleanup_free_ char *temporary = xasprintf(".%s.tmp", base);
    r = fs_write_temporary(parent, temporary, name, data, len, mode, sync, err);
    if (r == 0 && renameat(parent, temporary, parent, base) < 0)
        r = error_set_errno(err, -errno, "cannot replace %s", name);
    if (r < 0) {
        unlinkat(parent, temporary, 0);
        return r;
    }
    if (sync && fsync(parent) < 0)
        return error_set_errno(err, -errno, "cannot sync the folder of %s", name);
    return 0;
}

int fs_write_atomic(int dir, const char *name, const void *data, size_t len, mode_t mode,
                    struct error *err)
{
    return fs_replace(dir, name, data, len, mode, true, err);
}

int fs_write_unsynced(int dir, const char *name, const void *data, size_t len, mode_t mode,
                      struct error *err)
{
    return fs_replace(dir, name, data, len, mode, false, err);
}

int fs_remove(int dir, const char *name, struct error *err)
{
    const char *base;
    _cleanup_close_ int parent = -1;

    int r = fs_open_parent(dir, name, &base, &parent, err);
    if (r == -ENOENT) {
        error_done(err);
        return 0;
    }
    if (r < 0)
        return r;
    if (unlinkat(parent, base, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove %s", name);
    if (fsync(parent) < 0)
        return error_set_errno(err, -errno, "cannot sync the folder of %s", name);
    return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct error *err)
{
    _cleanup_free_ char *copy = xstrdup(path);
    struct stat st;

    for (char *slash = copy + 1; *copy && (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return error_set_errno(err, -errno, "cannot create folder %s", copy);
    }
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return error_set_errno(err, -errno, "cannot create folder %s", path);
    if (stat(path, &st) < 0)
        return error_set_errno(err, -errno, "cannot stat %s", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, -ENOTDIR, "%s exists and is not a folder", path);
    return 0;
}

int fs_open_dir(int dir, const char *name, int *ret_fd, struct error *err)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open folder %s", name);
    *ret_fd = fd;
    return 0;
}

int fs_write_all(int fd, const void *data, size_t len)
{
    const char *from = data;

    while (len) {
        ssize_t count = write(fd, from, len);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        from += count;
        len -= (size_t) count;
    }
    return 0;
}
