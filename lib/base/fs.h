// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/*
 * Files without surprises: everything is opened O_CLOEXEC, `dir` is a
 * directory's descriptor or AT_FDCWD. Errors name the file.
 */

/* Appends the file's content to `out`; -EFBIG when that would pass its ceiling.
 */
_must_check_ int fs_read(int dir, const char *name, struct buf *out, struct error *err);
/* The same of a descriptor; `name` is for messages. */
_must_check_ int fs_read_fd(int fd, const char *name, struct buf *out, struct error *err);
/* As fs_read(), of a regular file that is no symbolic link and has no second
 * hard link (-ELOOP, -EMLINK). */
_must_check_ int fs_read_plain(int dir, const char *name, struct buf *out, struct error *err);
/*
 * Replaces `name` atomically: temporary file `.<name>.tmp` in the same
 * directory (a stale one is removed), fsync, rename, fsync of the directory. A
 * failure leaves the old file and no temporary.
 */
_must_check_ int fs_write_atomic(int dir, const char *name, const void *data, size_t len,
                                 mode_t mode, struct error *err);
/* The same without syncing: after a power failure the file may be there cut short. */
_must_check_ int fs_write_unsynced(int dir, const char *name, const void *data, size_t len,
                                   mode_t mode, struct error *err);
/* Removes a file and syncs its directory. A file that is not there is no error.
 */
_must_check_ int fs_remove(int dir, const char *name, struct error *err);
/* Creates the directory and its missing parents. */
_must_check_ int fs_mkdirs(const char *path, mode_t mode, struct error *err);
_must_check_ int fs_open_dir(int dir, const char *name, int *ret_fd, struct error *err);
/* Writes all of it or fails. */
_must_check_ int fs_write_all(int fd, const void *data, size_t len);
