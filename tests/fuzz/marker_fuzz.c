// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/marker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void assert_equal(const struct marker *a, const struct marker *b)
{
    assert(strcmp(a->object, b->object) == 0 && strcmp(a->uid, b->uid) == 0);
    assert(a->generation == b->generation && a->created_ms == b->created_ms);
    assert(strcmp(a->revision, b->revision) == 0 && strcmp(a->build, b->build) == 0);
    assert(strcmp(a->text, b->text) == 0);
    assert(a->mode == b->mode && a->allow_host_attachment == b->allow_host_attachment &&
           a->adopt == b->adopt);
    assert(json_equal(a->selector, b->selector) && a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert(strcmp(a->profiles[i].name, b->profiles[i].name) == 0);
        assert(strcmp(a->profiles[i].sha1, b->profiles[i].sha1) == 0);
        assert(strcmp(a->profiles[i].sha256, b->profiles[i].sha256) == 0);
    }
}

/* What is read is written so that the same is read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_(marker_freep) struct marker *marker = NULL, *again = NULL;
    _cleanup_error_ struct error err = {0};
    _cleanup_buf_ struct buf out = BUF_INIT(64 * 1024 * 1024);
    size_t offset;

    alloc_init();
    _cleanup_free_ char *exact = xmemdup(len ? (const void *) data : "", len ? len : 1);
    if (marker_parse(exact, len, &marker, &offset, &err) < 0) {
        assert(!marker && *error_message(&err));
        return 0;
    }
    assert(offset <= len);
    assert(marker_write(marker, &out) == 0);
    assert(marker_parse(out.data, out.len, &again, &offset, &err) == 0);
    assert(offset == out.len);
    assert_equal(marker, again);
    return 0;
}
