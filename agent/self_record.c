// SPDX-License-Identifier: Apache-2.0
#include "agent/self_record.h"

#include <errno.h>
#include <fcntl.h>

#include "agent/files.h"
#include "agent/self_profile.h"
#include "lib/base/fs.h"

#define FILE_NAME SELF_PROFILE
#define FILE_SIZE_MAX (1024 * 1024)
#define FILE_MODE 0644
#define FOLDER_MODE 0755

static int open_folder(const char *host_root, bool create, int *ret_fd, struct error *err)
{
    _cleanup_(files_freep) struct files *files = files_new(host_root);
    int r = create ? fs_mkdirs(files_folder(files), FOLDER_MODE, err) : 0;

    return r < 0 ? r : fs_open_dir(AT_FDCWD, files_folder(files), ret_fd, err);
}

static int read_record(int folder, struct marker **ret, struct error *err)
{
    _cleanup_buf_ struct buf content = BUF_INIT(FILE_SIZE_MAX);
    _cleanup_error_ struct error why = {0};
    size_t offset;

    int r = fs_read_plain(folder, FILE_NAME, &content, &why);
    if (r == -ENOENT)
        return error_move(err, &why);
    if (r == 0)
        r = marker_parse(buf_string(&content), content.len, ret, &offset, &why);
    if (r < 0)
        return error_set(err, -EPERM,
                         "the file /etc/apparmor.d/" FILE_NAME
                         " was not written by this agent (%s): move it away",
                         error_message(&why));
    return 0;
}

int self_record_read(const char *host_root, struct marker **ret, struct error *err)
{
    _cleanup_close_ int folder = -1;

    int r = open_folder(host_root, false, &folder, err);
    return r < 0 ? r : read_record(folder, ret, err);
}

static int check_ours(int folder, struct error *err)
{
    _cleanup_(marker_freep) struct marker *marker = NULL;
    _cleanup_error_ struct error why = {0};

    int r = read_record(folder, &marker, &why);
    return r == -ENOENT ? 0 : error_move(err, &why);
}

int self_record_write(const char *host_root, const struct marker *marker, const char *text,
                      size_t len, struct error *err)
{
    static const char head[] =
        "# Managed by apparmor-agent: do not edit, changes are overwritten.\n"
        "# The profile that apparmor-agent itself runs under. It may be removed with the agent.\n";
    _cleanup_buf_ struct buf content = BUF_INIT(FILE_SIZE_MAX);
    _cleanup_close_ int folder = -1;

    int r = open_folder(host_root, true, &folder, err);
    if (r == 0)
        r = check_ours(folder, err);
    if (r < 0)
        return r;
    r = buf_add_string(&content, head);
    if (r == 0)
        r = marker_write_record(marker, &content);
    if (r == 0)
        r = buf_add(&content, text, len);
    if (r < 0)
        return error_set(err, r, "the agent's own profile is too long");
    return fs_write_atomic(folder, FILE_NAME, content.data, content.len, FILE_MODE, err);
}
