// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"

/*
 * Unified differences of two texts, as `patch` and `git apply` take them. The texts may be a part
 * of a file, in which each of their lines is indented: then the differences are of the file.
 */
struct diff {
    const char *old_text, *new_text;
    const char *old_name, *new_name; /* what the two header lines say */
    size_t line;                     /* of the file, that comes before the texts; 0: none */
    const char *indent;              /* before each line of the new text that is not empty; or "" */
    /* The old text's lines as they stand in the file, or NULL: as they are. */
    const char *const *shown;
};

/* Appends nothing when the texts are equal. */
void diff_unified(const struct diff *diff, struct buf *out);
