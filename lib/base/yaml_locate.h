// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/strv.h"

/* Where a value stands in YAML text, for messages. Lines and columns count from 1. */
struct yaml_place {
    size_t line, column;         /* of the value */
    size_t key_line, key_column; /* of its key; those of the value where it has none */
    bool literal; /* a block "|": the string's line N is line `line` + N of the text */
};

/*
 * Follows `path`, keys or "[3]" for the fourth item of a list, in the document that yaml_parse()
 * gives at this index. Returns how much of the path is there, and the place of the last that is;
 * the place is line 1 when there is no such document. The text must be one that yaml_parse() takes.
 */
size_t yaml_locate(const char *text, size_t len, size_t document, const struct strv *path,
                   struct yaml_place *ret);
