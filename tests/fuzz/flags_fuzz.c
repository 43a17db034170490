// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/flags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { OUT_MAX = 16 * 1024 * 1024 };

static int rewrite(const char *text, size_t len, enum policy_mode mode, struct buf *out)
{
    _cleanup_free_ char *exact = xmemdup(text, len ? len : 1);
    _cleanup_error_ struct error err = {0};

    int r = policy_flags_rewrite(exact, len, mode, out, &err);
    assert(r == 0 || *error_message(&err));
    return r;
}

/* Setting a mode twice is setting it once. */
static void check_mode(const char *text, size_t len, enum policy_mode mode)
{
    _cleanup_buf_ struct buf once = BUF_INIT(OUT_MAX), twice = BUF_INIT(OUT_MAX);

    if (rewrite(text, len, mode, &once) < 0)
        return;
    assert(rewrite(buf_string(&once), once.len, mode, &twice) == 0);
    assert(once.len == twice.len);
    assert(memcmp(buf_string(&once), buf_string(&twice), once.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_buf_ struct buf unset = BUF_INIT(OUT_MAX);
    const char *text = len ? (const char *) data : "";

    assert(rewrite(text, len, POLICY_MODE_UNSET, &unset) == 0);
    assert(unset.len == len && (len == 0 || memcmp(unset.data, data, len) == 0));
    check_mode(text, len, POLICY_ENFORCE);
    check_mode(text, len, POLICY_KILL);
    return 0;
}
