// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (1 << 20)

/* Some files that include one another, the whole text among them, and a folder. */
static int read_files(void *userdata, const char *path, struct expand_files *ret)
{
    static const char *const folder[] = {"1", "2"};
    const char *text = userdata;

    if (strstr(path, "none"))
        return -ENOENT;
    if (strcmp(path, "local/d") != 0) {
        strv_add(&ret->paths, path);
        strv_add(&ret->texts, strchr(path, 'x') ? text : "/a r,\ninclude <local/d>\n");
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(folder); i++) {
        strv_take(&ret->paths, xasprintf("%s/%s", path, folder[i]));
        strv_add(&ret->texts, i ? "include <local/x>\n" : text);
    }
    return 0;
}

/* Ends on any bytes; what comes out of text without includes is that text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    _cleanup_buf_ struct buf out = BUF_INIT(OUT_MAX);
    size_t len = strlen(text);

    int r = policy_expand(text, len, read_files, text, &out);
    if (r != 0 && r != -ENOTSUP)
        abort();
    if (r == 0 && !strstr(text, "include") &&
        (out.len != len + 1 || memcmp(out.data, text, len) != 0))
        abort();
    return 0;
}
