// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/shipped.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/map.h"
#include "lib/compile/tree.h"
#include "lib/policy/expand.h"

#define INCLUDE_MAX (1024 * 1024)
/* Bytes that are kept, also of what is not there; all that Debian ships is a fifth of it. */
#define KEPT_MAX ((size_t) 1024 * 1024)

/* What an include is, as read. */
struct include {
    bool absent;
    struct expand_files files;
};

struct shipped {
    char *path;
    struct map *includes; /* struct include by path */
    size_t kept;          /* bytes in it, roughly */
    int base;             /* open while includes are read */
    int folder;           /* that was read from last, as nearly all includes are in two */
    char *name;           /* of that folder */
};

/* Opens what is in the folder `dir`, as far as anybody may. */
static int open_public(int dir, const char *name, int flags, struct stat *st, int *ret)
{
    _cleanup_close_ int fd =
        openat(dir, name, flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? -ENOENT : -ENOTSUP;
    if (fstat(fd, st) < 0 || !(st->st_mode & (S_ISDIR(st->st_mode) ? S_IXOTH : S_IROTH)))
        return -ENOTSUP;
    *ret = TAKE_FD(fd);
    return 0;
}

static int enter(struct shipped *shipped, const char *path, size_t len)
{
    _cleanup_free_ char *name = xstrndup(path, len), *parts = xstrdup(name);
    char *rest = parts;
    struct stat st;

    if (shipped->name && strcmp(shipped->name, name) == 0)
        return 0;
    _cleanup_close_ int folder = fcntl(shipped->base, F_DUPFD_CLOEXEC, 3);
    int r = folder < 0 ? -ENOTSUP : 0;
    for (char *part; r == 0 && (part = strsep(&rest, "/"));) {
        int below = -1;
        r = open_public(folder, part, O_PATH | O_DIRECTORY, &st, &below);
        if (r == 0) {
            close(folder);
            folder = below;
        }
    }
    if (r < 0)
        return r;
    if (shipped->folder >= 0)
        close(shipped->folder);
    shipped->folder = TAKE_FD(folder);
    free(shipped->name);
    shipped->name = TAKE_PTR(name);
    return 0;
}

/* Opens `path`, none of whose parts is a link. */
static int open_path(struct shipped *shipped, const char *path, struct stat *st, int *ret)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return open_public(shipped->base, path, 0, st, ret);
    int r = enter(shipped, path, (size_t) (slash - path));
    return r < 0 ? r : open_public(shipped->folder, slash + 1, 0, st, ret);
}

static int take_file(int fd, const char *path, struct expand_files *ret)
{
    _cleanup_buf_ struct buf text = BUF_INIT(INCLUDE_MAX);

    if (fs_read_fd(fd, path, &text, NULL) < 0 || memchr(buf_string(&text), '\0', text.len))
        return -ENOTSUP;
    strv_add(&ret->paths, path);
    strv_add(&ret->texts, buf_string(&text));
    return 0;
}

/* Of others the parser passes over some, by how they begin or end. */
static bool name_is_plain(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return len > 0 && strcmp(name, "README") != 0 &&
           (name[len] == '\0' || strcmp(name + len, ".local") == 0);
}

static int take_member(int folder, const char *folder_path, const char *name,
                       struct expand_files *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder_path, name);
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (!name_is_plain(name))
        return -ENOTSUP;
    int r = open_public(folder, name, 0, &st, &fd);
    if (r < 0)
        return -ENOTSUP;
    return S_ISREG(st.st_mode) ? take_file(fd, path, ret) : -ENOTSUP;
}

static int take_folder(int fd, const char *path, struct expand_files *ret)
{
    _cleanup_strv_ struct strv names = {0};
    int r = tree_names(fd, path, &names, NULL);

    for (size_t i = 0; r == 0 && i < names.len; i++)
        r = take_member(fd, path, names.items[i], ret);
    return r < 0 ? -ENOTSUP : 0;
}

static int read_include(struct shipped *shipped, const char *path, struct expand_files *ret)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    int r = open_path(shipped, path, &st, &fd);
    if (r < 0)
        return r;
    if (S_ISREG(st.st_mode))
        return take_file(fd, path, ret);
    return S_ISDIR(st.st_mode) && (st.st_mode & S_IROTH) ? take_folder(fd, path, ret) : -ENOTSUP;
}

/* --- what is kept --- */

static void include_free(void *include)
{
    expand_files_done(&((struct include *) include)->files);
    free(include);
}

static void keep(struct shipped *shipped, const char *path, bool absent,
                 const struct expand_files *files)
{
    struct include *include = xcalloc(1, sizeof(*include));

    /* Names may be made up without end: those that are of use come back. */
    if (shipped->kept > KEPT_MAX)
        shipped_forget(shipped);
    shipped->kept += strlen(path) + sizeof(*include);
    include->absent = absent;
    strv_copy(&include->files.paths, &files->paths);
    strv_copy(&include->files.texts, &files->texts);
    for (size_t i = 0; i < files->texts.len; i++)
        shipped->kept += strlen(files->texts.items[i]);
    map_set(shipped->includes, path, include);
}

static int open_base(struct shipped *shipped)
{
    struct stat st;

    if (shipped->base >= 0)
        return 0;
    _cleanup_close_ int fd = open(shipped->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !(st.st_mode & S_IXOTH))
        return -ENOTSUP;
    shipped->base = TAKE_FD(fd);
    return 0;
}

static int find(void *userdata, const char *path, struct expand_files *ret)
{
    struct shipped *shipped = userdata;
    const struct include *include = map_get(shipped->includes, path);

    if (include) {
        strv_copy(&ret->paths, &include->files.paths);
        strv_copy(&ret->texts, &include->files.texts);
        return include->absent ? -ENOENT : 0;
    }
    int r = open_base(shipped);
    if (r == 0)
        r = read_include(shipped, path, ret);
    if (r == 0 || r == -ENOENT)
        keep(shipped, path, r == -ENOENT, ret);
    return r;
}

void shipped_forget(struct shipped *shipped)
{
    map_clear(shipped->includes);
    shipped->kept = 0;
}

struct shipped *shipped_new(const char *base)
{
    struct shipped *shipped = xcalloc(1, sizeof(*shipped));

    shipped->path = xstrdup(base);
    shipped->includes = map_new(include_free);
    shipped->base = shipped->folder = -1;
    return shipped;
}

static void close_folders(struct shipped *shipped)
{
    if (shipped->base >= 0)
        close(TAKE_FD(shipped->base));
    if (shipped->folder >= 0)
        close(TAKE_FD(shipped->folder));
    free(TAKE_PTR(shipped->name));
}

void shipped_free(struct shipped *shipped)
{
    if (!shipped)
        return;
    map_free(shipped->includes);
    free(shipped->path);
    free(shipped);
}

int shipped_expand(struct shipped *shipped, const char *text, size_t len, struct buf *out)
{
    int r = policy_expand(text, len, find, shipped, out);

    close_folders(shipped);
    return r;
}
