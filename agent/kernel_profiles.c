// SPDX-License-Identifier: Apache-2.0
#include "agent/kernel_profiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/map.h"

/* Longest name of a profile that is read back; the kernel's own are below a page. */
#define FIELD_MAX 8192
/* Children of children do not exist today; the kernel's folders would show them. */
#define DEPTH_MAX 8

/* Where in the tree of children a folder is read. */
struct reading {
    struct map *map; /* gets struct kernel_profile by full name */
    const char *parent;
    unsigned depth;
};

static int read_children(const struct reading *reading, int dir, const char *name,
                         struct error *err);

/* The line of a file in a profile's folder. A single read tells it: the kernel makes the text in
 * one piece, and a hundred profiles have hundreds of such files. */
static int read_field(int dir, const char *name, char *out, size_t size, struct error *err)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, out, size);

    if (len < 0)
        return error_set_errno(err, -errno, "cannot read %s", name);
    if ((size_t) len == size)
        return error_set(err, -EMSGSIZE, "%s is longer than %zu bytes", name, size - 1);
    if (len && out[len - 1] == '\n')
        len--;
    out[len] = '\0';
    return 0;
}

/* Kernels before 6.8 or so have `sha1`, later ones `sha256`; without CONFIG_SECURITY_APPARMOR_HASH
 * there is none. What one profile has is asked for first with the next. */
static int read_digest(int dir, struct kernel_profile *profile, struct error *err)
{
    static const struct {
        const char *file;
        enum digest_type type;
    } files[] = {{"sha256", DIGEST_SHA256}, {"sha1", DIGEST_SHA1}};
    static size_t usual;
    char text[DIGEST_HEX_SIZE + 1]; /* a newline ends it */

    for (size_t n = 0; n < ARRAY_SIZE(files); n++) {
        size_t i = (usual + n) % ARRAY_SIZE(files);
        int r = read_field(dir, files[i].file, text, sizeof(text), err);
        if (r == -ENOENT) {
            error_done(err);
            continue;
        }
        if (r == -EMSGSIZE)
            return error_set(err, -EBADMSG, "%s holds no digest", files[i].file);
        if (r < 0)
            return r;
        usual = i;
        profile->digest_type = files[i].type;
        memcpy(profile->digest, text, strlen(text) + 1);
        return 0;
    }
    return 0;
}

static int read_profile(const struct reading *reading, int dir, struct error *err)
{
    char text[FIELD_MAX];
    _cleanup_free_ struct kernel_profile *profile = xcalloc(1, sizeof(*profile));

    int r = read_field(dir, "name", text, sizeof(text), err);
    if (r < 0)
        return r;
    /* The file has the last part of a child's name alone. */
    _cleanup_free_ char *name =
        reading->parent ? xasprintf("%s//%s", reading->parent, text) : xstrdup(text);
    r = read_field(dir, "mode", text, sizeof(text), err);
    if (r == 0 && policy_mode_parse_kernel(text, &profile->mode) < 0)
        r = error_set(err, -EBADMSG, "profile %s has the unknown mode \"%s\"", name, text);
    if (r == 0)
        r = read_digest(dir, profile, err);
    if (r < 0)
        return r;
    map_set(reading->map, name, TAKE_PTR(profile));
    return read_children(reading, dir, name, err);
}

static int read_entry(void *userdata, int dir, const char *entry, struct error *err)
{
    _cleanup_error_ struct error failure = {0};
    _cleanup_close_ int profile = openat(dir, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (profile < 0)
        r = error_set_errno(&failure, -errno, "cannot open it");
    else
        r = read_profile(userdata, profile, &failure);
    /* It was removed or replaced meanwhile; the new revision has us read again. */
    if (r == -ENOENT || r == -ESRCH || r == -ENODEV)
        return 0;
    if (r < 0) {
        error_wrap(&failure, "%s", entry);
        return error_move(err, &failure);
    }
    return 0;
}

static int each_folder(int dir,
                       int (*fn)(void *userdata, int dir, const char *entry, struct error *err),
                       void *userdata, struct error *err)
{
    int copy = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        int code = -errno;
        if (copy >= 0)
            close(copy);
        return error_set_errno(err, code, "cannot list profiles");
    }

    int r = 0;
    const struct dirent *entry;
    while (r == 0 && (errno = 0, entry = readdir(stream)))
        if (entry->d_name[0] != '.')
            r = fn(userdata, dir, entry->d_name, err);
    if (r == 0 && errno)
        r = error_set_errno(err, -errno, "cannot list profiles");
    closedir(stream);
    return r;
}

/* Children add their names to their parents'. */
static int read_children(const struct reading *reading, int dir, const char *name,
                         struct error *err)
{
    struct reading below = {.map = reading->map, .parent = name, .depth = reading->depth + 1};
    _cleanup_close_ int children = openat(dir, "profiles", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (children < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, -errno, "cannot open profiles");
    if (below.depth == DEPTH_MAX)
        return error_set(err, -ELOOP, "profiles are nested more than %d levels deep", DEPTH_MAX);
    return each_folder(children, read_entry, &below, err);
}

/* --- as last read --- */

/* One of the outermost folders: a profile with its children. */
struct folder {
    uint64_t read_at;  /* the change after which it was read; 0: never */
    bool there;        /* at the last listing */
    struct strv names; /* full ones */
};

struct kernel_profiles {
    char *path;
    struct map *folders;  /* by the kernel's name for them */
    struct map *profiles; /* by full name */
    char *only;           /* folders of this profile alone; NULL: all */
    uint64_t change;      /* counts changes */
    uint64_t listed_at;
};

static void folder_free(void *folder)
{
    strv_done(&((struct folder *) folder)->names);
    free(folder);
}

struct kernel_profiles *kernel_profiles_new(const char *path)
{
    struct kernel_profiles *profiles = xcalloc(1, sizeof(*profiles));

    profiles->path = xstrdup(path);
    profiles->folders = map_new(folder_free);
    profiles->profiles = map_new(free);
    profiles->change = 1;
    return profiles;
}

void kernel_profiles_free(struct kernel_profiles *profiles)
{
    if (!profiles)
        return;
    map_free(profiles->folders);
    map_free(profiles->profiles);
    free(profiles->path);
    free(profiles->only);
    free(profiles);
}

void kernel_profiles_only(struct kernel_profiles *profiles, const char *name)
{
    free(profiles->only);
    profiles->only = xasprintf("%s.", name);
}

void kernel_profiles_changed(struct kernel_profiles *profiles)
{
    profiles->change++;
}

static void forget(struct kernel_profiles *profiles, struct folder *folder)
{
    for (size_t i = 0; i < folder->names.len; i++)
        map_remove(profiles->profiles, folder->names.items[i]);
    strv_done(&folder->names);
}

static void forget_gone(struct kernel_profiles *profiles)
{
    struct folder *folder;
    const char *entry;
    size_t position = 0;

    while (map_next(profiles->folders, &position, &entry, (void **) &folder)) {
        if (folder->there)
            continue;
        forget(profiles, folder);
        map_remove(profiles->folders, entry);
    }
}

static int see(void *userdata, int dir _unused_, const char *entry, struct error *err _unused_)
{
    struct kernel_profiles *profiles = userdata;
    struct folder *folder = map_get(profiles->folders, entry);

    if (profiles->only && strncmp(entry, profiles->only, strlen(profiles->only)) != 0)
        return 0;
    if (!folder) {
        folder = xcalloc(1, sizeof(*folder));
        map_set(profiles->folders, entry, folder);
    }
    folder->there = true;
    return 0;
}

static int list(struct kernel_profiles *profiles, int dir, struct error *err)
{
    struct folder *folder;
    size_t position = 0;

    while (map_next(profiles->folders, &position, NULL, (void **) &folder))
        folder->there = false;
    int r = each_folder(dir, see, profiles, err);
    if (r < 0)
        return r;
    forget_gone(profiles);
    profiles->listed_at = profiles->change;
    return 0;
}

static int read_folder(struct kernel_profiles *profiles, int dir, const char *entry,
                       struct folder *folder, struct error *err)
{
    _cleanup_(map_freep) struct map *found = map_new(free);
    struct reading reading = {.map = found};
    const char *name;
    void *profile;
    size_t position = 0;

    int r = read_entry(&reading, dir, entry, err);
    if (r < 0)
        return r;
    forget(profiles, folder);
    while (map_next(found, &position, &name, &profile)) {
        strv_add(&folder->names, name);
        map_set(profiles->profiles, name, profile);
        map_take(found, name);
    }
    /* One that was on its way out is listed no more, or has come back. */
    folder->read_at = folder->names.len ? profiles->change : 0;
    return 0;
}

static bool is_asked_for(const struct folder *folder, const struct strv *names)
{
    if (!names || !folder->read_at)
        return true;
    for (size_t i = 0; i < folder->names.len; i++)
        if (strv_contains(names, folder->names.items[i]))
            return true;
    return false;
}

static int open_folder(const struct kernel_profiles *profiles, int *dir, struct error *err)
{
    return *dir >= 0 ? 0 : fs_open_dir(AT_FDCWD, profiles->path, dir, err);
}

int kernel_profiles_refresh(struct kernel_profiles *profiles, const struct strv *names,
                            struct error *err)
{
    _cleanup_close_ int dir = -1;
    struct folder *folder;
    const char *entry;
    size_t position = 0;
    int r = 0;

    if (profiles->listed_at != profiles->change) {
        r = open_folder(profiles, &dir, err);
        if (r == 0)
            r = list(profiles, dir, err);
    }
    while (r == 0 && map_next(profiles->folders, &position, &entry, (void **) &folder)) {
        if (folder->read_at == profiles->change || !is_asked_for(folder, names))
            continue;
        r = open_folder(profiles, &dir, err);
        if (r == 0)
            r = read_folder(profiles, dir, entry, folder, err);
    }
    if (r < 0)
        error_wrap(err, "cannot read back the policy in %s", profiles->path);
    return r;
}

const struct kernel_profile *kernel_profiles_get(const struct kernel_profiles *profiles,
                                                 const char *name)
{
    return map_get(profiles->profiles, name);
}

/* NULL: there is none. */
static const char *folder_of(const struct kernel_profiles *profiles, const char *name,
                             struct folder **ret)
{
    const char *entry;
    size_t position = 0;
    void *folder;

    while (map_next(profiles->folders, &position, &entry, &folder)) {
        *ret = folder;
        if ((*ret)->names.len > 0 && strv_contains(&(*ret)->names, name))
            return entry;
    }
    return NULL;
}

char *kernel_profiles_attachment(const struct kernel_profiles *profiles, const char *name)
{
    _cleanup_close_ int dir = -1;
    char text[FIELD_MAX];
    struct folder *folder;
    const char *entry = folder_of(profiles, name, &folder);
    _cleanup_free_ char *file = entry ? xasprintf("%s/attach", entry) : NULL;

    if (!file || fs_open_dir(AT_FDCWD, profiles->path, &dir, NULL) < 0 ||
        read_field(dir, file, text, sizeof(text), NULL) < 0)
        return NULL;
    return xstrdup(text);
}

void kernel_profiles_children(const struct kernel_profiles *profiles, const char *name,
                              struct strv *ret)
{
    struct folder *folder;
    size_t len = strlen(name);

    if (!folder_of(profiles, name, &folder))
        return;
    for (size_t i = 0; i < folder->names.len; i++) {
        const char *child = folder->names.items[i];

        if (strncmp(child, name, len) == 0 && strncmp(child + len, "//", 2) == 0)
            strv_add(ret, child);
    }
}

size_t kernel_profiles_count(const struct kernel_profiles *profiles)
{
    return map_size(profiles->profiles);
}
