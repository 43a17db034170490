// SPDX-License-Identifier: Apache-2.0
#include "agent/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

/* Flattened text of the largest policy, and a record of as many profiles as a blob may hold. */
#define FILE_SIZE_MAX (16 * 1024 * 1024)
#define FILE_MODE 0644
#define FOLDER_MODE 0755

struct files {
    char *folder;
};

struct files *files_new(const char *host_root)
{
    struct files *files = xcalloc(1, sizeof(*files));
    size_t len = strlen(host_root);

    while (len > 0 && host_root[len - 1] == '/')
        len--;
    files->folder = xasprintf("%.*s/etc/apparmor.d", (int) len, host_root);
    return files;
}

void files_free(struct files *files)
{
    if (!files)
        return;
    free(files->folder);
    free(files);
}

const char *files_folder(const struct files *files)
{
    return files->folder;
}

static int foreign(const struct files *files, const char *file, const char *why, struct error *err)
{
    return error_set_reason(err, -EPERM, "NotOwned",
                            "%s/%s was not written by this agent (%s): move it away, or rename the "
                            "AppArmorProfile",
                            files->folder, file, why);
}

/* Opened anew each time: a package manager may replace the folder. */
static int open_folder(const struct files *files, int *ret_fd, struct error *err)
{
    return fs_open_dir(AT_FDCWD, files->folder, ret_fd, err);
}

/* The record of an open folder's file, with the whole content in `content`. */
static int read_record(const struct files *files, int folder, const char *file, const char *object,
                       struct buf *content, struct marker **ret, size_t *ret_text_offset,
                       struct error *err)
{
    _cleanup_(marker_freep) struct marker *marker = NULL;
    _cleanup_error_ struct error why = {0};
    int r = fs_read_plain(folder, file, content, &why);

    if (r == -ELOOP || r == -EMLINK || r == -EFBIG || r == -EINVAL)
        return foreign(files, file, error_message(&why), err);
    if (r < 0)
        return error_move(err, &why);
    if (marker_parse(buf_string(content), content->len, &marker, ret_text_offset, &why) < 0)
        return foreign(files, file, error_message(&why), err);
    if (strcmp(marker->object, object) != 0)
        return foreign(files, file, "its record is of another object", err);
    *ret = TAKE_PTR(marker);
    return 0;
}

static int read_object(const struct files *files, int folder, const char *object,
                       struct buf *content, struct marker **ret, size_t *ret_text_offset,
                       struct error *err)
{
    _cleanup_free_ char *file = marker_file_name(object);

    return read_record(files, folder, file, object, content, ret, ret_text_offset, err);
}

static void report(const struct files *files, int folder, const char *file, files_fn fn,
                   void *userdata)
{
    _cleanup_free_ char *object = marker_object_of_file(file);
    _cleanup_(marker_freep) struct marker *marker = NULL;
    _cleanup_buf_ struct buf content = BUF_INIT(FILE_SIZE_MAX);
    _cleanup_error_ struct error err = {0};
    size_t offset = 0;

    if (!object)
        return;
    (void) !read_record(files, folder, file, object, &content, &marker, &offset, &err);
    fn(userdata, object, TAKE_PTR(marker), &err);
}

static void closedirp(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

int files_each(const struct files *files, files_fn fn, void *userdata, struct error *err)
{
    _cleanup_(closedirp) DIR *dir = NULL;
    const struct dirent *entry;
    int fd, r;

    r = open_folder(files, &fd, err);
    if (r == -ENOENT) {
        error_done(err);
        return 0;
    }
    if (r < 0)
        return r;
    dir = fdopendir(fd);
    if (!dir) {
        r = -errno;
        close(fd);
        return error_set_errno(err, r, "%s", files->folder);
    }
    while ((entry = readdir(dir)))
        report(files, fd, entry->d_name, fn, userdata);
    return 0;
}

int files_read(const struct files *files, const char *object, struct marker **ret,
               struct buf *ret_text, struct error *err)
{
    _cleanup_(marker_freep) struct marker *marker = NULL;
    _cleanup_buf_ struct buf content = BUF_INIT(FILE_SIZE_MAX);
    _cleanup_close_ int folder = -1;
    size_t offset = 0;
    int r = open_folder(files, &folder, err);

    if (r < 0)
        return r;
    r = read_object(files, folder, object, &content, &marker, &offset, err);
    if (r < 0)
        return r;
    if (ret_text && buf_add(ret_text, content.data + offset, content.len - offset) < 0)
        return error_set(err, -EFBIG, "the policy in %s/%s is too long", files->folder, object);
    *ret = TAKE_PTR(marker);
    return 0;
}

/* 0 when there is no file or it is ours. */
static int read_ours(const struct files *files, int folder, const char *object, struct buf *content,
                     struct error *err)
{
    _cleanup_(marker_freep) struct marker *marker = NULL;
    _cleanup_error_ struct error why = {0};
    size_t offset = 0;
    int r = read_object(files, folder, object, content, &marker, &offset, &why);

    return r == -ENOENT ? 0 : error_move(err, &why);
}

int files_write(const struct files *files, const struct marker *marker, const char *text,
                size_t len, struct error *err)
{
    _cleanup_free_ char *file = marker_file_name(marker->object);
    _cleanup_buf_ struct buf content = BUF_INIT(FILE_SIZE_MAX), old = BUF_INIT(FILE_SIZE_MAX);
    _cleanup_close_ int folder = -1;
    int r = fs_mkdirs(files->folder, FOLDER_MODE, err);

    if (r < 0)
        return r;
    r = open_folder(files, &folder, err);
    if (r < 0)
        return r;
    r = read_ours(files, folder, marker->object, &old, err);
    if (r < 0)
        return r;
    if (marker_write(marker, &content) < 0 || buf_add(&content, text, len) < 0)
        return error_set(err, -EFBIG, "%s/%s would be larger than %d bytes", files->folder, file,
                         FILE_SIZE_MAX);
    /* A node that boots writes nothing; what is there was synced when it was written. */
    if (old.len == content.len && memcmp(buf_string(&old), content.data, content.len) == 0)
        return 0;
    return fs_write_atomic(folder, file, content.data, content.len, FILE_MODE, err);
}

int files_rewrite(const struct files *files, const struct marker *marker, struct error *err)
{
    _cleanup_(marker_freep) struct marker *old = NULL;
    _cleanup_buf_ struct buf text = BUF_INIT(FILE_SIZE_MAX);
    int r = files_read(files, marker->object, &old, &text, err);

    if (r < 0)
        return r;
    return files_write(files, marker, buf_string(&text), text.len, err);
}

int files_remove(const struct files *files, const char *object, struct error *err)
{
    _cleanup_free_ char *file = marker_file_name(object);
    _cleanup_buf_ struct buf content = BUF_INIT(FILE_SIZE_MAX);
    _cleanup_close_ int folder = -1;
    int r = open_folder(files, &folder, err);

    if (r == -ENOENT) {
        error_done(err);
        return 0;
    }
    if (r < 0)
        return r;
    r = read_ours(files, folder, object, &content, err);
    if (r < 0)
        return r;
    return fs_remove(folder, file, err);
}
