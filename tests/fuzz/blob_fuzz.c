// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/blob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_profiles(const uint8_t *data, size_t len, const struct blob *blob)
{
    size_t at = 0;

    for (size_t i = 0; i < blob->count; i++) {
        const struct blob_profile *profile = &blob->profiles[i];
        char digest[DIGEST_HEX_SIZE];

        assert(profile->offset == at && profile->len > 0);
        assert(profile->mode_offset + 4 <= profile->offset + profile->len);
        assert(strlen(profile->name) > 0);
        blob_profile_digest(data, profile, DIGEST_SHA256, digest);
        at += profile->len;
    }
    assert(at == len && blob->count > 0);
}

/* What is accepted is accepted again, in the mode that was set. */
static void check_mode(const uint8_t *data, size_t len, struct blob *blob)
{
    _cleanup_free_ uint8_t *copy = xmemdup(data, len);
    _cleanup_(blob_freep) struct blob *again = NULL;

    blob_set_mode(copy, blob, POLICY_COMPLAIN);
    assert(blob_decode(copy, len, &again, NULL) == 0);
    assert(again->count == blob->count && blob_mode(again) == POLICY_COMPLAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    _cleanup_(blob_freep) struct blob *blob = NULL;
    _cleanup_error_ struct error err = {0};

    if (blob_decode(data, len, &blob, &err) < 0) {
        assert(!blob && *error_message(&err));
        return 0;
    }
    check_profiles(data, len, blob);
    check_mode(data, len, blob);
    return 0;
}
