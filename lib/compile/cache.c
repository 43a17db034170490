// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

#define FOLDER_MODE 0700
#define FILE_MODE 0600
#define SUFFIX ".policy"

/* An entry is this line with the digest of what follows, and that. */
#define HEAD "apparmor.io compiled policy, sha256 "
#define HEAD_LEN (sizeof(HEAD) - 1)
#define HEAD_SIZE (HEAD_LEN + DIGEST_HEX_SIZE) /* the digest's NUL is a line feed here */

struct cache {
    char *folder;
    size_t size_max;
    size_t room; /* at least that much is left, as far as is known */
};

struct cache *cache_new(const char *folder, size_t size_max)
{
    struct cache *cache = xcalloc(1, sizeof(*cache));

    cache->folder = xstrdup(folder);
    cache->size_max = size_max;
    return cache;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    free(cache->folder);
    free(cache);
}

/* Whoever else could write into it could have us load what nobody has looked at. */
static int open_folder(const struct cache *cache, int *ret_fd, struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;
    int r = fs_open_dir(AT_FDCWD, cache->folder, &fd, err);

    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return error_set_errno(err, -errno, "cannot stat %s", cache->folder);
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return error_set(err, -EPERM,
                         "others may write to %s, so it is not used as cache of compiled policy: "
                         "remove it",
                         cache->folder);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static bool is_whole(const struct buf *entry)
{
    char hex[DIGEST_HEX_SIZE];

    if (entry->len < HEAD_SIZE || memcmp(entry->data, HEAD, HEAD_LEN) != 0 ||
        entry->data[HEAD_SIZE - 1] != '\n')
        return false;
    digest_sha256(entry->data + HEAD_SIZE, entry->len - HEAD_SIZE, hex);
    return memcmp(entry->data + HEAD_LEN, hex, DIGEST_HEX_SIZE - 1) == 0;
}

int cache_get(const struct cache *cache, const char *key, struct buf *out, struct error *err)
{
    if (!cache)
        return error_set(err, -ENOENT, "there is no cache");

    _cleanup_free_ char *file = xasprintf("%s" SUFFIX, key);
    _cleanup_buf_ struct buf entry = BUF_INIT(cache->size_max + HEAD_SIZE);
    _cleanup_error_ struct error why = {0};
    _cleanup_close_ int folder = -1;

    int r = open_folder(cache, &folder, err);
    if (r < 0)
        return r;
    r = fs_read_plain(folder, file, &entry, &why);
    if (r == -ENOENT)
        return error_move(err, &why);
    if (r < 0 || !is_whole(&entry)) {
        unlinkat(folder, file, 0);
        return error_set(err, -ENOENT, "%s/%s was damaged", cache->folder, file);
    }
    /* It was of use: others go before it. */
    (void) !utimensat(folder, file, NULL, AT_SYMLINK_NOFOLLOW);
    if (buf_add(out, entry.data + HEAD_SIZE, entry.len - HEAD_SIZE) < 0)
        return error_set(err, -EFBIG, "%s/%s is too large", cache->folder, file);
    return 0;
}

/* --- making room --- */

struct entry {
    char *file;
    size_t size;
    struct timespec used;
};

struct entries {
    struct entry *items;
    size_t count, size; /* bytes of all */
};

static void entries_done(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->items[i].file);
    free(entries->items);
}

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct entry *) a)->used;
    const struct timespec *y = &((const struct entry *) b)->used;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

/* Whatever lies in the folder counts, what a crash has left included. */
static int list(const struct cache *cache, int folder, struct entries *ret, struct error *err)
{
    _cleanup_close_ int copy = fcntl(folder, F_DUPFD_CLOEXEC, 3);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *found;
    struct stat st;

    if (!dir)
        return error_set_errno(err, -errno, "cannot list %s", cache->folder);
    TAKE_FD(copy);
    while ((found = readdir(dir))) {
        if (fstatat(folder, found->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
            continue;
        ret->items = xreallocarray(ret->items, ret->count + 1, sizeof(*ret->items));
        ret->items[ret->count++] = (struct entry){
            .file = xstrdup(found->d_name),
            .size = (size_t) st.st_size,
            .used = st.st_mtim,
        };
        ret->size += (size_t) st.st_size;
    }
    closedir(dir);
    return 0;
}

static int remove_oldest(const struct cache *cache, int folder, size_t len, struct entries *entries,
                         struct error *err)
{
    qsort(entries->items, entries->count, sizeof(*entries->items), by_use);
    for (size_t i = 0; i < entries->count && entries->size + len > cache->size_max; i++) {
        const struct entry *entry = &entries->items[i];
        if (unlinkat(folder, entry->file, 0) < 0 && errno != ENOENT)
            return error_set_errno(err, -errno, "cannot remove %s/%s", cache->folder, entry->file);
        entries->size -= entry->size;
    }
    return 0;
}

/* Looks at what is there only when that may fill the cache: nobody else adds to it. */
static int make_room(struct cache *cache, int folder, size_t len, struct error *err)
{
    _cleanup_(entries_done) struct entries entries = {0};
    int r = 0;

    if (cache->room < len) {
        cache->room = 0;
        r = list(cache, folder, &entries, err);
        if (r == 0 && entries.size + len > cache->size_max)
            r = remove_oldest(cache, folder, len, &entries, err);
        if (r == 0 && entries.size < cache->size_max)
            cache->room = cache->size_max - entries.size;
    }
    cache->room -= len < cache->room ? len : cache->room;
    return r;
}

int cache_put(struct cache *cache, const char *key, const void *data, size_t len, struct error *err)
{
    if (!cache)
        return 0;

    _cleanup_free_ char *file = xasprintf("%s" SUFFIX, key);
    _cleanup_buf_ struct buf entry = BUF_INIT(cache->size_max);
    _cleanup_close_ int folder = -1;
    char hex[DIGEST_HEX_SIZE];

    digest_sha256(data, len, hex);
    if (buf_addf(&entry, HEAD "%s\n", hex) < 0 || buf_add(&entry, data, len) < 0)
        return 0;
    int r = fs_mkdirs(cache->folder, FOLDER_MODE, err);
    if (r == 0)
        r = open_folder(cache, &folder, err);
    if (r == 0)
        r = make_room(cache, folder, entry.len, err);
    return r < 0 ? r : fs_write_unsynced(folder, file, entry.data, entry.len, FILE_MODE, err);
}
