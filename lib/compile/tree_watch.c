// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/tree_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/strv.h"
#include "lib/compile/tree.h"

#define DEPTH_MAX 8
#define COMES_OR_GOES (IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE | IN_MOVE_SELF)
/* A write through memory is told by its end alone. */
#define CHANGES (COMES_OR_GOES | IN_ATTRIB | IN_MODIFY | IN_CLOSE_WRITE)

#define PLACES_MAX 16 /* program, base and its folders */

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342 /* linux/magic.h has it from 5.15 on */
#endif

/* What a path led to: events are told of that, whatever the path leads to by now. */
struct place {
    char *path;
    bool there;
    dev_t device;
    ino_t inode;
};

struct tree_watch {
    int fd;
    int base; /* its watch */
    const char *const *folders;
    struct place places[PLACES_MAX];
    size_t place_count;
    bool sure;
};

struct tree_watch *tree_watch_new(void)
{
    struct tree_watch *watch = xcalloc(1, sizeof(*watch));

    watch->fd = -1;
    return watch;
}

static void forget(struct tree_watch *watch)
{
    if (watch->fd >= 0)
        close(TAKE_FD(watch->fd));
    for (size_t i = 0; i < watch->place_count; i++)
        free(watch->places[i].path);
    watch->place_count = 0;
    watch->sure = false;
}

void tree_watch_free(struct tree_watch *watch)
{
    if (!watch)
        return;
    forget(watch);
    free(watch);
}

/* --- places --- */

static void look_at(struct place *place)
{
    struct stat st;

    place->there = stat(place->path, &st) == 0;
    place->device = place->there ? st.st_dev : 0;
    place->inode = place->there ? st.st_ino : 0;
}

/* Takes the path. */
static bool add_place(struct tree_watch *watch, char *path)
{
    if (watch->place_count == PLACES_MAX) {
        free(path);
        return false;
    }
    struct place *place = &watch->places[watch->place_count++];
    place->path = path;
    look_at(place);
    return true;
}

static bool places_are_the_same(const struct tree_watch *watch)
{
    for (size_t i = 0; i < watch->place_count; i++) {
        const struct place *then = &watch->places[i];
        struct place now = *then;

        look_at(&now);
        if (now.there != then->there || now.device != then->device || now.inode != then->inode)
            return false;
    }
    return true;
}

/* --- what is watched --- */

/* Only this machine changes it. */
static bool is_local(int fd)
{
    static const unsigned long kinds[] = {EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC,
                                          BTRFS_SUPER_MAGIC,     TMPFS_MAGIC,
                                          OVERLAYFS_SUPER_MAGIC, RAMFS_MAGIC,
                                          F2FS_SUPER_MAGIC,      SQUASHFS_MAGIC};
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if ((unsigned long) fs.f_type == kinds[i])
            return true;
    return false;
}

static bool add_folder(const struct tree_watch *watch, const char *path, unsigned depth);

/* A file is told of by its folder, unless it has other names or is mounted there. */
static bool is_told(const struct statx *st)
{
    return S_ISREG(st->stx_mode) && st->stx_nlink == 1 &&
           (st->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
           !(st->stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static bool add_entry(const struct tree_watch *watch, int folder, const char *folder_path,
                      const char *name, unsigned depth)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder_path, name);
    struct statx st;

    if (statx(folder, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_NLINK, &st) < 0)
        return false;
    return S_ISDIR(st.stx_mode) ? add_folder(watch, path, depth + 1) : is_told(&st);
}

/* Watched first: what comes while it is listed is told as well. */
static bool add_folder(const struct tree_watch *watch, const char *path, unsigned depth)
{
    _cleanup_strv_ struct strv names = {0};
    _cleanup_close_ int folder = -1;

    bool sure = depth < DEPTH_MAX &&
                inotify_add_watch(watch->fd, path, CHANGES | IN_ONLYDIR | IN_DONT_FOLLOW) >= 0 &&
                fs_open_dir(AT_FDCWD, path, &folder, NULL) == 0 && is_local(folder) &&
                tree_names(folder, path, &names, NULL) == 0;
    for (size_t i = 0; sure && i < names.len; i++)
        sure = add_entry(watch, folder, path, names.items[i], depth);
    return sure;
}

/* One that is not there is told of by the base. */
static bool add_include_folder(struct tree_watch *watch, const char *base, const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", base, name);
    struct stat st;

    if (!add_place(watch, xstrdup(path)))
        return false;
    if (lstat(path, &st) < 0)
        return errno == ENOENT;
    return add_folder(watch, path, 0);
}

static bool add_program(const struct tree_watch *watch, const char *program)
{
    _cleanup_close_ int fd = open(program, O_PATH | O_CLOEXEC);

    return fd >= 0 && is_local(fd) && inotify_add_watch(watch->fd, program, CHANGES) >= 0;
}

void tree_watch_begin(struct tree_watch *watch, const char *program, const char *base,
                      const char *const *folders)
{
    forget(watch);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0)
        return;
    watch->folders = folders;
    watch->base = inotify_add_watch(watch->fd, base, COMES_OR_GOES | IN_ONLYDIR);
    watch->sure = watch->base >= 0 && add_place(watch, xstrdup(base)) &&
                  add_place(watch, xstrdup(program)) && add_program(watch, program);
    for (const char *const *folder = folders; watch->sure && *folder; folder++)
        watch->sure = add_include_folder(watch, base, *folder);
}

/* --- what has happened --- */

static bool matters(const struct tree_watch *watch, const struct inotify_event *event)
{
    if (event->wd != watch->base || event->len == 0)
        return true;
    for (const char *const *folder = watch->folders; *folder; folder++)
        if (strcmp(event->name, *folder) == 0)
            return true;
    return false;
}

/* Of one read. */
static bool all_harmless(const struct tree_watch *watch, const char *events, size_t len)
{
    for (size_t at = 0; at < len;) {
        const struct inotify_event *event = (const void *) (events + at);
        if (matters(watch, event))
            return false;
        at += sizeof(*event) + event->len;
    }
    return true;
}

bool tree_watch_is_quiet(struct tree_watch *watch)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t len;

    while (watch->sure && (len = read(watch->fd, events, sizeof(events))) != -1)
        watch->sure = all_harmless(watch, events, (size_t) len);
    if (watch->sure && errno == EAGAIN && places_are_the_same(watch))
        return true;
    forget(watch);
    return false;
}
