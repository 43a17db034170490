// SPDX-License-Identifier: Apache-2.0
#include "lib/base/memory_limit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

#define CONTENT_MAX 64

uint64_t memory_limit_parse(const char *text)
{
    char *end;

    /* strtoull() takes blanks and signs, too. */
    if (!isdigit((unsigned char) *text))
        return UINT64_MAX;
    errno = 0;
    uint64_t limit = strtoull(text, &end, 10);
    return errno || (*end && *end != '\n') ? UINT64_MAX : limit;
}

uint64_t memory_limit_read(const char *folder)
{
    static const char *const files[] = {"memory.max", "memory/memory.limit_in_bytes"};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        _cleanup_buf_ struct buf text = BUF_INIT(CONTENT_MAX);
        _cleanup_free_ char *path = xasprintf("%s/%s", folder, files[i]);

        if (fs_read(AT_FDCWD, path, &text, NULL) == 0)
            return memory_limit_parse(buf_string(&text));
    }
    return UINT64_MAX;
}
