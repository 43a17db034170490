// SPDX-License-Identifier: Apache-2.0
#include "agent/kernel_profiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

/* Longest name of a profile that is read back; the kernel's own are below a page. */
#define FIELD_MAX 8192
/* Children of children do not exist today; the kernel's folders would show them. */
#define DEPTH_MAX 8

static int read_profiles(int dir, const char *parent, unsigned depth, struct map *map,
                         struct error *err);

/* One line of a file in a profile's folder. */
static int read_field(int dir, const char *name, struct buf *out, struct error *err)
{
    buf_reset(out);
    int r = fs_read(dir, name, out, err);
    if (r == 0 && out->len && out->data[out->len - 1] == '\n')
        out->data[--out->len] = '\0';
    return r;
}

/* Kernels before 6.8 or so have `sha1`, later ones `sha256`; without CONFIG_SECURITY_APPARMOR_HASH
 * there is none. */
static int read_digest(int dir, struct kernel_profile *profile, struct buf *text, struct error *err)
{
    static const struct {
        const char *file;
        enum digest_type type;
    } files[] = {{"sha256", DIGEST_SHA256}, {"sha1", DIGEST_SHA1}};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        int r = read_field(dir, files[i].file, text, err);
        if (r == -ENOENT)
            continue;
        if (r == 0 && text->len >= DIGEST_HEX_SIZE)
            return error_set(err, -EBADMSG, "%s holds no digest", files[i].file);
        if (r < 0)
            return r;
        profile->digest_type = files[i].type;
        memcpy(profile->digest, buf_string(text), text->len + 1);
        return 0;
    }
    return 0;
}

static int read_profile(int dir, const char *parent, unsigned depth, struct map *map,
                        struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(FIELD_MAX);
    _cleanup_free_ struct kernel_profile *profile = xcalloc(1, sizeof(*profile));

    int r = read_field(dir, "name", &text, err);
    if (r < 0)
        return r;
    /* The file has the last part of a child's name alone. */
    _cleanup_free_ char *name =
        parent ? xasprintf("%s//%s", parent, buf_string(&text)) : xstrdup(buf_string(&text));
    r = read_field(dir, "mode", &text, err);
    if (r == 0 && policy_mode_parse_kernel(buf_string(&text), &profile->mode) < 0)
        r = error_set(err, -EBADMSG, "profile %s has the unknown mode \"%s\"", name,
                      buf_string(&text));
    if (r == 0)
        r = read_digest(dir, profile, &text, err);
    if (r < 0)
        return r;
    map_set(map, name, TAKE_PTR(profile));

    _cleanup_close_ int children = openat(dir, "profiles", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (children < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, -errno, "cannot open profiles");
    return read_profiles(children, name, depth + 1, map, err);
}

static int read_entry(int dir, const char *entry, const char *parent, unsigned depth,
                      struct map *map, struct error *err)
{
    _cleanup_error_ struct error failure = {0};
    _cleanup_close_ int profile = openat(dir, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (profile < 0)
        r = error_set_errno(&failure, -errno, "cannot open it");
    else
        r = read_profile(profile, parent, depth, map, &failure);
    /* It was removed or replaced meanwhile; the new revision has us read again. */
    if (r == -ENOENT || r == -ESRCH || r == -ENODEV)
        return 0;
    if (r < 0) {
        error_wrap(&failure, "%s", entry);
        return error_move(err, &failure);
    }
    return 0;
}

/* Reads the folders of `dir`; children add theirs to the names. */
static int read_profiles(int dir, const char *parent, unsigned depth, struct map *map,
                         struct error *err)
{
    if (depth == DEPTH_MAX)
        return error_set(err, -ELOOP, "profiles are nested more than %d levels deep", DEPTH_MAX);

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
            r = read_entry(dir, entry->d_name, parent, depth, map, err);
    if (r == 0 && errno)
        r = error_set_errno(err, -errno, "cannot list profiles");
    closedir(stream);
    return r;
}

int kernel_profiles_read(const char *path, struct map **ret, struct error *err)
{
    _cleanup_(map_freep) struct map *map = map_new(free);
    _cleanup_close_ int dir = -1;

    int r = fs_open_dir(AT_FDCWD, path, &dir, err);
    if (r < 0)
        return r;
    r = read_profiles(dir, NULL, 0, map, err);
    if (r < 0) {
        error_wrap(err, "cannot read back the policy in %s", path);
        return r;
    }
    *ret = TAKE_PTR(map);
    return 0;
}
