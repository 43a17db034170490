// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/strv.h"

/*
 * Adds a line "digest path" for a file, or for each file below a folder in the order of their
 * names. Nothing for what is not there. Symbolic links to files are followed, those to folders are
 * not.
 */
_must_check_ int tree_list(const char *path, struct buf *out, struct error *err);
/*
 * As tree_list(), with what tells that a file may have changed in place of its digest: nothing is
 * read.
 */
_must_check_ int tree_stamp(const char *path, struct buf *out, struct error *err);
/* What is in the open folder `dir`, called `path` in errors, in the order of the names. */
_must_check_ int tree_names(int dir, const char *path, struct strv *names, struct error *err);
