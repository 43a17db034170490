// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/strv.h"

/*
 * Policy text with its includes written out, token by token what `apparmor_parser --preprocess`
 * prints (parser/parser_lex.l of 3.0 to 5.0): the preamble, each profile, child and hat take a file
 * once, and of a folder the files in reverse order of their names.
 *
 * It saves a run of the parser, which stays the judge: text whose reading is not plain is left to
 * it, and what comes out still has to compile.
 */
struct expand_files {
    struct strv paths, texts; /* one for one */
};

/*
 * Gives the file at `path`, relative to the base folder, or the files of a folder, in the order of
 * their names, to `ret`, which the caller releases. -ENOENT: there is nothing; another failure: the
 * parser shall look for itself.
 */
typedef int (*expand_fetch_fn)(void *userdata, const char *path, struct expand_files *ret);

void expand_files_done(struct expand_files *files);

/* -ENOTSUP: only the parser can tell; `out` holds a part then. */
_must_check_ int policy_expand(const char *text, size_t len, expand_fetch_fn fetch, void *userdata,
                               struct buf *out);
