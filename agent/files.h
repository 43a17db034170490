// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/policy/marker.h"

/*
 * The ownership files apparmor.io.<object>.profile of the host's /etc/apparmor.d: record of what is
 * ours, and what the host loads at boot. A file without a valid record of its own name is somebody
 * else's: it is reported with reason NotOwned and never written or removed. Symbolic and hard links
 * are somebody else's, too.
 */
struct files;

/* `host_root` is the prefix of etc/apparmor.d; nothing is opened yet. */
struct files *files_new(const char *host_root);
void files_free(struct files *files);
DEFINE_CLEANUP(struct files *, files_free)
/* The folder, for messages. */
const char *files_folder(const struct files *files);

/*
 * Called for each file whose name has the form of ours: with its record, which passes to the
 * callee, or with NULL and why it is not ours.
 */
typedef void (*files_fn)(void *userdata, const char *object, struct marker *marker,
                         const struct error *why);
/* A folder that does not exist is an empty one. */
_must_check_ int files_each(const struct files *files, files_fn fn, void *userdata,
                            struct error *err);

/* -ENOENT without a file, -EPERM (NotOwned) for a foreign one. `ret_text` may be NULL. */
_must_check_ int files_read(const struct files *files, const char *object, struct marker **ret,
                            struct buf *ret_text, struct error *err);
/* Creates or atomically replaces; the file is on disk when this returns. -EPERM as above. */
_must_check_ int files_write(const struct files *files, const struct marker *marker,
                             const char *text, size_t len, struct error *err);
/* Replaces the record and keeps the text. */
_must_check_ int files_rewrite(const struct files *files, const struct marker *marker,
                               struct error *err);
/* No file is no error; -EPERM as above. */
_must_check_ int files_remove(const struct files *files, const char *object, struct error *err);
